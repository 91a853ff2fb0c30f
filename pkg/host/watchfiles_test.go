package host_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// tree is the root of a node that consists of files.
type tree struct {
	t    *testing.T
	root string
}

func newTree(t *testing.T) *tree {
	t.Helper()
	f := &tree{t: t, root: t.TempDir()}
	f.mkdir("/proc")
	return f
}

func (f *tree) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *tree) mkdir(path string) {
	f.t.Helper()
	f.must(os.MkdirAll(filepath.Join(f.root, path), 0o755))
}

// write makes the file's directory too.
func (f *tree) write(path, text string) {
	f.t.Helper()
	f.mkdir(filepath.Dir(path))
	f.must(os.WriteFile(filepath.Join(f.root, path), []byte(text), 0o600))
}

func (f *tree) rename(from, to string) {
	f.t.Helper()
	f.must(os.Rename(filepath.Join(f.root, from), filepath.Join(f.root, to)))
}

func (f *tree) remove(path string) {
	f.t.Helper()
	f.must(os.RemoveAll(filepath.Join(f.root, path)))
}

func (f *tree) link(target, path string) {
	f.t.Helper()
	f.must(os.Symlink(target, filepath.Join(f.root, path)))
}

func (f *tree) host() *host.Host {
	f.t.Helper()
	h, err := host.Open(host.Options{Root: f.root})
	f.must(err)
	f.t.Cleanup(func() { f.must(h.Close()) })
	return h
}

// only says whether a change tells of the kinds and of no other that files tell of; the machine's own links may change meanwhile.
func only(kinds ...facts.Kind) func(host.Change) bool {
	files := []facts.Kind{facts.KindCNIConfig, facts.KindIPAM, facts.KindSysctlFiles}
	return func(c host.Change) bool {
		return has(kinds...)(c) && !slices.ContainsFunc(c.Kinds, func(k facts.Kind) bool { return slices.Contains(files, k) && !slices.Contains(kinds, k) })
	}
}

func pods(c host.Change) bool { return c.Pods && strings.Contains(c.Cause, "netns") }

const hostLocalList = `{"name":"n","cniVersion":"1.0.0","plugins":[{"type":"bridge","ipam":{"type":"host-local","dataDir":"/srv/leases","subnet":"10.1.0.0/24"}}]}`

// TestWatchFiles follows a node from before it has any of the directories. Each step depends on those before it.
func TestWatchFiles(t *testing.T) {
	f := newTree(t)
	for _, dir := range []string{"/etc", "/var/lib", "/run"} {
		f.mkdir(dir)
	}
	w := startWatch(t, f.host())
	for _, tt := range []struct {
		name string
		do   func()
		want func(host.Change) bool
	}{
		{"the first configuration", func() { f.write("/etc/cni/net.d/10-a.conflist", "{") }, only(facts.KindCNIConfig, facts.KindIPAM)},
		{"another", func() { f.write("/etc/cni/net.d/20-b.conf", "{}") }, only(facts.KindCNIConfig, facts.KindIPAM)},
		{"a rewrite", func() { f.write("/etc/cni/net.d/10-a.conflist", hostLocalList) }, only(facts.KindCNIConfig, facts.KindIPAM)},
		{"a reservation where the configuration says", func() { f.write("/srv/leases/n/10.1.0.2", "x") }, only(facts.KindIPAM)},
		{"a second reservation", func() { f.write("/srv/leases/n/10.1.0.3", "x") }, only(facts.KindIPAM)},
		{"one released", func() { f.remove("/srv/leases/n/10.1.0.3") }, only(facts.KindIPAM)},
		{"one in a second network", func() { f.write("/srv/leases/m/10.2.0.3", "x") }, only(facts.KindIPAM)},
		{"one in the usual place", func() { f.write("/var/lib/cni/networks/n/10.1.0.2", "x") }, only(facts.KindIPAM)},
		{"a directory that goes", func() { f.rename("/etc/cni", "/etc/cni.old") }, only(facts.KindCNIConfig, facts.KindIPAM)},
		{"another in its place", func() { f.mkdir("/etc/cni/net.d") }, only(facts.KindCNIConfig, facts.KindIPAM)},
		{"a file in that", func() { f.write("/etc/cni/net.d/10-a.conflist", "{}") }, only(facts.KindCNIConfig, facts.KindIPAM)},
		{"a symbolic link in its place", func() {
			f.write("/srv/one/10-a.conflist", "{}")
			f.write("/srv/two/10-a.conflist", "{}")
			f.remove("/etc/cni/net.d")
			f.link("/srv/one", "/etc/cni/net.d")
		}, only(facts.KindCNIConfig, facts.KindIPAM)},
		{"a file behind the link", func() { f.write("/srv/one/10-a.conflist", "{ }") }, only(facts.KindCNIConfig, facts.KindIPAM)},
		{"a link elsewhere", func() {
			f.link("/srv/two", "/etc/cni/new")
			f.rename("/etc/cni/new", "/etc/cni/net.d")
		}, only(facts.KindCNIConfig, facts.KindIPAM)},
		{"a file behind that", func() { f.write("/srv/two/10-a.conflist", "{ }") }, only(facts.KindCNIConfig, facts.KindIPAM)},
		{"a program", func() { f.write("/opt/cni/bin/bridge", "x") }, only(facts.KindCNIConfig)},
		{"flannel", func() { f.write("/run/flannel/subnet.env", "FLANNEL_MTU=1450") }, only(facts.KindCNIConfig, facts.KindIPAM)},
		{"flannel again", func() {
			f.write("/run/flannel/new", "FLANNEL_MTU=1400")
			f.rename("/run/flannel/new", "/run/flannel/subnet.env")
		}, only(facts.KindCNIConfig, facts.KindIPAM)},
		{"sysctl.d", func() { f.write("/etc/sysctl.d/99-x.conf", "net.ipv4.ip_forward=0") }, only(facts.KindSysctlFiles)},
		{"sysctl.conf", func() { f.write("/etc/sysctl.conf", "net.ipv4.ip_forward=0") }, only(facts.KindSysctlFiles)},
		{"a setting gone", func() { f.remove("/etc/sysctl.d/99-x.conf") }, only(facts.KindSysctlFiles)},
		{"a namespace", func() { f.write("/run/netns/cni-1", "") }, pods},
		{"a namespace gone", func() { f.remove("/run/netns/cni-1") }, pods},
		{"a namespace of docker", func() { f.write("/var/run/docker/netns/1", "") }, pods},
		{"the API server", func() { f.write("/etc/kubernetes/manifests/kube-apiserver.yaml", "x") }, has(facts.KindServiceVIPs)},
		{"kubelet", func() { f.write("/var/lib/kubelet/config.yaml", "x") }, has(facts.KindServiceVIPs)},
	} {
		tt.do()
		if c := w.next(tt.name, tt.want); c.Lost || c.Deaf != "" {
			t.Errorf("%s was told as %+v; want nothing lost", tt.name, c)
		}
		w.quiet(settle / 3)
	}
	for _, path := range []string{
		"/etc/hostname", "/srv/two/.10-a.tmp", "/run/flannel/x", "/srv/leases/n/last_reserved_ip.0", "/srv/leases/n/lock", "/var/lib/kubelet/cpu_manager_state",
		"/var/lib/kubelet/pods/x", "/etc/sysctl.d/README",
	} {
		f.write(path, "x")
	}
	for _, c := range w.quiet(settle) {
		if strings.Contains(c.Cause, "file") {
			t.Errorf("files that nobody reads are told as %+v", c)
		}
	}
}

