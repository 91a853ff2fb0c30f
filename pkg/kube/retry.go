package kube

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// How long is waited after a failure.
const (
	firstRetry   = 500 * time.Millisecond
	lastRetry    = time.Minute
	firstRefusal = 4 * time.Second  // what is not allowed may be in a moment, while somebody installs netmend
	lastRefusal  = 5 * time.Minute  // or one day
	mostAsked    = 10 * time.Minute // that an API server may ask for by Retry-After

	shortest = time.Second // that a watch must have lasted to be asked for again at once
)

// errShort says that a watch has ended without a word as soon as it began.
var errShort = errors.New("the watch ended as soon as it began")

// backoff doubles from firstRetry to lastRetry. The random half keeps the nodes of a cluster apart when the API server comes back.
func backoff(attempt int) time.Duration { return doubled(attempt, firstRetry, lastRetry) }

// refusal is backoff for what is not allowed.
func refusal(attempt int) time.Duration { return doubled(attempt, firstRefusal, lastRefusal) }

func doubled(attempt int, first, last time.Duration) time.Duration {
	d := min(last, first<<min(attempt, 10))
	return d/2 + rand.N(d/2+1)
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
