package guest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }

// usualSets is how many random sets of Services kube-proxy programs in IPVS mode. It runs ipset for each entry of its sets, which takes the emulated processor so
// long that there are fewer than in namespaces; NETMEND_SETS=200 go test -timeout 2h ./test/guest has as many.
const usualSets = 25

// limits are far above what the emulator needs on a slow machine: for the tests of package inside, and for the guest as a whole, which must not hang the run.
func limits(sets int) (inside, guest time.Duration) {
	inside = 20*time.Minute + time.Duration(max(0, sets-usualSets))*20*time.Second
	return inside, inside + 12*time.Minute
}

func randomSets(t *testing.T) int {
	t.Helper()
	text := os.Getenv("NETMEND_SETS")
	if text == "" {
		return usualSets
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("NETMEND_SETS=%s: not a number of sets", text)
	}
	return n
}

// TestGuest boots the guest once and reports each test that ran there as its own.
func TestGuest(t *testing.T) {
	dir := t.TempDir()
	initrd := filepath.Join(dir, "initrd")
	inside, nodes := testProgram(t, dir, "./inside"), testProgram(t, dir, "../e2e")
	plugin := filepath.Join(dir, "netmend")
	if err := lab.Build(plugin, "./plugins/netmend"); err != nil {
		t.Fatal(err)
	}
	want := append(listTests(t, inside, "^Test"), listTests(t, nodes, nodeTests)...)
	kernel := lab.Cache(t, "kernel")
	err := image(initrd, kernel, map[string]string{
		"usr/bin/inside":      inside,
		"usr/bin/nodes":       nodes,
		"usr/bin/netmendctl":  os.Getenv("NETMENDCTL"),
		"usr/bin/netmend":     plugin,
		"usr/sbin/kube-proxy": filepath.Join(lab.Cache(t, "kubernetes"), "kube-proxy"),
	})
	if err != nil {
		t.Fatalf("make the guest's initramfs: %v", err)
	}
	cluster := lab.NewCluster(t)
	cluster.CreateNode("guest", "10.0.2.15")
	cluster.CreateKinds("guest", "other", "third")
	sets := randomSets(t)
	within, limit := limits(sets)
	results, _ := boot(t, cluster.NS, dir, filepath.Join(kernel, "vmlinuz"), initrd, limit, fmt.Sprintf("NETMEND_SETS=%d", sets), fmt.Sprintf("NETMEND_LIMIT=%s", within))
	for _, name := range want {
		t.Run(name, func(t *testing.T) {
			switch r, ran := results[name]; {
			case !ran:
				t.Error("did not run to its end in the guest")
			case r.verdict != "PASS":
				t.Errorf("%s in the guest:\n%s", r.verdict, r.output)
			default:
				t.Logf("in the guest:\n%s", r.output)
			}
		})
	}
}

// BenchmarkGuest boots the guest and runs the benchmarks of package inside there: of what the kernel at hand may not have.
func BenchmarkGuest(b *testing.B) {
	dir := b.TempDir()
	initrd, rules := filepath.Join(dir, "initrd"), filepath.Join(dir, "rules")
	if err := lab.Build(rules, "./test/bench/rules"); err != nil {
		b.Fatal(err)
	}
	kernel := lab.Cache(b, "kernel")
	err := image(initrd, kernel, map[string]string{"usr/bin/inside": testProgram(b, dir, "./inside"), "usr/bin/netmendctl": os.Getenv("NETMENDCTL"), "usr/bin/rules": rules})
	if err != nil {
		b.Fatalf("make the guest's initramfs: %v", err)
	}
	const within = 20 * time.Minute
	_, text := boot(b, lab.NewNS(b, "emulator"), dir, filepath.Join(kernel, "vmlinuz"), initrd, within+5*time.Minute, "NETMEND_BENCH=1", fmt.Sprintf("NETMEND_LIMIT=%s", within))
	fmt.Println(text)
	if !regexp.MustCompile(`(?m)^PASS$`).MatchString(text) {
		b.Error("the benchmarks have not passed in the guest")
	}
}

