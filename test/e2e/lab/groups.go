package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const groupsDir = "/sys/fs/cgroup"

// The shell's control groups are where it was started, which is where it may make others: the limits that hold for it hold for them.
const (
	eachGroup = `while IFS=: read -r _ name path; do
	name=${name#name=}
	[ "${path##*/}" = "$GROUP" ] || path=${path%/}/$GROUP
	dir=` + groupsDir + `/${name:-unified}$path
`
	makeGroups = eachGroup + `	mkdir "$dir"
	if [ "$name" = cpuset ]; then # a new group may use nothing
		for what in cpus mems; do cat "${dir%/*}/cpuset.$what" >"$dir/cpuset.$what"; done
	fi
done </proc/self/cgroup
`
	joinGroups = `groups=$(cat /proc/self/cgroup)
` + eachGroup + `	echo $$ >"$dir/cgroup.procs"
done <<<"$groups"
`
)

// sweepGroups ends what runs in the control groups of the processes that gone approves, and removes them.
func sweepGroups(gone func(pid int) bool) {
	for _, dir := range groups(func(name string) bool { return ours(name, gone) }) {
		_ = removeGroup(dir) // it is tried again by the next run
	}
}

// ours says whether a name is one that the lab gave in a process that gone approves.
func ours(name string, gone func(pid int) bool) bool {
	rest, ours := strings.CutPrefix(name, prefix)
	number, _, _ := strings.Cut(rest, "-")
	pid, err := strconv.Atoi(number)
	return ours && err == nil && gone(pid)
}

// removeGroups removes the control groups of a machine, and ends what still runs in them.
func removeGroups(name string) error {
	var all error
	for _, dir := range groups(func(other string) bool { return other == name }) {
		all = errors.Join(all, removeGroup(dir))
	}
	return all
}

// groups are the directories of control groups with a name, in all hierarchies.
func groups(named func(string) bool) (dirs []string) {
	_ = filepath.WalkDir(groupsDir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && named(d.Name()) { // one that vanished is none
			dirs = append(dirs, path)
			return filepath.SkipDir
		}
		return nil
	})
	return dirs
}

func removeGroup(dir string) error {
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		var inner []string
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				inner = append(inner, path)
			}
			return nil
		})
		slices.Reverse(inner) // a directory comes before what is in it
		for _, path := range inner {
			procs, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
			if err != nil {
				continue // it is gone
			}
			for field := range strings.FieldsSeq(string(procs)) {
				if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
					_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone
				}
			}
			_ = os.Remove(path) // once it is empty
		}
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the control group %s cannot be removed", dir)
		}
	}
}
