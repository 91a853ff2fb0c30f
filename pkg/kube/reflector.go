package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// What a reflector waits for. The API server sends a bookmark about once a minute, so a watch that is silent for longer than quiet is dead.
const (
	quiet       = 3 * time.Minute
	firstRetry  = 500 * time.Millisecond
	lastRetry   = time.Minute
	refusedWait = 5 * time.Minute // what is not allowed may be one day
	pageSize    = 500
)

// reflector follows one list of objects: it lists them page by page, then watches from there, and goes on where a watch ended. It holds no object itself.
type reflector struct {
	client *Client
	path   string
	query  url.Values // selectors
	kind   string     // of the objects, which in a list have none of their own
	retry  func(attempt int) time.Duration

	begin  func()              // a list begins: what was known before is not in it unless it comes again
	add    func(*object) error // an object of a list, or a new or changed one
	remove func(*object)       // an object is gone
	end    func()              // the list is whole
	heard  func()              // the API server said something
	failed func(err error)     // why nothing is heard; nil when it is again
}

// errGone says that the watch cannot go on from where it ended (410): list again.
var errGone = errors.New("the API server has forgotten what comes after the last change")

// run follows the list until the context ends.
func (r *reflector) run(ctx context.Context) {
	version := ""
	for attempt := 0; ctx.Err() == nil; {
		var err error
		if version == "" {
			version, err = r.list(ctx)
		} else {
			var last string
			if last, err = r.watch(ctx, version); last != "" {
				version, attempt = last, 0
			}
		}
		switch {
		case errors.Is(err, errGone):
			version = ""
		case err == nil:
			attempt = 0
			continue
		case Refused(err):
			version = ""
			r.failed(err)
			sleep(ctx, refusedWait)
			continue
		default:
			r.failed(err)
		}
		wait := r.retry(attempt)
		var status *StatusError
		if errors.As(err, &status) {
			wait += status.RetryAfter
		}
		sleep(ctx, wait)
		attempt++
	}
}

// backoff doubles from firstRetry to lastRetry. The random half keeps the nodes of a cluster apart when the API server comes back.
func backoff(attempt int) time.Duration {
	d := min(lastRetry, firstRetry<<min(attempt, 10))
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

// get asks for a page of a list or for a watch.
func (r *reflector) get(ctx context.Context, more url.Values) (io.ReadCloser, error) {
	q := url.Values{}
	for _, values := range []url.Values{r.query, more} {
		for k, v := range values {
			q[k] = v
		}
	}
	answer, err := r.client.send(ctx, http.MethodGet, r.path, q, "", nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.path, err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	why := statusOf(answer, r.path)
	if answer.StatusCode == http.StatusGone {
		why = errGone
	}
	return nil, errors.Join(why, answer.Body.Close())
}

// list reads all objects and gives the version from which to watch.
func (r *reflector) list(ctx context.Context) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, quiet)
	defer cancel()
	r.begin()
	more := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for {
		body, err := r.get(ctx, more)
		if err != nil {
			return "", err
		}
		page, next, err := listPage(&limited{r: body, left: maxFile}, r.item)
		if err := errors.Join(err, body.Close()); err != nil {
			return "", fmt.Errorf("list %s: %w", r.path, err)
		}
		r.heard()
		if version = page; next == "" {
			r.end()
			r.failed(nil)
			return version, nil
		}
		more.Set("continue", next)
	}
}

// item takes one object of a list.
func (r *reflector) item(d *json.Decoder) error {
	var o object
	if err := d.Decode(&o); err != nil {
		return err
	}
	o.Kind = r.kind
	return r.add(&o)
}

// event is one line of a watch.
type event struct {
	Type   string `json:"type"`
	Object struct {
		object
		Code int `json:"code"` // of a Status
	} `json:"object"`
}

// bounded lets each event be as large as an object can be.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrTooLarge
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// watch follows changes from a version on, until the API server ends it, which is no error, or nothing is heard for too long. last is the version of the last
// change; empty where there was none.
func (r *reflector) watch(ctx context.Context, version string) (last string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seconds := 240 + rand.IntN(240)
	body, err := r.get(ctx, url.Values{
		"watch": {"1"}, "resourceVersion": {version}, "allowWatchBookmarks": {"true"}, "timeoutSeconds": {strconv.Itoa(seconds)},
	})
	if err != nil {
		return "", err
	}
	defer body.Close()
	r.heard()
	r.failed(nil)
	silent := time.AfterFunc(quiet, cancel)
	defer silent.Stop()
	b := &bounded{r: body, left: maxObject}
	d := json.NewDecoder(b)
	for {
		var e event
		err := d.Decode(&e)
		switch {
		case errors.Is(err, io.EOF):
			return last, nil
		case err != nil:
			return last, fmt.Errorf("watch %s: %w", r.path, err)
		}
		b.left = maxObject
		silent.Reset(quiet)
		o := &e.Object.object
		o.Kind = r.kind
		switch e.Type {
		case "ADDED", "MODIFIED":
			if err := r.add(o); err != nil {
				return last, err
			}
		case "DELETED":
			r.remove(o)
		case "BOOKMARK":
		case "ERROR":
			if e.Object.Code == http.StatusGone {
				return last, errGone
			}
			return last, &StatusError{Status: e.Object.Code, Path: r.path}
		default:
			return last, fmt.Errorf("watch %s: unknown event %.50q", r.path, e.Type)
		}
		r.heard()
		if v := o.Metadata.ResourceVersion; v != "" {
			last = v
		}
	}
}
