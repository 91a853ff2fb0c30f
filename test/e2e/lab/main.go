package lab

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

// programVariable names the netmendctl to test; empty: the one of this source tree.
const programVariable = "NETMENDCTL"

// Main runs a package's tests, as os.Exit(lab.Main(m.Run)) in TestMain: it builds netmendctl, and takes away what an interrupted run left. Without
// root there is nothing to test with, and it says so.
func Main(run func() int) int {
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: network namespaces need root")
		return 0
	}
	code, err := main(run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		return 1
	}
	return code
}

func main(run func() int) (int, error) {
	done, err := Prepare()
	if err != nil {
		return 0, err
	}
	defer done()
	return run(), nil
}

// Prepare builds netmendctl where the caller has not named one, and removes leftovers: those of runs that are over now, and those of this one when it
// is interrupted. Temporary files of this process go where done removes them. The caller calls done at the end.
func Prepare() (done func(), err error) {
	sweep(func(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
	dir, err := os.MkdirTemp("", "netmend-lab-")
	if err != nil {
		return nil, err
	}
	done = func() { os.RemoveAll(dir) }
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-stop
		sweep(func(pid int) bool { return pid == os.Getpid() })
		done()
		os.Exit(130)
	}()
	if err := os.Setenv("TMPDIR", dir); err != nil {
		return nil, err
	}
	if os.Getenv(programVariable) != "" {
		return done, nil
	}
	program := filepath.Join(dir, "netmendctl")
	if err := Build(program, "./cmd/netmendctl"); err != nil {
		done()
		return nil, err
	}
	return done, os.Setenv(programVariable, program)
}

// Build builds a static program of this source tree.
func Build(program, pkg string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-o", program, pkg)
	cmd.Dir = Source()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// Source is the directory of this source tree; it is known only where the program was built.
func Source() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// Cache gives the directory of what scripts/cache.sh makes: kubernetes, cni or kernel.
func Cache(t TB, what string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(Source(), "scripts", "cache.sh"), what)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("scripts/cache.sh %s: %v", what, err)
	}
	return string(out[:max(0, len(out)-1)])
}
