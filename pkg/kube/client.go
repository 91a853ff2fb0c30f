package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// askTime is how long one question and its answer may take.
const askTime = 20 * time.Second

// Client asks the API server for one thing at a time. It does not try again: when to do that is known to the caller, who sees why it failed, see [Refused].
// It may be used by several goroutines.
type Client struct {
	access *Access
	http   *http.Client
}

// NewClient prepares a client. Nothing is asked yet.
func NewClient(a *Access) (*Client, error) {
	t, err := a.transport()
	if err != nil {
		return nil, fmt.Errorf("API client: %w", err)
	}
	// A redirect would carry the request, and a token with it, to where somebody else wants it.
	return &Client{access: a, http: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// PatchType is the Content-Type of a patch.
type PatchType string

// The kinds of patches. A strategic one knows the keys of lists, and is for built-in kinds only.
const (
	MergePatch     PatchType = "application/merge-patch+json"
	StrategicPatch PatchType = "application/strategic-merge-patch+json"
)

// Get reads an object. Into is decoded into, and what it has no field for is passed over.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	return c.ask(ctx, http.MethodGet, path, query, "", nil, into)
}

// Create makes an object in the collection at the path. Into, here and below, takes the object as it then is; it may be nil.
func (c *Client) Create(ctx context.Context, path string, body, into any) error {
	return c.ask(ctx, http.MethodPost, path, nil, "application/json", body, into)
}

// Replace writes a whole object. With a resourceVersion in it, it is refused where somebody else has written meanwhile: see [Conflict].
func (c *Client) Replace(ctx context.Context, path string, body, into any) error {
	return c.ask(ctx, http.MethodPut, path, nil, "application/json", body, into)
}

// Patch changes some of an object.
func (c *Client) Patch(ctx context.Context, path string, kind PatchType, body, into any) error {
	return c.ask(ctx, http.MethodPatch, path, nil, string(kind), body, into)
}

// Delete takes an object away. One that is not there is an error, see [NotFound].
func (c *Client) Delete(ctx context.Context, path string) error {
	return c.ask(ctx, http.MethodDelete, path, nil, "", nil, nil)
}

// Each reads a list page by page, and each item for itself, so that it is never in memory as a whole.
func (c *Client) Each(ctx context.Context, path string, item func(json.RawMessage) error) error {
	return c.EachLabelled(ctx, path, "", item)
}

// EachLabelled is Each of those that have a label; empty: all.
func (c *Client) EachLabelled(ctx context.Context, path, label string, item func(json.RawMessage) error) error {
	return c.each(ctx, path, label, func(d *json.Decoder) error {
		var o json.RawMessage
		if err := d.Decode(&o); err != nil {
			return err
		}
		return item(o)
	})
}

// each is EachLabelled with items that are still on the decoder, which item takes them off.
func (c *Client) each(ctx context.Context, path, label string, item func(*json.Decoder) error) error {
	query := url.Values{"limit": {fmt.Sprint(pageSize)}}
	if label != "" {
		query.Set("labelSelector", label)
	}
	for {
		var next string
		err := c.answer(ctx, http.MethodGet, path, query, "", nil, func(body io.Reader) (err error) {
			b := &bounded{r: body, left: maxObject}
			_, next, err = listPage(b, func(d *json.Decoder) error {
				err := item(d)
				b.left = maxObject
				return err
			})
			return err
		})
		if err != nil || next == "" {
			return err
		}
		query.Set("continue", next)
	}
}

func (c *Client) ask(ctx context.Context, method, path string, query url.Values, kind string, body, into any) error {
	return c.answer(ctx, method, path, query, kind, body, func(answer io.Reader) error {
		answer = &bounded{r: answer, left: maxObject}
		if into == nil {
			_, err := io.Copy(io.Discard, answer) // so that the connection can be used again
			return err
		}
		if err := json.NewDecoder(answer).Decode(into); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
}

// answer sends a request, and hands the body of its answer on if there is one.
func (c *Client) answer(ctx context.Context, method, path string, query url.Values, kind string, body any, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	answer, err := c.send(ctx, method, path, query, kind, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, brief(err))
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		err = refusedBy(answer, path)
	} else {
		err = read(answer.Body)
	}
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return fmt.Errorf("%s %w", method, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, query url.Values, kind string, body any) (*http.Response, error) {
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(text)
	}
	where := c.access.Server + path
	if len(query) > 0 {
		where += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, where, in)
	if err != nil {
		return nil, err
	}
	if err := c.access.authorize(r); err != nil {
		return nil, err
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	return c.http.Do(r)
}
