package systemd

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/status"
)

// TestBoot boots systemd in namespaces and starts the daemon as the unit says, on a node with faults: with these privileges it sees everything and mends
// everything.
func TestBoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can boot a systemd")
	}
	said := boot(t)
	has := func(section string, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if !slices.Contains(strings.Split(said[section], "\n"), line) {
				t.Errorf("%s: no line %q in:\n%s", section, line, said[section])
			}
		}
	}
	has("start", "started", "ActiveState=active", "NRestarts=0")
	// CAP_NET_ADMIN 12, CAP_NET_RAW 13, CAP_SYS_PTRACE 19, CAP_SYS_ADMIN 21.
	has("process", "CapEff: 0000000000283000", "CapBnd: 0000000000283000", "CapAmb: 0000000000000000", "NoNewPrivs: 1", "Seccomp: 2")

	var state struct {
		State status.State
		Ready bool
	}
	if err := json.Unmarshal([]byte(said["node-state"]), &state); err != nil || !state.Ready || state.State != status.Faulty {
		t.Errorf("node-state: %v, %s", err, said["node-state"])
	}
	var d status.Document
	if err := json.Unmarshal([]byte(said["status"]), &d); err != nil {
		t.Fatalf("status: %v: %s", err, said["status"])
	}
	var found []string
	for _, f := range d.Findings {
		found = append(found, f.Check+" on "+f.Where)
	}
	for _, want := range []string{"pod-mtu-mismatch on eth0 in /run/netns/early", "pod-mtu-mismatch on eth0 in /proc/"} {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, want) }) {
			t.Errorf("not found: %s; found %q", want, found)
		}
	}
	for _, s := range d.Skipped {
		if strings.Contains(s.Reason, "not permitted") || strings.Contains(s.Reason, "denied") {
			t.Errorf("%s could not be judged: %s", s.Check, s.Reason)
		}
	}
	for _, c := range d.Conditions {
		// Tables of neighbours are shown in the first network namespace alone, where this node does not live.
		if !c.OK && c.Name != status.NodeRead {
			t.Errorf("the daemon lacks %s: %s", c.Name, c.Message)
		}
	}

	has("effect", "net.ipv4.ip_forward = 1", "\ttx-checksum-ip-generic: off", `{"name": "cbr0", "cniVersion": "1.0.0", "plugins": [{"type": "flannel"},{"type": "netmend"}]}`)
	has("later", "the later pod is seen")
	has("refused", "reloaded", "the configuration was refused")
	has("restart", "restarted", "ActiveState=active")
	if strings.Contains(said["restart"], "missing") {
		t.Errorf("restart: %s", said["restart"])
	}
	has("stop", "stopped", "ActiveState=inactive", "Result=success")
	if strings.Contains(said["stop"], "left") {
		t.Error("/run/netmend is left after the stop")
	}
	if _, ended := said["end"]; !ended || t.Failed() {
		for _, s := range []string{"start", "effect", "undone", "uninstalled", "journal"} {
			t.Logf("%s:\n%s", s, said[s])
		}
	}
	if !strings.Contains(said["uninstalled"], "remove /opt/cni/bin/netmend") {
		t.Errorf("uninstall after the stop: %s", said["uninstalled"])
	}
}

// boot gives what inside.sh wrote, by its sections.
func boot(t *testing.T) map[string]string {
	t.Helper()
	dir, err := os.MkdirTemp("", "netmend-boot")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	bin := filepath.Join(dir, "usr/local/bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, do := range [][]string{
		{"go", "build", "-o", bin, "../../cmd/netmendd", "../../cmd/netmendctl", "../../plugins/netmend"},
		{"cp", unit, "testdata/inside.sh", "testdata/boot.sh", dir},
	} {
		c := exec.Command(do[0], do[1:]...)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", do, err, out)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", filepath.Join(dir, "boot.sh"), dir)
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET | syscall.CLONE_NEWCGROUP,
		// Mounts of this machine and of the new namespace do not concern each other.
		Unshareflags: syscall.CLONE_NEWNS, Setsid: true,
	}
	console, err := c.CombinedOutput()
	log, readErr := os.ReadFile(filepath.Join(dir, "out/log"))
	if err != nil || readErr != nil {
		t.Fatalf("boot: %v, %v: %s", err, readErr, console[max(0, len(console)-4000):])
	}
	said := map[string]string{}
	for _, part := range strings.Split(string(log), "\n== ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		said[name] = text
	}
	return said
}
