package host

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// maxCNIFiles bounds the configuration files that are read; a node has one or two.
const maxCNIFiles = 256

// cniDirs are where container runtimes look for CNI configuration and programs: the usual places, then those of k3s, which has its own.
func cniDirs() [][2]string {
	return [][2]string{
		{"/etc/cni/net.d", "/opt/cni/bin"},
		{"/var/lib/rancher/k3s/agent/etc/cni/net.d", "/var/lib/rancher/k3s/data/current/bin"},
	}
}

// otherBinDirs are where distributions keep CNI programs that the runtime is then told of. A program that is there and not in the usual place may be
// found or not.
func otherBinDirs() []string {
	return []string{
		"/usr/lib/cni", "/usr/libexec/cni", "/usr/local/libexec/cni", // packages; nerdctl
		"/home/kubernetes/bin", // GKE
		"/var/lib/cni/bin",     // OpenShift
		"/var/lib/rancher/k3s/data/cni", "/var/lib/rancher/k3s/data/current/bin",
		"/var/snap/microk8s/current/opt/cni/bin", "/snap/microk8s/current/opt/cni/bin",
	}
}

// CNI reads the configuration directory of the container runtime and flannel's subnet file. A node without the directory has no files. What cannot be
// used in one file is that file's Error, as it is for the runtime; a file that may not be read is an error.
func (h *Host) CNI() (*facts.CNI, error) {
	c, err := h.readCNI(cniThorough)
	if err != nil {
		return nil, fmt.Errorf("read CNI configuration: %w", err)
	}
	return &c.CNI, nil
}

// cniConfig is the configuration with what host-local needs of it beside.
type cniConfig struct {
	facts.CNI
	hostLocal []hostLocal
}

func (h *Host) readCNI(brief bool) (*cniConfig, error) {
	c := &cniConfig{}
	dirs := cniDirs()
	c.Dir, c.BinDir = dirs[0][0], dirs[0][1]
	for _, d := range dirs {
		if h.existsIn(d[0]) {
			c.Dir, c.BinDir = d[0], d[1]
			break
		}
	}
	env, err := h.flannelEnv("/run/flannel/subnet.env")
	if err != nil {
		return nil, err
	}
	c.Flannel = env
	names, err := h.cniNames(c.Dir, ".conf", ".conflist", ".json")
	if err != nil {
		return nil, err
	}
	programs := h.existsIn(c.BinDir)
	for _, name := range names {
		data, err := h.readIn(filepath.Join(c.Dir, name))
		if errors.Is(err, fs.ErrPermission) {
			return nil, err
		}
		p := cniParser{brief: brief, flannel: env, inlined: func(network string) ([][]byte, error) { return h.inlined(c.Dir, network) }}
		f := facts.CNIFile{Name: name}
		if err == nil {
			f, err = p.parse(name, data)
		}
		if err != nil {
			f = facts.CNIFile{Name: name, Error: err.Error()}
			p.hostLocal = nil
		}
		for i := range f.Plugins {
			if programs {
				f.Plugins[i].Binary = h.cniBinary(c.BinDir, f.Plugins[i].Type)
			}
		}
		c.Files = append(c.Files, f)
		c.hostLocal = append(c.hostLocal, p.hostLocal...)
	}
	return c, nil
}

// cniNames lists the files of a directory by their suffixes in name order, as libcni's ConfFiles does; none where there is no directory.
func (h *Host) cniNames(dir string, suffixes ...string) ([]string, error) {
	entries, err := h.dirIn(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && slices.Contains(suffixes, filepath.Ext(e.Name())) {
			names = append(names, e.Name())
		}
	}
	if len(names) > maxCNIFiles {
		return nil, fmt.Errorf("%s holds more than %d files", dir, maxCNIFiles)
	}
	return names, nil
}

// inlined reads the plugins that CNI 1.1 lets stand in files of their own, in a directory with the network's name.
func (h *Host) inlined(dir, network string) ([][]byte, error) {
	if network == "" || strings.ContainsRune(network, '/') || network == ".." || network == "." {
		return nil, nil
	}
	dir = filepath.Join(dir, network)
	names, err := h.cniNames(dir, ".conf")
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, name := range names {
		data, err := h.readIn(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

// cniBinary says whether a plugin's program is in the directory; nil where the program is in another one that the runtime may have been told of.
func (h *Host) cniBinary(dir, plugin string) *bool {
	if plugin != filepath.Base(plugin) {
		return nil
	}
	if h.program(dir, plugin) {
		return new(true)
	}
	if slices.ContainsFunc(otherBinDirs(), func(other string) bool { return h.program(other, plugin) }) {
		return nil
	}
	return new(false)
}

func (h *Host) program(dir, name string) bool {
	st, err := h.statIn(filepath.Join(dir, name))
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}
