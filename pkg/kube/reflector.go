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
	quiet    = 3 * time.Minute
	pageSize = 500
)

// reflector follows one list of objects: it lists them page by page, then watches from there, and goes on where a watch ended. It holds no object itself.
type reflector struct {
	client         *Client
	path           string
	query          url.Values                      // selectors
	kind           string                          // of the objects, which in a list have none of their own
	retry, refusal func(attempt int) time.Duration // how long to wait after a failure, and after one that only an administrator can end

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
	version, from := "", cached
	for attempt := 0; ctx.Err() == nil; {
		var err error
		watched := version != ""
		if !watched {
			if version, err = r.list(ctx, from); err == nil {
				from = cached
			}
		} else {
			var last string
			began := time.Now()
			if last, err = r.watch(ctx, version); last != "" {
				version, attempt = last, 0
			}
			if last == "" && err == nil && time.Since(began) < shortest {
				err = errShort
			}
		}
		var status *statusError
		switch {
		case errors.Is(err, errGone):
			version, from = "", ""
		case err == nil:
			if watched { // a list alone proves nothing: where the watch is refused it would be asked for again and again
				attempt = 0
			}
			continue
		case errors.Is(err, errShort): // whoever is asked again at once would be asked without end
		case errors.As(err, &status) && Refused(status):
			version = ""
			r.failed(err)
			sleep(ctx, r.refusal(attempt))
			attempt++
			continue
		case ctx.Err() == nil:
			r.failed(err)
		}
		wait := r.retry(attempt)
		if status != nil && status.after > 0 {
			wait = max(wait, status.after+rand.N(status.after/4+1)) // not all nodes at the same moment
		}
		sleep(ctx, wait)
		attempt++
	}
}

// cached is the version from which a list may be answered out of the API server's memory, as kube-proxy's is; an empty one is asked of etcd. That is done only
// after the API server has said that its memory does not reach back, since a thousand nodes that begin at the same time would ask etcd for everything.
const cached = "0"

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
		return nil, fmt.Errorf("%s: %w", r.path, brief(err))
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	refusal := refusedBy(answer, r.path)
	if answer.StatusCode == http.StatusGone {
		refusal = errGone
	}
	if err := answer.Body.Close(); err != nil {
		return nil, fmt.Errorf("%w; %w", refusal, err)
	}
	return nil, refusal
}

// list reads all objects and gives the version from which to watch. From is the least version that they may have.
func (r *reflector) list(ctx context.Context, from string) (version string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, quiet, errQuiet)
	defer cancel()
	r.begin()
	more := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if from != "" {
		more.Set("resourceVersion", from)
	}
	for {
		body, err := r.get(ctx, more)
		if err != nil {
			return "", err
		}
		page, next, err := listPage(&limited{r: body, left: maxFile}, r.item)
		if err := errors.Join(err, body.Close()); err != nil {
			return "", r.cut(ctx, "list", err)
		}
		r.heard()
		if version = page; next == "" {
			r.end()
			r.failed(nil)
			return version, nil
		}
		more.Set("continue", next) // it has its own version
		more.Del("resourceVersion")
	}
}

// item takes one object off a list.
func (r *reflector) item(d *json.Decoder) error {
	var o object
	if err := d.Decode(&o); err != nil {
		return err
	}
	o.Kind = r.kind
	return r.add(&o)
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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
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
	silent := time.AfterFunc(quiet, func() { cancel(errQuiet) })
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
			return last, r.cut(ctx, "watch", err)
		}
		b.left = maxObject
		silent.Reset(quiet)
		if e.Type == "ERROR" {
			return last, e.failure(r.path)
		}
		o := &object{}
		if err := json.Unmarshal(e.Object, o); err != nil {
			return last, fmt.Errorf("watch %s: %w", r.path, err)
		}
		o.Kind = r.kind
		switch e.Type {
		case "ADDED", "MODIFIED":
			if err := r.add(o); err != nil {
				return last, err
			}
		case "DELETED":
			r.remove(o)
		case "BOOKMARK":
		default:
			return last, fmt.Errorf("watch %s: unknown event %.50q", r.path, e.Type)
		}
		r.heard()
		if v := o.Metadata.ResourceVersion; v != "" {
			last = v
		}
	}
}
