package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// run is one measured run of a program.
type run struct {
	wall     time.Duration
	resident int64 // the most that it ever had, in KiB
}

// measure runs a whole process, from its start to its end. Findings of an audit, exit code 1, are no failure.
func measure(b *testing.B, cmd *exec.Cmd) run {
	b.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	start := time.Now()
	err := cmd.Run()
	wall := time.Since(start)
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		b.Fatalf("%v: %v: %s", cmd.Args, err, errs.String())
	}
	return run{wall: wall, resident: cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss}
}

// quiet waits until the programs that this process has started use next to no processor time: kube-proxy and the API server have work to do for a while after many Services
// were made, and what is measured meanwhile is how often they are in the way.
func quiet(b *testing.B) {
	b.Helper()
	const pause = 3 * time.Second
	last := time.Duration(-1)
	lab.WaitFor(b, 5*time.Minute, "the cluster to have nothing to do", func() (bool, string) {
		used := childrenTime(b)
		busy := used - last
		idle := last >= 0 && busy < pause/20
		last = used
		if !idle {
			time.Sleep(pause)
		}
		return idle, fmt.Sprintf("%s of processor time in %s", busy, pause)
	})
}

// childrenTime is how long this process's children have run.
func childrenTime(b *testing.B) (sum time.Duration) {
	b.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(data), ") ") // the name may hold anything before it
		fields := strings.Fields(rest)
		if len(fields) < 13 || fields[1] != strconv.Itoa(os.Getpid()) {
			continue
		}
		for _, f := range fields[11:13] { // utime and stime of proc_pid_stat(5), in hundredths of a second
			ticks, err := strconv.Atoi(f)
			if err != nil {
				b.Fatal(err)
			}
			sum += time.Duration(ticks) * 10 * time.Millisecond
		}
	}
	return sum
}

// audit is the command of a whole audit, whose report nobody reads.
func audit(n *lab.Node, args ...string) *exec.Cmd {
	return lab.Netmendctl(append([]string{"audit", "--netns", n.Path, "--root", n.Root}, args...)...)
}

// median is that of the wall times.
func median(runs []run) time.Duration {
	runs = slices.SortedFunc(slices.Values(runs), func(a, b run) int { return int(a.wall - b.wall) })
	return runs[len(runs)/2].wall
}

func most(runs []run) (kib int64) {
	for _, r := range runs {
		kib = max(kib, r.resident)
	}
	return kib
}

// ratio prints a result and holds it to its limit.
func ratio(b *testing.B, name string, value, limit float64, how string) {
	b.Helper()
	fmt.Printf("\nratio %s %.3f\n  %s; at most %.2f\n", name, value, how, limit)
	if value > limit {
		b.Errorf("%s is %.3f, more than %.2f", name, value, limit)
	}
}

// goal prints a ratio whose limit cannot be held here: being over it is said and fails nothing.
func goal(name string, value, limit float64, how string) {
	verdict := "reached"
	if value > limit {
		verdict = "not reached"
	}
	fmt.Printf("\nratio %s %.3f\n  %s; the goal of at most %.2f is %s\n", name, value, how, limit, verdict)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
