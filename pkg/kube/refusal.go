package kube

import (
	"errors"
	"net/http"
	"slices"
	"time"
)

func hasStatus(err error, statuses ...int) bool {
	var e *statusError
	return errors.As(err, &e) && slices.Contains(statuses, e.status)
}

// Conflict says whether somebody else wrote the object meanwhile, or made it before.
func Conflict(err error) bool { return hasStatus(err, http.StatusConflict) }

// NotFound says whether the object, or its kind, is not there.
func NotFound(err error) bool { return hasStatus(err, http.StatusNotFound) }

// Internal says whether the API server itself answers, and fails at this request.
func Internal(err error) bool { return hasStatus(err, http.StatusInternalServerError) }

// Refused says whether asking again the same way is of no use before somebody changes something: credentials, roles, or what the API server knows.
func Refused(err error) bool {
	var e *statusError
	return errors.As(err, &e) && e.status >= 300 && e.status < 500 &&
		!slices.Contains([]int{http.StatusConflict, http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusGone}, e.status)
}

// RetryAfter is how long to wait before the next attempt: longer from attempt to attempt, which counts from 0, and at least what the API server asks for. A part
// of it is random, so that nodes that were all told the same come back one after another.
func RetryAfter(err error, attempt int) time.Duration {
	wait := backoff(attempt)
	var e *statusError
	if errors.As(err, &e) && e.after > wait {
		return e.after + wait/2
	}
	return wait
}
