package cni

import (
	"bytes"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// TestMutations runs the program itself with many documents and environments that are nearly right, the same ones each time: it ends, it does not panic, and what
// it prints is one JSON document or none.
func TestMutations(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	pod, netmend := n.added(t)
	delete(netmend, "timeout")
	netmend["name"] = "pods"
	netmend["fix"], netmend["detectConflict"], netmend["mode"] = []string{"pod-mtu-mismatch", "hairpin", "ipv6-pod"}, true, "enforce"
	bases := [][]byte{marshal(t, netmend), marshal(t, map[string]any{
		"cniVersion": "1.1.0", "name": "pods", "gate": []string{"ip-forward", "service-rules-missing"}, "timeout": "20ms", "failurePolicy": "Fail",
		"services": []any{map[string]any{"vip": "10.96.0.1", "port": 443, "protocol": "tcp", "name": "default/kubernetes:https"}},
	})}
	examples, err := filepath.Glob(filepath.Join(lab.Source(), "conf", "*.conflist"))
	if err != nil || len(examples) == 0 {
		t.Fatalf("%d examples: %v", len(examples), err)
	}
	for _, path := range examples {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		plugins := decoded(t, data).(map[string]any)["plugins"].([]any)
		last := plugins[len(plugins)-1].(map[string]any)
		last["cniVersion"], last["name"], last["prevResult"] = "1.0.0", "pods", netmend["prevResult"]
		delete(last, "logFile") // a mutation could write anywhere
		bases = append(bases, marshal(t, last))
	}
	r := rand.New(rand.NewPCG(1, 2))
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	for range 300 {
		stdin := mutate(r, bases[r.IntN(len(bases))])
		if bytes.Contains(stdin, []byte("logFile")) {
			continue
		}
		cmd := n.inside(filepath.Join(n.bin, "netmend"))
		env := []string{
			"CNI_COMMAND=" + one("ADD", "ADD", "ADD", "CHECK", "DEL", "STATUS", "GC", "VERSION", "", "add"), "CNI_CONTAINERID=" + one("box", "box", "", "../box", "-"),
			"CNI_NETNS=" + one(pod.Path, pod.Path, pod.Path, n.Path, "", "/dev/null", "/proc/self/ns/mnt", pod.Path+"x"), "CNI_IFNAME=" + one("eth0", "eth0", "", "lo", "eth0/..", strings.Repeat("x", 16)),
			"CNI_ARGS=" + one("", "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web", ";=;", "K8S_POD_NAMESPACE", strings.Repeat("a=b;", 1000)), "CNI_PATH=" + one(n.bin, n.bin, ""),
		}
		cmd.Env = append(os.Environ(), env...)
		var out, errs bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
		start := time.Now()
		_ = cmd.Run() // how it ended is in its code
		if took := time.Since(start); took > 3*time.Minute {
			t.Errorf("it took %s: %q %q", took, env, stdin)
		}
		if code := cmd.ProcessState.ExitCode(); code != 0 && code != 1 || strings.Contains(errs.String(), "goroutine ") {
			t.Errorf("exit code %d: %q %q: %s", code, env, stdin, errs.Bytes())
		}
		d := json.NewDecoder(&out)
		var document json.RawMessage
		if err := d.Decode(&document); err != nil && err != io.EOF || d.More() {
			t.Errorf("it prints something else than a document: %q %q: %v", env, stdin, err)
		}
	}
}

// mutate changes a document in one to four places.
func mutate(r *rand.Rand, base []byte) []byte {
	out := bytes.Clone(base)
	pieces := []string{"null", "{}", "[]", "-1", "1e400", `""`, `"x"`, "true", "{", "}", "\x00", "\xff", "1.1.0", "0.3.0", "9999999999999999999999", `"10.244.0.2/33"`, "::", ","}
	for range 1 + r.IntN(4) {
		at := r.IntN(len(out) + 1)
		to := min(len(out), at+r.IntN(20))
		switch r.IntN(4) {
		case 0: // another byte
			if at < len(out) {
				out[at] = byte(r.IntN(256))
			}
		case 1: // less
			out = append(out[:at:at], out[to:]...)
		case 2: // a piece in its place
			out = append(append(out[:at:at], pieces[r.IntN(len(pieces))]...), out[to:]...)
		case 3: // a value in the place of another
			if colon := bytes.IndexByte(out[at:], ':'); colon >= 0 {
				begin := at + colon + 1
				end := begin
				for end < len(out) && out[end] != ',' && out[end] != '}' {
					end++
				}
				out = append(append(out[:begin:begin], pieces[r.IntN(len(pieces))]...), out[end:]...)
			}
		}
	}
	return out
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
