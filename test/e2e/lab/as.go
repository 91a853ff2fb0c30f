package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// As asks the API server with another's token. It gives the status and the body of the answer, whatever they say. A patch is a merge patch, unless its path
// ends with ?strategic.
func (c *Cluster) As(bearer, method, path string, body any) (status int, answer string) {
	c.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		c.t.Fatalf("%v", err)
	}
	req, err := http.NewRequest(method, fmt.Sprintf("https://%s:%d%s", c.server, apiPort, path), bytes.NewReader(text))
	if err != nil {
		c.t.Fatalf("%v", err)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
		if req.URL.RawQuery == "strategic" {
			req.URL.RawQuery = ""
			req.Header.Set("Content-Type", "application/strategic-merge-patch+json")
		}
	}
	r, err := c.client.Do(req)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer r.Body.Close()
	out, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r.StatusCode, string(out)
}