// TestWatchFilesOverflow: more events than the kernel keeps are told as Lost, and what happens after is heard.
func TestWatchFilesOverflow(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	f := newTree(t)
	f.mkdir("/etc/cni/net.d")
	f.mkdir("/run/netns")
	w := startWatch(t, f.host())
	release := w.block()
	f.write("/etc/cni/net.d/10-a.conf", "{}") // report is in this one while the others happen
	w.next("the event in hand", has(facts.KindCNIConfig))
	a, b := filepath.Join(f.root, "run/netns/a"), filepath.Join(f.root, "run/netns/b")
	f.write("/run/netns/a", "")
	for range most/4 + 1000 { // each is two events, and so is each way back
		f.must(os.Rename(a, b))
		f.must(os.Rename(b, a))
	}
	f.write("/etc/sysctl.d/1.conf", "") // is not told by an event of its own
	release()
	lost := w.next("the overflow", func(c host.Change) bool { return c.Lost })
	if !has(facts.KindCNIConfig, facts.KindIPAM, facts.KindSysctlFiles)(lost) || !lost.Pods {
		t.Errorf("the overflow is told as %+v; want all that files tell of", lost)
	}
	w.quiet(settle)
	f.write("/etc/sysctl.d/2.conf", "")
	w.next("a file in a directory that appeared unheard", only(facts.KindSysctlFiles))
}

// TestWatchRefused runs itself in a namespace of users with few rights: what cannot be heard is named, the rest is told, and what becomes possible is
// heard again.
func TestWatchRefused(t *testing.T) {
	if os.Getenv("NETMEND_WATCH_REFUSED") != "" {
		watchRefused(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root for a namespace of users")
	}
	const few = "echo 4 > /proc/sys/user/max_inotify_watches; exec \"$@\""
	c := exec.Command("unshare", "-Ur", "sh", "-ec", few, "sh", os.Args[0], "-test.run=^TestWatchRefused$", "-test.v")
	c.Env = append(os.Environ(), "NETMEND_WATCH_REFUSED=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("in a namespace of users: %v\n%s", err, out)
	}
}

func watchRefused(t *testing.T) {
	f := newTree(t)
	f.mkdir("/etc/cni/net.d")
	f.mkdir("/opt")
	h := f.host()
	changes := make(chan host.Change, 1000)
	go func() { _ = h.Watch(t.Context(), func(c host.Change) { changes <- c }) }()
	first := <-changes
	for _, want := range []string{"watch nftables: ", "max_user_watches"} {
		if !strings.Contains(first.Deaf, want) {
			t.Errorf("deaf to %q; want %q in it", first.Deaf, want)
		}
	}
	f.must(os.WriteFile("/proc/sys/user/max_inotify_watches", []byte("1000"), 0))
	for i := 0; ; i++ {
		f.write("/etc/cni/net.d/10-a.conf", fmt.Sprint(i))
		c := <-changes
		if !strings.Contains(c.Deaf, "max_user_watches") {
			if !c.Lost || !has(facts.KindCNIConfig, facts.KindIPAM, facts.KindSysctlFiles)(c) {
				t.Errorf("heard again: %+v; want all that files tell of", c)
			}
			return
		}
	}
}
