package cniconf

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// record is what netmend did to files, so that it can be taken back. It is on the disk before the files are touched.
type record struct {
	Version int          `json:"version"`
	Files   []recordFile `json:"files"`
}

type recordFile struct {
	Name     string   `json:"name"`
	From     string   `json:"from,omitempty"`     // the single-plugin file that became this list
	Original []byte   `json:"original,omitempty"` // the bytes before; none where From says where they are
	Wrote    []string `json:"wrote"`              // SHA-256 of what netmend wrote there, the latest last
}

const (
	recordName    = "record.json"
	recordVersion = 1
	maxRecord     = 64 << 20
	maxWrote      = 8
)

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

// wrote says whether netmend wrote these bytes there, last or earlier.
func (f *recordFile) wrote(data []byte) bool { return slices.Contains(f.Wrote, sum(data)) }

// current says whether these bytes are the last that netmend wrote there, so that Original is what was before them.
func (f *recordFile) current(data []byte) bool {
	return len(f.Wrote) > 0 && f.Wrote[len(f.Wrote)-1] == sum(data)
}

func (r *record) find(name string) *recordFile {
	for i := range r.Files {
		if r.Files[i].Name == name {
			return &r.Files[i]
		}
	}
	return nil
}

// with gives a copy that says what is about to be written. What netmend wrote before stays known, because it may die before it writes again.
func (r *record) with(name, from string, original, wrote []byte) *record {
	next := &record{Version: recordVersion}
	f := recordFile{Name: name, From: from, Original: original}
	for _, old := range r.Files {
		if old.Name == name {
			f.Wrote = slices.Clone(old.Wrote)
			if old.current(original) && len(old.Original) > 0 {
				f.Original = old.Original // only netmend has been there since
			}
			continue
		}
		next.Files = append(next.Files, old)
	}
	h := sum(wrote)
	f.Wrote = append(slices.DeleteFunc(f.Wrote, func(s string) bool { return s == h }), h)
	f.Wrote = f.Wrote[max(0, len(f.Wrote)-maxWrote):]
	next.Files = append(next.Files, f)
	return next
}

func (k *Keeper) recordPath() string { return filepath.Join(k.o.StateDir, recordName) }

// record reads what was done; nothing where there is none. One that cannot be read is moved out of the way by nobody but a person: with it goes what is
// needed to restore files.
func (k *Keeper) record() (*record, error) {
	data, _, err := readRegular(k.recordPath(), maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return &record{Version: recordVersion}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read record: %w", err)
	}
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("read record %s: %w: move it away; what it knew to restore is then only edited", k.recordPath(), err)
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("read record %s: version %d is not known here: use the netmend that wrote it", k.recordPath(), r.Version)
	}
	for _, f := range r.Files {
		if filepath.Base(f.Name) != f.Name || f.From != "" && filepath.Base(f.From) != f.From {
			return nil, fmt.Errorf("read record %s: %q is no name of a file", k.recordPath(), f.Name)
		}
	}
	return r, nil
}

// save writes the record, or removes it where it says nothing.
func (k *Keeper) save(r *record) error {
	if len(r.Files) == 0 {
		return k.unlink(k.recordPath())
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if err := k.put(k.recordPath(), append(data, '\n'), nil, fileOwner{mode: 0o600, uid: os.Geteuid(), gid: os.Getegid()}); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}
