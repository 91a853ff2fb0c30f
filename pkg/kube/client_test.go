package kube

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// answering is a client of a server that answers everything with one function.
func answering(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewTLSServer(answer)
	t.Cleanup(s.Close)
	c, err := NewClient(&Access{Server: s.URL, CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClient(t *testing.T) {
	var got []string
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		var body any
		_ = json.NewDecoder(r.Body).Decode(&body) // there may be none
		got = append(got, fmt.Sprint(r.Method, " ", r.URL, " ", r.Header.Get("Content-Type"), " ", r.Header.Get("Authorization"), " ", body))
		fmt.Fprint(w, `{"a":1,"more":[1,2,{}]}`)
	})
	ctx := t.Context()
	var into struct{ A int }
	for _, err := range []error{
		c.Get(ctx, "/x", map[string][]string{"resourceVersion": {"0"}}, &into), c.Create(ctx, "/x", map[string]int{"b": 2}, nil), c.Replace(ctx, "/x/y", map[string]int{"b": 3}, &into),
		c.Patch(ctx, "/x/y", StrategicPatch, map[string]int{"b": 4}, nil), c.Delete(ctx, "/x/y"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	want := `GET /x?resourceVersion=0  Bearer secret <nil>
POST /x application/json Bearer secret map[b:2]
PUT /x/y application/json Bearer secret map[b:3]
PATCH /x/y application/strategic-merge-patch+json Bearer secret map[b:4]
DELETE /x/y  Bearer secret <nil>`
	if s := strings.Join(got, "\n"); s != want || into.A != 1 {
		t.Errorf("%d, requests:\n%s\nwant\n%s", into.A, s, want)
	}
}

// TestClientHostile is answered by servers that are none, or that do not want to.
func TestClientHostile(t *testing.T) {
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}
	}
	endless := func(code int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			for r.Context().Err() == nil {
				if _, err := fmt.Fprint(w, strings.Repeat(text, 1000)); err != nil {
					return
				}
			}
		}
	}
	for _, tt := range []struct {
		name    string
		answer  http.HandlerFunc
		want    string
		refused bool
	}{
		{"forbidden", status(403, `{"kind":"Status","message":"nodes \"a\" is forbidden:\n no"}`), `GET /x: Forbidden: nodes "a" is forbidden: no`, true},
		{"unauthorized", status(401, "<html>"), "GET /x: Unauthorized", true},
		{"invalid", status(422, `{"kind":"Status","message":"bad"}`), "Unprocessable Entity: bad", true},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://192.0.2.1/", http.StatusFound)
		}, "GET /x: Found", true},
		{"unavailable", status(503, ""), "Service Unavailable", false},
		{"internal", status(500, strings.Repeat("x", 1<<20)), "Internal Server Error", false},
		{"too many", status(429, ""), "Too Many Requests", false},
		{"an unknown code", status(599, ""), "599", false},
		{"an endless error", endless(500, "x"), "Internal Server Error", false},
		{"an endless object", endless(200, `{"a":`), "exceeded max depth", false},
		{"endless spaces", endless(200, "        "), ErrTooLarge.Error(), false},
		{"no JSON", status(200, "<html>"), "invalid character", false},
		{"another type", status(200, `{"a":"b"}`), "cannot unmarshal", false},
		{"nothing", status(200, ""), "EOF", false},
		{"half", status(200, `{"a":`), "unexpected EOF", false},
		{"hangs up", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, "EOF", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var into struct{ A int }
			err := answering(t, tt.answer).Get(t.Context(), "/x", nil, &into)
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 400 || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
				t.Errorf("Get: %v; want a short error with %q", err, tt.want)
			}
			if Refused(err) != tt.refused {
				t.Errorf("Refused(%v) = %t", err, !tt.refused)
			}
		})
	}
}

// TestRetryAfter holds the API server to what a node can wait for.
func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		header      string
		least, most time.Duration
	}{
		{"", 0, time.Second}, {"0", 0, time.Second}, {"7", 7 * time.Second, 8 * time.Second}, {"-1", 0, time.Second}, {"99999999", 10 * time.Minute, 11 * time.Minute},
		{"99999999999999999999999", 0, time.Second}, {"Wed, 21 Oct 2015 07:28:00 GMT", 0, time.Second},
	} {
		err := answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", tt.header)
			w.WriteHeader(http.StatusTooManyRequests)
		}).Get(t.Context(), "/x", nil, nil)
		if d := RetryAfter(err, 0); d < tt.least || d > tt.most {
			t.Errorf("Retry-After %q: %s; want %s to %s", tt.header, d, tt.least, tt.most)
		}
	}
	if d := RetryAfter(fmt.Errorf("no way"), 30); d < lastRetry/2 || d > lastRetry {
		t.Errorf("after 30 attempts: %s; want %s at most", d, lastRetry)
	}
}

// TestEach reads a list of many pages and huge objects, of which none is larger than an object may be.
func TestEach(t *testing.T) {
	large := `{"x":"` + strings.Repeat("x", maxObject/2) + `"}`
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		page := 0
		fmt.Sscan(r.URL.Query().Get("continue"), &page) // nothing is 0
		next := ""
		if page < 2 {
			next = fmt.Sprint(page + 1)
		}
		fmt.Fprintf(w, `{"kind":"List","items":[%s,%s,%s],"metadata":{"resourceVersion":"5","continue":"%s"}}`, large, `{"b":1}`, large, next)
	})
	n := 0
	err := c.Each(t.Context(), "/x", func(json.RawMessage) error {
		n++
		return nil
	})
	if err != nil || n != 9 {
		t.Errorf("Each: %d objects, %v; want 9", n, err)
	}
	c = answering(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"items":[{"x":"`+strings.Repeat("x", 2*maxObject)+`"}],"metadata":{"resourceVersion":"5"}}`)
	})
	if err := c.Each(t.Context(), "/x", func(json.RawMessage) error { return nil }); err == nil || !strings.Contains(err.Error(), ErrTooLarge.Error()) {
		t.Errorf("Each of an object that is too large: %v", err)
	}
}

// TestClientHangs gives up on a server that says nothing.
func TestClientHangs(t *testing.T) {
	end := make(chan struct{})
	c := answering(t, func(http.ResponseWriter, *http.Request) { <-end })
	t.Cleanup(func() { close(end) }) // before the server is closed, which waits
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := c.Get(ctx, "/x", nil, nil); err == nil || Refused(err) {
		t.Errorf("Get of a server that hangs: %v", err)
	}
}
