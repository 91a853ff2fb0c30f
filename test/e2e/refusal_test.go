package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netmend/netmend/test/e2e/lab"
)

// asNobody is a command of netmendctl without any privilege.
func asNobody(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "netmend-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(lab.Netmendctl().Path)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "netmendctl")
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("setpriv", append([]string{"--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", program}, args...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	return cmd
}

// TestRefusals checks that what cannot be audited is told in one clear line, with exit code 2.
func TestRefusals(t *testing.T) {
	t.Parallel()
	n := lab.NewNode(t, "node")
	unreadable := t.TempDir()
	for _, dir := range []string{"proc", "etc"} {
		if err := os.Mkdir(filepath.Join(unreadable, dir), 0o000); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		cmd  *exec.Cmd
		want string // in the line
	}{
		{"no permission to enter a namespace", asNobody(t, "audit", "--netns", n.Path), "ermi"},
		{"a root that may not be read", asNobody(t, "audit", "--root", unreadable), "permission denied"},
		{"a root that does not exist", lab.Netmendctl("audit", "--root", "/nonexistent"), "/nonexistent"},
		{"a root without proc", lab.Netmendctl("audit", "--root", t.TempDir()), "proc"},
		{"no such namespace", lab.Netmendctl("audit", "--netns", "/run/netns/nonexistent"), "/run/netns/nonexistent"},
		{"no namespace at all", lab.Netmendctl("audit", "--netns", "/etc/passwd"), "/etc/passwd"},
		{"a namespace of another kind", lab.Netmendctl("audit", "--netns", "/proc/self/ns/mnt"), "/proc/self/ns/mnt"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs strings.Builder
			tt.cmd.Stdout, tt.cmd.Stderr = &out, &errs
			err := tt.cmd.Run()
			if got := tt.cmd.ProcessState.ExitCode(); got != 2 {
				t.Errorf("exit %d (%v); want 2", got, err)
			}
			line := errs.String()
			if strings.Count(line, "\n") != 1 || !strings.Contains(line, tt.want) || out.Len() > 0 {
				t.Errorf("standard error %q, standard output %q; want one line with %q on standard error", line, out.String(), tt.want)
			}
		})
	}
}

// TestWithoutRoot checks that a person without root gets a report that says what could not be looked at, and takes nothing unseen for healthy or broken.
func TestWithoutRoot(t *testing.T) {
	t.Parallel()
	out, err := asNobody(t, "audit").CombinedOutput()
	if code := err; code != nil {
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if !strings.Contains(string(out), "run as root") {
		t.Errorf("the report does not say what root would see:\n%s", out)
	}
}
