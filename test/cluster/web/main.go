// Command web is the program of a pod: it answers HTTP on port 8080, and asks others for whom it is told to, so that packets leave from the pod.
//
//	GET /          the pod's host name
//	GET /ask?URL   what URL answers to the pod, with how long a new connection took, as "SECONDS ANSWER"
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

func main() {
	if err := http.ListenAndServe(":8080", handler()); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		name, _ := os.Hostname() // an empty one is an answer too
		_, _ = io.WriteString(w, name)
	})
	mux.HandleFunc("GET /ask", func(w http.ResponseWriter, r *http.Request) {
		answer, err := ask(r.URL.RawQuery)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_, _ = io.WriteString(w, answer)
	})
	return mux
}

func ask(query string) (string, error) {
	target, err := url.QueryUnescape(query)
	if err != nil {
		return "", err
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	start := time.Now()
	r, err := client.Get(target)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	return fmt.Sprintf("%.3f %s", time.Since(start).Seconds(), body), err
}
