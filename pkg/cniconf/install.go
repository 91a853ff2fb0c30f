package cniconf

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/libcni"
)

// planInstall plans the program first, then the chain. Where there is no configuration yet the plan has the program alone.
func (k *Keeper) planInstall() (*plan, error) {
	p := &plan{}
	program, err := k.programStep()
	if err != nil {
		return p, err
	}
	rec, err := k.record()
	if err != nil {
		return p, err
	}
	files, err := k.files()
	if err != nil {
		return p, err
	}
	p.add(program...)
	first := slices.IndexFunc(files, func(f confFile) bool { return f.err == nil })
	broken := files
	if first >= 0 {
		broken = files[:first]
	}
	if k.settling.pending(broken, time.Now()) {
		p.out.Waiting = filepath.Join(k.o.ConfDir, broken[0].name) + " cannot be used yet: " + broken[0].err.Error()
		return p, nil
	}
	for _, f := range broken {
		p.warn("%s cannot be used: %v; containerd stops at such a file, other runtimes take the next: repair it or move it away", filepath.Join(k.o.ConfDir, f.name), f.err)
	}
	if first < 0 {
		return p, fmt.Errorf("%w in %s: install the pod network first", ErrNoConfig, k.o.ConfDir)
	}
	f := &files[first]
	p.out.File, p.out.Network, p.out.Chain = filepath.Join(k.o.ConfDir, f.name), f.list.Name, types(f.list)
	p.file, p.chain = p.out.File, p.out.Chain
	if err := k.chain(p, rec, files, f); err != nil {
		return &plan{}, err
	}
	k.warnBehind(p, f.list)
	return p, nil
}

// chain plans the way of a file to one with netmend last.
func (k *Keeper) chain(p *plan, rec *record, files []confFile, f *confFile) error {
	version := f.list.CNIVersion
	if version == "" {
		version = "0.1.0" // as libcni's validatePlugin takes it
	}
	w := Step{Op: Write, Path: f.path, Old: f.data, owner: ownerOf(f.info), version: version}
	base := f.data
	var err error
	single := filepath.Ext(f.name) != ".conflist"
	if single {
		w.Path, w.Old = filepath.Join(k.o.ConfDir, listName(f.name)), nil
		if base, err = convert(f.data); err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		if err := k.besides(rec, files, f.name, &w); err != nil {
			return err
		}
	}
	if w.New, err = insert(base, k.o.Entry); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	list, err := decode(".conflist", w.New)
	if err != nil {
		return fmt.Errorf("%s: %w", w.Path, err)
	}
	p.out.Chain = types(list)
	if !single {
		if !bytes.Equal(w.New, w.Old) {
			w.record = rec.with(f.name, "", f.data, w.New)
			p.add(w)
		}
		return nil
	}
	name := filepath.Base(w.Path)
	p.out.File = w.Path
	if !bytes.Equal(w.New, w.Old) {
		w.record = rec.with(name, f.name, nil, w.New)
		p.add(w)
	}
	p.add(Step{Op: Rename, Path: filepath.Join(k.o.ConfDir, f.name), To: filepath.Join(k.o.ConfDir, savedName(f.name)), Old: f.data})
	return nil
}

// besides looks at a list that is already beside a single-plugin file: netmend's own of an earlier time is replaced, another's is not.
func (k *Keeper) besides(rec *record, files []confFile, single string, w *Step) error {
	name := filepath.Base(w.Path)
	i := slices.IndexFunc(files, func(f confFile) bool { return f.name == name })
	if i < 0 {
		return nil
	}
	if rf := rec.find(name); rf != nil && rf.From == single && rf.wrote(files[i].data) {
		w.Old = files[i].data
		return nil
	}
	return fmt.Errorf("%s holds one plugin and has to become %s, which exists and is not netmend's: the runtime uses the former now; move one of them away",
		filepath.Join(k.o.ConfDir, single), name)
}

// warnBehind tells of plugins that stand in files of their own, which libcni from v1.3 puts behind those of the list.
func (k *Keeper) warnBehind(p *plan, list *libcni.NetworkConfigList) {
	if list.LoadOnlyInlinedPlugins || list.Name == "" || strings.ContainsRune(list.Name, '/') || list.Name == "." || list.Name == ".." {
		return
	}
	dir := filepath.Join(k.o.ConfDir, list.Name)
	if more, err := libcni.ConfFiles(dir, []string{".conf"}); err == nil && len(more) > 0 {
		p.warn("the plugins of %s come behind netmend where the runtime reads that directory", dir)
	}
}
