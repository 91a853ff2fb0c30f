package host

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// Bounds of the sysctl files that are read.
const (
	maxSysctlFiles    = 1024
	maxSysctlSettings = 1 << 14
)

// sysctlConf is read by sysctl --system behind all others (sysctl(8)), by systemd-sysctl only where a link in a directory leads to it.
const sysctlConf = "/etc/sysctl.conf"

// sysctlFileDirs are the directories of sysctl.d(5); a file masks those of the same name in the directories behind its own.
func sysctlFileDirs() []string {
	return []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"}
}

// SysctlFiles lists the settings below net of the files that set sysctls at boot, in the order in which they apply: the directories of sysctl.d(5)
// taken together in the order of the files' names, then /etc/sysctl.conf. Lines that only except a name from a pattern are left out.
func (h *Host) SysctlFiles() ([]facts.SysctlSetting, error) {
	paths, err := h.sysctlPaths()
	if err != nil {
		return nil, fmt.Errorf("list sysctl files: %w", err)
	}
	var all []facts.SysctlSetting
	for _, path := range paths {
		data, err := h.readIn(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read sysctl files: %w", err)
		}
		all = append(all, parseSysctlFile(path, string(data))...)
		if len(all) > maxSysctlSettings {
			return nil, fmt.Errorf("read sysctl files: more than %d settings", maxSysctlSettings)
		}
	}
	return all, nil
}

// sysctlPaths gives the files in the order in which they apply.
func (h *Host) sysctlPaths() ([]string, error) {
	where := map[string]string{}
	for _, dir := range sysctlFileDirs() {
		entries, err := h.dirIn(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".conf") && !e.IsDir() && where[e.Name()] == "" {
				where[e.Name()] = filepath.Join(dir, e.Name())
			}
		}
		if len(where) > maxSysctlFiles {
			return nil, fmt.Errorf("more than %d files", maxSysctlFiles)
		}
	}
	var paths []string
	conf, err := h.statIn(sysctlConf)
	last := err == nil
	for _, name := range slices.Sorted(maps.Keys(where)) {
		paths = append(paths, where[name])
		if st, err := h.statIn(where[name]); err == nil && last && os.SameFile(st, conf) {
			last = false // Debian and Red Hat link it as 99-sysctl.conf
		}
	}
	if last {
		paths = append(paths, sysctlConf)
	}
	return paths, nil
}

// parseSysctlFile reads key = value lines (sysctl.d(5)).
func parseSysctlFile(path, text string) []facts.SysctlSetting {
	var all []facts.SysctlSetting
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key = sysctlKey(strings.TrimSpace(strings.TrimPrefix(key, "-")))
		if ok && strings.HasPrefix(key, "net/") {
			all = append(all, facts.SysctlSetting{File: path, Line: number, Key: key, Value: strings.Join(strings.Fields(value), " ")})
		}
	}
	return all
}

// sysctlKey turns a name into a path below /proc/sys. A name whose first separator is a dot has dots for separators, and slashes where a device's name
// holds dots.
func sysctlKey(name string) string {
	i := strings.IndexAny(name, "./")
	if i < 0 || name[i] == '/' {
		return strings.TrimPrefix(name, "/")
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, name)
}
