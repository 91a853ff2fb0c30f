package repair

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"
)

// version is that of the records written here. A journal with newer ones is not touched.
const version = 1

// ErrNewer says that the journal was written by a newer netmend.
var ErrNewer = errors.New("the journal was written by a newer netmend")

// record is one line of the journal: the version, the checksum (CRC-32C of the version and the object) and a JSON object, separated by blanks. Its fields say what has
// changed; a record with an Entry starts or, after a compaction, repeats a whole fix.
type record struct {
	At       time.Time      `json:"at"`
	ID       int            `json:"id"`
	Entry    *Entry         `json:"entry,omitempty"`
	Mark     *int           `json:"mark,omitempty"` // the step that is about to be written
	State    State          `json:"state,omitempty"`
	Reason   string         `json:"reason,omitempty"`
	End      State          `json:"end,omitempty"` // with the state Undoing
	SetBack  bool           `json:"setBack,omitempty"`
	Left     map[int]string `json:"left,omitempty"`
	Warnings []string       `json:"warnings,omitempty"`
	Volatile bool           `json:"volatile,omitempty"` // the files that are read at boot could not be written
}

func (r record) encode() ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode journal record: %w", err)
	}
	return fmt.Appendf(nil, "%d %08x %s\n", version, checksum(strconv.Itoa(version), body), body), nil
}

// decode reads one line without its newline.
func decode(line []byte) (record, error) {
	var r record
	v, rest, _ := bytes.Cut(line, []byte(" "))
	sum, body, ok := bytes.Cut(rest, []byte(" "))
	if !ok || len(sum) != 8 {
		return r, errors.New("no journal record")
	}
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if err != nil || uint32(want) != checksum(string(v), body) {
		return r, errors.New("the checksum does not fit")
	}
	if n, err := strconv.Atoi(string(v)); err != nil || n != version {
		return r, fmt.Errorf("%w: version %q, not %d", ErrNewer, v, version)
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("decode journal record: %w", err)
	}
	return r, r.valid()
}

// valid refuses what no program of this version writes, however good its checksum.
func (r *record) valid() error {
	switch {
	case r.ID <= 0:
		return fmt.Errorf("record of fix %d", r.ID)
	case r.Entry != nil && (r.Entry.ID != r.ID || len(r.Entry.Steps) == 0):
		return fmt.Errorf("fix %d with the entry of fix %d of %d steps", r.ID, r.Entry.ID, len(r.Entry.Steps))
	case r.Mark != nil && *r.Mark < 0:
		return fmt.Errorf("mark of step %d", *r.Mark)
	}
	return nil
}

func checksum(version string, body []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum([]byte(version), table), table, body)
}

// apply changes the entry as the record says.
func (r *record) apply(e *Entry) error {
	if r.Mark != nil {
		if *r.Mark >= len(e.Steps) {
			return fmt.Errorf("mark of step %d of %d", *r.Mark, len(e.Steps))
		}
		e.Steps[*r.Mark].Marked = true
	}
	for i, why := range r.Left {
		if i < 0 || i >= len(e.Steps) {
			return fmt.Errorf("remark on step %d of %d", i, len(e.Steps))
		}
		e.Steps[i].Left = why
	}
	if r.Volatile {
		for i := range e.Steps {
			e.Steps[i].Persist = false
		}
	}
	if r.SetBack {
		at := r.At
		e.SetBack = &at
	}
	e.Warnings = append(e.Warnings, r.Warnings...)
	if r.State != "" {
		e.State, e.Reason, e.End, e.Changed = r.State, r.Reason, r.End, r.At
	}
	return nil
}
