package cluster

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// others are the paths below a node's root in which others than netmend write as time goes on, with who they are.
var others = map[string]string{
	"dev": "the machine", "proc": "the kernel", "sys": "the kernel", "usr": "the machine", "tmp": "kubectl and others that pass through",
	"var/lib/containerd": "containerd", "run/containerd": "containerd", "var/lib/kubelet": "kubelet", "run/netns": "the CNI library",
	"var/log/pods": "kubelet", "var/log/containers": "kubelet", "var/lib/cni/networks": "host-local", "var/lib/cni/results": "the CNI library",
	"var/log/netmend.log": "the plugin, because the test asked it to",
}

// files are all other files of a node, each with its kind, mode, owner and content.
func (w *worker) files() map[string]string {
	w.t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(w.Root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went away meanwhile
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(w.Root, path)
		if err != nil {
			return err
		}
		if _, skip := others[name]; skip {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		found[name], err = describe(path, d)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

func describe(path string, d fs.DirEntry) (string, error) {
	info, err := d.Info()
	if err != nil {
		return "", err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("%s has no owner", path)
	}
	text := fmt.Sprintf("%v %d:%d", info.Mode(), owner.Uid, owner.Gid)
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return text + " -> " + target, err
	case info.Mode().IsRegular():
		data, err := os.ReadFile(path)
		return fmt.Sprintf("%s %x", text, sha256.Sum256(data)), err
	}
	return text, nil
}

// differences are what two looks at the files do not have alike.
func differences(before, after map[string]string) string {
	var lines []string
	for path, was := range before {
		if is, ok := after[path]; !ok {
			lines = append(lines, "- "+path+" "+was)
		} else if is != was {
			lines = append(lines, "! "+path+" "+was+", now "+is)
		}
	}
	for path, is := range after {
		if _, ok := before[path]; !ok {
			lines = append(lines, "+ "+path+" "+is)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// knobs are what of the node's kernel netmend may change.
func (w *worker) knobs() string {
	w.t.Helper()
	return w.Sh("ethtool -k flannel.1; sysctl net.ipv4.ip_forward net.ipv4.conf.all.forwarding net.ipv4.conf.all.rp_filter net.ipv4.conf.eth0.rp_filter; ip -o link show type vxlan; ip -o link show type bridge")
}
