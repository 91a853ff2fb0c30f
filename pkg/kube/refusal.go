package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxRetryAfter bounds how long an API server may tell a node to wait.
const maxRetryAfter = 10 * time.Minute

// StatusError is an answer that is none.
type StatusError struct {
	Status     int // of HTTP
	Path       string
	Why        string        // as the API server says it; may be empty
	RetryAfter time.Duration // that it asks to be left alone for; 0: it did not
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s: %d %s", e.Path, e.Status, http.StatusText(e.Status))
	if e.Why != "" {
		text += ": " + e.Why
	}
	return text
}

// statusOf reads why a request was refused. What is no Status of the API, as a proxy's page, is not told.
func statusOf(answer *http.Response, path string) error {
	e := &StatusError{Status: answer.StatusCode, Path: path}
	if n, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && n > 0 {
		e.RetryAfter = time.Duration(min(n, int(maxRetryAfter/time.Second))) * time.Second
	}
	var s struct {
		Kind    string `json:"kind"`
		Message string `json:"message"`
	}
	if text, err := io.ReadAll(io.LimitReader(answer.Body, maxError)); err == nil && json.Unmarshal(text, &s) == nil && s.Kind == "Status" {
		e.Why = oneLine(s.Message)
	}
	return e
}

func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s[:min(len(s), maxWhy)])
	return strings.Join(strings.Fields(s), " ")
}

func hasStatus(err error, statuses ...int) bool {
	var e *StatusError
	return errors.As(err, &e) && slices.Contains(statuses, e.Status)
}

// Conflict says whether somebody else wrote the object meanwhile, or made it before.
func Conflict(err error) bool { return hasStatus(err, http.StatusConflict) }

// NotFound says whether the object, or its kind, is not there.
func NotFound(err error) bool { return hasStatus(err, http.StatusNotFound) }

// Internal says whether the API server itself answers, and fails at this request.
func Internal(err error) bool { return hasStatus(err, http.StatusInternalServerError) }

// Refused says whether asking again the same way is of no use before somebody changes something: credentials, roles, or what the API server knows.
func Refused(err error) bool {
	var e *StatusError
	return errors.As(err, &e) && e.Status >= 300 && e.Status < 500 &&
		!slices.Contains([]int{http.StatusConflict, http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusGone}, e.Status)
}

// RetryAfter is how long to wait before the next attempt: what the API server asks for, at least, else longer from attempt to attempt. attempt counts from 0.
func RetryAfter(err error, attempt int) time.Duration {
	wait := backoff(attempt)
	var e *StatusError
	if errors.As(err, &e) && e.RetryAfter > wait {
		return e.RetryAfter + wait/2 // the nodes that were all told the same come back one after another
	}
	return wait
}
