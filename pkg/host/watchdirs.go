package host

import (
	"net/netip"
	"path"
	"path/filepath"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// watchedDir is a directory of the node that is watched, and what a change in it means.
type watchedDir struct {
	path  string
	wants func(name string, isDir bool) bool // which of its names matter
	kinds []facts.Kind
	pods  bool
	leads bool                          // what is in it says which other directories are watched
	sub   func(name string) *watchedDir // of the directories in it; nil where they are not watched
}

// changed adds what a change in the directory means, or of the directory itself where there is no name.
func (d *watchedDir) changed(name string, c *changes) {
	c.kinds(d.kinds...)
	c.Pods = c.Pods || d.pods
	c.cause("file", path.Join(d.path, name))
}

// watchedDirs are the directories from which facts are read. Those of host-local depend on the CNI configuration.
func (h *Host) watchedDirs() []*watchedDir {
	var all []*watchedDir
	for _, d := range cniDirs() {
		all = append(all,
			// host-local's ranges and directories stand in the CNI configuration.
			&watchedDir{path: d[0], wants: suffixes(".conf", ".conflist", ".json"), kinds: []facts.Kind{facts.KindCNIConfig, facts.KindIPAM}, leads: true},
			&watchedDir{path: d[1], wants: anyName, kinds: []facts.Kind{facts.KindCNIConfig}})
	}
	for _, d := range sysctlFileDirs() {
		all = append(all, &watchedDir{path: d, wants: suffixes(".conf"), kinds: []facts.Kind{facts.KindSysctlFiles}})
	}
	for _, d := range []string{"/run/netns", "/var/run/netns", "/run/docker/netns", "/var/run/docker/netns"} {
		all = append(all, &watchedDir{path: d, wants: anyName, pods: true})
	}
	for _, d := range h.hostLocalDirs() {
		all = append(all, &watchedDir{
			path: d, wants: func(_ string, isDir bool) bool { return isDir }, kinds: []facts.Kind{facts.KindIPAM},
			sub: func(name string) *watchedDir {
				return &watchedDir{path: path.Join(d, name), wants: isReservation, kinds: []facts.Kind{facts.KindIPAM}}
			},
		})
	}
	return append(all,
		&watchedDir{path: "/etc/kubernetes/manifests", wants: oneName("kube-apiserver.yaml"), kinds: []facts.Kind{facts.KindServiceVIPs}},
		&watchedDir{path: "/var/lib/kubelet", wants: oneName("config.yaml"), kinds: []facts.Kind{facts.KindServiceVIPs}},
		&watchedDir{path: path.Dir(sysctlConf), wants: oneName(path.Base(sysctlConf)), kinds: []facts.Kind{facts.KindSysctlFiles}},
		&watchedDir{path: "/run/flannel", wants: oneName("subnet.env"), kinds: []facts.Kind{facts.KindCNIConfig, facts.KindIPAM}})
}

// hostLocalDirs are the usual one and those that the CNI configuration names. A configuration that cannot be read names none.
func (h *Host) hostLocalDirs() []string {
	dirs := []string{hostLocalDir}
	c, err := h.readCNI(cniThorough)
	if err != nil {
		return dirs
	}
	for _, l := range c.hostLocal {
		if dir := path.Clean(l.dir); path.IsAbs(dir) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func anyName(string, bool) bool { return true }

func oneName(want string) func(string, bool) bool {
	return func(name string, _ bool) bool { return name == want }
}

func suffixes(of ...string) func(string, bool) bool {
	return func(name string, _ bool) bool { return slices.Contains(of, filepath.Ext(name)) }
}

// isReservation tells host-local's reservations from its other files, which it writes for each pod.
func isReservation(name string, _ bool) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}
