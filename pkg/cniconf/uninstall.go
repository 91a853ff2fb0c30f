package cniconf

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// removal is a plan that takes netmend out of every file.
type removal struct {
	plan
	k    *Keeper
	rec  *record
	open []string // names of files in which netmend stays
}

// planUninstall plans every chain first, then the program. What cannot be taken out now keeps the program where it is.
func (k *Keeper) planUninstall() (*plan, error) {
	r := &removal{k: k}
	var err error
	if r.rec, err = k.record(); err != nil {
		return &plan{}, err
	}
	files, err := k.files()
	if err != nil {
		return &plan{}, err
	}
	var converted []string
	for i := range r.rec.Files {
		rf := &r.rec.Files[i]
		if rf.From == "" {
			continue
		}
		converted = append(converted, rf.Name)
		var list *confFile
		if at := slices.IndexFunc(files, func(f confFile) bool { return f.name == rf.Name }); at >= 0 {
			list = &files[at]
		}
		r.unconvert(rf, list)
	}
	for i := range files {
		if f := &files[i]; !slices.Contains(converted, f.name) {
			r.clean(f)
		}
	}
	r.then = &record{Version: recordVersion}
	for _, f := range r.rec.Files {
		if slices.Contains(r.open, f.Name) {
			r.then.Files = append(r.then.Files, f)
		}
	}
	r.program()
	return &r.plan, nil
}

// program plans the end of the program, where nobody needs it.
func (r *removal) program() {
	path := r.k.program()
	if !exists(path) {
		return
	}
	if len(r.open) > 0 {
		r.out.Kept = "these may still name it: " + strings.Join(r.open, ", ") + ": repair them or move them away, then run uninstall again"
		return
	}
	if n := r.k.users(); n > 0 {
		r.out.Kept = fmt.Sprintf("%d pods were made with it, and CRI-O needs it to take them down: run uninstall again when they are gone", n)
		return
	}
	r.add(Step{Op: Remove, Path: path})
}

// clean takes netmend out of one file: with the bytes of before where nobody has written since, else by an edit.
func (r *removal) clean(f *confFile) {
	if !f.mentions() {
		return
	}
	if rf := r.rec.find(f.name); rf != nil && rf.current(f.data) && len(rf.Original) > 0 {
		r.add(Step{Op: Write, Path: f.path, Old: f.data, New: rf.Original, owner: ownerOf(f.info)})
		return
	}
	r.strip(f)
}

func (r *removal) strip(f *confFile) {
	if f == nil || !f.mentions() {
		return
	}
	path, err := filepath.Join(r.k.o.ConfDir, f.name), f.err
	var without []byte
	if err == nil && filepath.Ext(f.name) != ".conflist" {
		err = errAlone
	}
	if err == nil {
		without, err = remove(f.data)
	}
	if err != nil {
		r.open = append(r.open, f.name)
		if errors.Is(err, errAlone) {
			r.warn("%s: %v", path, err)
		} else {
			r.warn("%s names netmend and cannot be used: %v", path, err)
		}
		return
	}
	r.add(Step{Op: Write, Path: f.path, Old: f.data, New: without, owner: ownerOf(f.info)})
}

// unconvert gives the single-plugin file its name back and removes the list, in this order, so that there is a configuration at every moment. A file of
// that name that somebody has written since is newer than the saved one.
func (r *removal) unconvert(rf *recordFile, list *confFile) {
	dir := r.k.o.ConfDir
	conf, saved := filepath.Join(dir, rf.From), filepath.Join(dir, savedName(rf.From))
	data, _, savedErr := readRegular(saved, maxFile)
	hasConf, hasSaved := exists(conf), savedErr == nil
	ours := list != nil && rf.wrote(list.data)
	switch {
	case ours && (hasConf || hasSaved):
		if !hasConf {
			r.add(Step{Op: Rename, Path: saved, To: conf, Old: data})
		}
		r.add(Step{Op: Remove, Path: filepath.Join(dir, list.name), Old: list.data})
		if hasConf && hasSaved {
			r.add(Step{Op: Remove, Path: saved, Old: data})
		}
	default:
		r.strip(list)
		if hasSaved {
			r.warn("%s was left where it is: somebody has changed or removed %s, which was made of it", saved, filepath.Join(dir, rf.Name))
		}
	}
}
