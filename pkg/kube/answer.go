package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// errQuiet says that a connection was given up.
var errQuiet = fmt.Errorf("nothing was heard for %s", quiet)

const (
	maxAnswer = 16 << 10 // of an answer that is an error
	maxSays   = 200      // of what it says
)

// statusError is an answer that is none.
type statusError struct {
	status int
	path   string
	says   string        // why, as the API server says it
	after  time.Duration // that it asks to wait; 0: it does not
}

func (e *statusError) Error() string {
	text := cmp.Or(http.StatusText(e.status), strconv.Itoa(e.status))
	if e.says != "" {
		text += ": " + e.says
	}
	return e.path + ": " + text
}

// refusedBy is the error of an answer that has none of what was asked for.
func refusedBy(answer *http.Response, path string) error {
	e := &statusError{status: answer.StatusCode, path: path, after: retryAfter(answer.Header.Get("Retry-After"))}
	var says struct {
		Message string `json:"message"`
	}
	if body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer)); err == nil && json.Unmarshal(body, &says) == nil {
		e.says = clip(says.Message)
	}
	return e
}

// retryAfter reads the header of that name as the API server writes it, in seconds; 0 where it asks for nothing.
func retryAfter(text string) time.Duration {
	seconds, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, mostAsked)
}

// clip makes one short line of what somebody else says.
func clip(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.ToValidUTF8(text[:min(len(text), maxSays)], "")
}

// cut is the error of a connection that ended while something was expected of it.
func (r *reflector) cut(ctx context.Context, what string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("%s %s: %w", what, r.path, brief(err))
}

// brief leaves out of an error of the network what differs each time, its own port, and what is known, the URL.
func brief(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		return fmt.Errorf("%s %s: %w", op.Op, op.Addr, op.Err)
	}
	return err
}

// event is one line of a watch. What the object is depends on the type: a Status has texts where others have more.
type event struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// failure is the error of a watch that the API server has ended by a Status.
func (e *event) failure(path string) error {
	var s struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(e.Object, &s); err != nil {
		return fmt.Errorf("watch %s: an error that cannot be read: %w", path, err)
	}
	if s.Code == http.StatusGone {
		return errGone
	}
	return &statusError{status: s.Code, path: path, says: clip(s.Message)}
}
