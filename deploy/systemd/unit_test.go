package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const unit = "netmendd.service"

// worst is the exposure, in tenths, that systemd may attest. A service without any restriction has 96.
const worst = "35"

// analyze runs systemd-analyze on the unit, with a program that is here in the daemon's place.
func analyze(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getuid() != 0 {
			t.Skip("systemd-analyze is not here, and only root can install it")
		}
		t.Fatal(err)
	}
	data, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), unit)
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(data), "/usr/local/bin/netmendd", "/bin/true")), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", append(args, path)...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestVerify(t *testing.T) {
	if out := analyze(t, "verify", "--man=no", "--recursive-errors=no"); strings.Contains(out, unit) {
		t.Errorf("systemd-analyze verify says: %s", out)
	}
}

func TestSecurity(t *testing.T) {
	out := analyze(t, "security", "--offline=yes", "--no-pager", "--threshold="+worst)
	t.Log(out[strings.LastIndex(out, "Overall"):])
}