// testProgram builds a package's tests to run elsewhere.
func testProgram(t testing.TB, dir, pkg string) string {
	t.Helper()
	program := filepath.Join(dir, filepath.Base(pkg))
	build := exec.Command("go", "test", "-c", "-trimpath", "-o", program, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

func listTests(t *testing.T, program, pattern string) []string {
	t.Helper()
	cmd := exec.Command(program, "-test.list", pattern)
	cmd.Env = append(os.Environ(), "NETMEND_GUEST=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("list the guest's tests: %v", err)
	}
	names := strings.Fields(string(out))
	if len(names) == 0 {
		t.Fatalf("%s has no tests", program)
	}
	return names
}

type result struct{ verdict, output string }

// boot runs the guest and collects its tests' results from the second serial port; the first is the console. The emulator runs in the control
// plane's namespace: its user-mode network makes 10.0.2.2 of the guest that namespace's loopback.
func boot(t testing.TB, ns *lab.NS, dir, kernel, initrd string, limit time.Duration, environment ...string) (results map[string]result, text string) {
	t.Helper()
	// The emulator dies with the thread that started it, so that it does not outlive a run that is cut off.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	console := filepath.Join(dir, "console")
	// The hardware acceleration of a virtual machine's virtual machine is not there, slow or hangs, depending on the machine; emulation is the same everywhere.
	cmd := ns.Command("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "2048", "-display", "none", "-no-reboot", "-monitor", "none",
		"-kernel", kernel, "-initrd", initrd, "-append", strings.Join(append([]string{"console=ttyS0 panic=-1 quiet"}, environment...), " "), // what the kernel does not know becomes init's environment
		"-serial", "file:"+console, "-serial", "stdio",
		"-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the emulator: %v", err)
	}
	late := time.AfterFunc(limit, func() { cmd.Process.Kill() })
	results, text = collect(bufio.NewScanner(out))
	err = cmd.Wait()
	if !late.Stop() {
		t.Errorf("the guest did not end within %s", limit)
	}
	if !strings.Contains(text, "GUEST END") {
		log, _ := os.ReadFile(console) // what there is of it
		t.Errorf("the guest ended without a word (%v)\nits tests:\n%s\nits console:\n%s", err, last(text, 4000), last(string(log), 4000))
	}
	return results, text
}

// closing matches the line that ends a test: "--- PASS: TestX (0.10s)".
var closing = regexp.MustCompile(`^--- (PASS|FAIL|SKIP): (\w+) \(`)

// switching matches the lines that say whose output follows: "=== RUN   TestX", "=== NAME  TestX/part".
var switching = regexp.MustCompile(`^=== (?:RUN|CONT|NAME) +(\w+)`)

// collect reads the output of go test -v. What a test printed stands behind the lines that name it, and what failed behind the one that ends it.
func collect(lines *bufio.Scanner) (results map[string]result, text string) {
	results = map[string]result{}
	output := map[string]*strings.Builder{}
	var all strings.Builder
	name := ""
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		fmt.Fprintln(&all, line)
		if m := switching.FindStringSubmatch(line); m != nil {
			name = m[1]
		}
		m := closing.FindStringSubmatch(line)
		if m != nil {
			name = m[2]
		}
		if output[name] == nil {
			output[name] = &strings.Builder{}
		}
		fmt.Fprintln(output[name], line)
		if m != nil {
			results[name] = result{verdict: m[1]}
		}
	}
	for name, r := range results {
		r.output = output[name].String()
		results[name] = r
	}
	return results, all.String()
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }

func TestCollect(t *testing.T) {
	in := "=== RUN   TestA\r\n    a.go:1: fine\r\n--- PASS: TestA (0.1s)\r\n=== RUN   TestB\n=== RUN   TestB/x\n    --- FAIL: TestB/x (0s)\n" +
		"--- FAIL: TestB (0.2s)\n    b.go:2: why\n=== RUN   TestC\n=== NAME  TestA\n    a.go:9: late\n"
	got, _ := collect(bufio.NewScanner(strings.NewReader(in)))
	if got["TestA"].verdict != "PASS" || !strings.Contains(got["TestA"].output, "a.go:9: late") || got["TestB"].verdict != "FAIL" || !strings.Contains(got["TestB"].output, "b.go:2: why") {
		t.Errorf("collect: %+v", got)
	}
	if r, ok := got["TestC"]; ok {
		t.Errorf("collect: a test that never ended is %+v", r)
	}
}
