package plugin

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// socketWord stands in a fuzzed configuration for the path of the socket on which the fuzzed daemon listens.
const socketWord = "@socket@"

// hangTime is far beyond what a call takes on a machine that has other work: who needs it waits for something that does not come.
const hangTime = 2 * time.Minute

// FuzzPlugin runs the whole program, as main does, with whatever may stand on standard input, in the environment, and in a daemon's answer: it does not panic,
// it ends, and what it prints is one JSON document or none. The machine's network is read, and nothing is changed: what would write is left to the test that
// runs the program in a namespace of its own.
func FuzzPlugin(f *testing.F) {
	result := `{"cniVersion":"1.0.0","interfaces":[{"name":"cni0","mac":"02:00:00:00:00:01"},{"name":"eth0","mac":"02:00:00:00:00:02","sandbox":"/run/netns/x"}],` +
		`"ips":[{"interface":1,"address":"10.244.0.2/24","gateway":"10.244.0.1"},{"interface":1,"address":"fd00:244::2/64","gateway":"fd00:244::1"}],` +
		`"routes":[{"dst":"0.0.0.0/0"},{"dst":"::/0","gw":"fd00:244::1","table":254}],"dns":{"nameservers":["10.96.0.10"]}}`
	conf := func(keys string) []byte {
		return []byte(`{"cniVersion":"1.0.0","name":"pods","type":"netmend","prevResult":` + result + `,"socket":"` + socketWord + `"` + keys + `}`)
	}
	answer := `{"netmend":1,"age":1.5,"judged":["tunnel-tx-checksum","service-rules-missing"],"findings":[{"check":"tunnel-tx-checksum","severity":"warning",` +
		`"on":{"netns":1,"index":2,"name":"flannel.1"},"message":"wrong","evidence":[{"fact":"a","got":"b"}],"fixes":[{"title":"t","advice":["x"]}]}],` +
		`"services":[{"name":"default/kubernetes:https","vip":"10.96.0.1","port":443,"protocol":"tcp"},{"name":"a/b:c","port":1,"protocol":"udp"}]}` + "\n"
	pod := "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web"
	f.Add(conf(``), "ADD", "box", "/proc/self/ns/net", "eth0", pod, []byte(answer))
	f.Add(conf(`,"mode":"enforce","failurePolicy":"Fail","logLevel":"debug"`), "ADD", "box", "/run/netns/gone", "eth0", pod, []byte("{}\n"))
	f.Add(conf(`,"mode":"off","checks":{"ip-forward":"enforce","pod-default-route":"enforce"},"timeout":"1s"`), "CHECK", "box", "/proc/self/ns/net", "net1", "", []byte(strings.Repeat("x", 100)))
	f.Add(conf(`,"services":[{"vip":"::1","port":1,"protocol":"udp"}],"exemptNamespaces":[],"gate":["service-rules-missing"]`), "DEL", "box", "", "eth0", ";;=", []byte(nil))
	f.Add([]byte(`{"cniVersion":"1.1.0","name":"pods","type":"netmend","gate":["tunnel-mtu-over-uplink","ip-forward"],"timeout":"100ms"}`), "STATUS", "", "", "", "", []byte(nil))
	f.Add([]byte(`{"cniVersion":"1.1.0","name":"pods","type":"netmend","cni.dev/valid-attachments":[{"containerID":"a","ifname":"b"}]}`), "GC", "", "", "", "", []byte(nil))
	f.Add([]byte(`{"cniVersion":"0.3.0"}`), "VERSION", "", "", "", "", []byte(nil))
	f.Add([]byte(`{"cniVersion":"0.4.0","name":"x","prevResult":{"cniVersion":"1.1.0","interfaces":[null,5],"ips":[{"interface":9,"address":"10.0.0.2/33"}],"routes":[{"dst":"x"}]}}`),
		"ADD", "box", "/dev/null", "eth0", "K8S_POD_NAMESPACE=kube-system", []byte(nil))
	f.Fuzz(func(t *testing.T, stdin []byte, command, container, netns, ifName, args string, answer []byte) {
		dir := t.TempDir()
		socket := filepath.Join(dir, "s")
		stdin = bytes.ReplaceAll(stdin, []byte(socketWord), []byte(socket))
		if writes(stdin, socket) || !harmless(netns) {
			t.Skip("it would write, or open what is not a namespace")
		}
		for key, value := range map[string]string{
			"CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_NETNS": netns, "CNI_IFNAME": ifName, "CNI_ARGS": args, "CNI_PATH": dir, "CNI_NETNS_OVERRIDE": "",
		} {
			if strings.ContainsRune(value, 0) {
				t.Skip("no environment can have it")
			}
			t.Setenv(key, value)
		}
		if len(answer) > 0 {
			defer liar(t, socket, answer)()
		}
		code, out, took := whole(t, stdin)
		if took > maxTimeout+hangTime {
			t.Errorf("it took %s", took)
		}
		if code != 0 && code != 1 {
			t.Errorf("exit code %d", code)
		}
		d := json.NewDecoder(bytes.NewReader(out))
		var document json.RawMessage
		if err := d.Decode(&document); err != nil && err != io.EOF {
			t.Fatalf("it prints %q: %v", out, err)
		}
		if d.More() {
			t.Errorf("it prints more than one document: %q", out)
		}
	})
}

// writes says whether a configuration would make the program write: into a file, to another socket than the fuzzed one, or to a pod.
func writes(stdin []byte, socket string) bool {
	c, err := ParseConfig(stdin)
	return err == nil && (c.LogFile != "" || len(c.Fix) > 0 || c.DetectConflict || c.Socket != "" && c.Socket != socket)
}

// harmless says whether opening a path has no effect.
func harmless(netns string) bool {
	switch netns {
	case "", "/proc/self/ns/net", "/proc/self/ns/mnt", "/dev/null", "/":
		return true
	}
	_, err := os.Stat(netns)
	return err != nil
}

// liar gives one caller an answer, and then listens no more.
func liar(t *testing.T, socket string, answer []byte) (stop func()) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c, err := l.Accept(); err == nil {
			_, _ = c.Write(answer) // the caller may be gone
			_ = c.Close()
		}
	}()
	return func() {
		_ = l.Close()
		<-done
	}
}

// whole runs the program in this process.
func whole(t *testing.T, stdin []byte) (code int, out []byte, took time.Duration) {
	t.Helper()
	return wholeWith(t, stdin, func(*Plugin) {})
}

// wholeWith does so after a change.
func wholeWith(t *testing.T, stdin []byte, change func(*Plugin)) (code int, out []byte, took time.Duration) {
	t.Helper()
	in, err := os.CreateTemp(t.TempDir(), "in")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	to, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if _, err := in.Write(stdin); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	realIn, realOut, realErr := os.Stdin, os.Stdout, os.Stderr
	defer func() { os.Stdin, os.Stdout, os.Stderr = realIn, realOut, realErr }()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	os.Stdin, os.Stdout, os.Stderr = in, to, null
	start := time.Now()
	p := New(to, null)
	change(p)
	code = p.Main()
	took = time.Since(start)
	out, err = os.ReadFile(to.Name())
	if err != nil {
		t.Fatal(err)
	}
	return code, out, took
}
