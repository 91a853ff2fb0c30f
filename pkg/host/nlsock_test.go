package host

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

const (
	testSeq = 7
	testPid = 99
)

func testMessage(typ, flags uint16, body string) []byte {
	return appendMessage(nil, typ, flags, testSeq, testPid, []byte(body))
}

func errorBody(errno unix.Errno) string {
	return string(binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno))))
}

func TestAnswer(t *testing.T) {
	refuse := errors.New("refused")
	for _, tt := range []struct {
		name      string
		list, ack bool
		refuse    error
		datagrams [][]byte
		want      []string
		err       error
		errText   string
		unfinish  bool
	}{
		{
			name: "a list in two datagrams", list: true,
			datagrams: [][]byte{
				append(testMessage(20, unix.NLM_F_MULTI, "ab"), testMessage(20, unix.NLM_F_MULTI, "cde")...),
				testMessage(unix.NLMSG_DONE, unix.NLM_F_MULTI, "\x00\x00\x00\x00"),
			},
			want: []string{"ab", "cde"},
		},
		{
			name: "an empty list of an old kernel", list: true,
			datagrams: [][]byte{testMessage(unix.NLMSG_DONE, unix.NLM_F_MULTI, "")},
		},
		{
			name: "interrupted in an entry", list: true,
			datagrams: [][]byte{testMessage(20, unix.NLM_F_MULTI|unix.NLM_F_DUMP_INTR, "ab"), testMessage(unix.NLMSG_DONE, unix.NLM_F_MULTI, "\x00\x00\x00\x00")},
			want:      []string{"ab"}, err: ErrInterrupted,
		},
		{
			name: "interrupted at the end", list: true,
			datagrams: [][]byte{testMessage(20, unix.NLM_F_MULTI, "ab"), testMessage(unix.NLMSG_DONE, unix.NLM_F_MULTI|unix.NLM_F_DUMP_INTR, "\x00\x00\x00\x00")},
			want:      []string{"ab"}, err: ErrInterrupted,
		},
		{
			name: "an error at the end", list: true,
			datagrams: [][]byte{testMessage(unix.NLMSG_DONE, unix.NLM_F_MULTI, errorBody(unix.EOPNOTSUPP))},
			err:       unix.EOPNOTSUPP,
		},
		{
			name:      "an error instead of an answer",
			datagrams: [][]byte{testMessage(unix.NLMSG_ERROR, 0, errorBody(unix.ENOENT))},
			err:       unix.ENOENT,
		},
		{
			name:      "an error without a number",
			datagrams: [][]byte{testMessage(unix.NLMSG_ERROR, 0, "\x01")},
			errText:   "without a number",
		},
		{
			name: "one answer", datagrams: [][]byte{testMessage(20, 0, "ab")}, want: []string{"ab"},
		},
		{
			name: "an acknowledgement behind the answer", ack: true,
			datagrams: [][]byte{testMessage(20, 0, "ab"), testMessage(unix.NLMSG_ERROR, 0, errorBody(0))},
			want:      []string{"ab"},
		},
		{
			name: "what answers another request is left out",
			datagrams: [][]byte{
				appendMessage(nil, 20, 0, testSeq-1, testPid, []byte("old")), appendMessage(nil, 20, 0, testSeq, testPid+1, []byte("other")),
				testMessage(20, 0, "ab"),
			},
			want: []string{"ab"},
		},
		{
			name: "the rest is read after a refusal", list: true, refuse: refuse,
			datagrams: [][]byte{
				append(testMessage(20, unix.NLM_F_MULTI, "ab"), testMessage(20, unix.NLM_F_MULTI, "cd")...),
				testMessage(unix.NLMSG_DONE, unix.NLM_F_MULTI, "\x00\x00\x00\x00"),
			},
			want: []string{"ab"}, err: refuse,
		},
		{
			name: "a message longer than its datagram", list: true,
			datagrams: [][]byte{testMessage(20, unix.NLM_F_MULTI, "abcdefgh")[:20]},
			errText:   "a message of 24 bytes in 20",
		},
		{
			name: "a message shorter than its head", list: true,
			datagrams: [][]byte{make([]byte, 16)},
			errText:   "a message of 0 bytes in 16",
		},
		{
			name: "not at its end", list: true, unfinish: true,
			datagrams: [][]byte{testMessage(20, unix.NLM_F_MULTI, "ab")}, want: []string{"ab"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			a := nlAnswer{seq: testSeq, pid: testPid, list: tt.list, ack: tt.ack, fn: func(m nlMsg) error {
				got = append(got, string(m.Body))
				return tt.refuse
			}}
			for _, d := range tt.datagrams {
				a.take(d)
			}
			if a.done == tt.unfinish {
				t.Errorf("done = %v; want %v", a.done, !tt.unfinish)
			}
			err := a.result()
			if tt.errText != "" {
				if err == nil || !strings.Contains(err.Error(), tt.errText) {
					t.Errorf("result() = %v; want %q", err, tt.errText)
				}
			} else if !errors.Is(err, tt.err) {
				t.Errorf("result() = %v; want %v", err, tt.err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("messages (-want +got):\n%s", d)
			}
		})
	}
}

// interrupting is a kernel's list that changes while it is read, the given number of times.
type interrupting struct {
	times, asked int
	entries      [][]byte
}

func (l *interrupting) dump(_ uint16, _ []byte, fn func(nlMsg) error) error {
	l.asked++
	for _, b := range l.entries {
		if err := fn(nlMsg{Body: b}); err != nil {
			return err
		}
	}
	if l.asked <= l.times {
		return ErrInterrupted
	}
	return nil
}

func (l *interrupting) request(typ, _ uint16, body []byte, fn func(nlMsg) error) error {
	return l.dump(typ, body, fn)
}

func (l *interrupting) close() error { return nil }

func TestInterruptedListIsReadAgain(t *testing.T) {
	entry := make([]byte, unix.SizeofRtMsg)
	entry[0], entry[7] = unix.AF_INET, unix.RTN_UNICAST
	for _, tt := range []struct {
		name         string
		times, asked int
		err          error
	}{
		{"never", 0, 1, nil},
		{"twice", 2, 3, nil},
		{"all but the last time", dumpTries - 1, dumpTries, nil},
		{"always", 1000, dumpTries, ErrInterrupted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &interrupting{times: tt.times, entries: [][]byte{entry}}
			got, err := list(&NS{rt: l}, unix.RTM_GETROUTE, nil, parseRoute)
			if !errors.Is(err, tt.err) {
				t.Fatalf("list() error = %v; want %v", err, tt.err)
			}
			if l.asked != tt.asked {
				t.Errorf("asked %d times; want %d", l.asked, tt.asked)
			}
			if want := 1; err == nil && len(got) != want {
				t.Errorf("list() has %d entries; want %d: those of one reading", len(got), want)
			}
			if err != nil && got != nil {
				t.Errorf("list() = %v with an error; want nothing", got)
			}
		})
	}
}

func TestInterruptedListIsNotUsed(t *testing.T) {
	n := &NS{rt: &interrupting{times: 1000}}
	for name, read := range map[string]func() error{
		"Links":      func() error { _, err := n.Links(); return err },
		"Addresses":  func() error { _, err := n.Addresses(); return err },
		"Routes":     func() error { _, err := n.Routes(); return err },
		"Rules":      func() error { _, err := n.Rules(); return err },
		"Neighbours": func() error { _, err := n.Neighbours(); return err },
		"FDB":        func() error { _, err := n.FDB(); return err },
		"listeners":  func() error { _, err := listListeners(n.rt); return err },
	} {
		t.Run(name, func(t *testing.T) {
			if err := read(); !errors.Is(err, ErrInterrupted) {
				t.Errorf("%s() error = %v; want %v", name, err, ErrInterrupted)
			}
		})
	}
}

func TestListIsBounded(t *testing.T) {
	entry := make([]byte, unix.SizeofRtMsg)
	entry[0], entry[7] = unix.AF_INET, unix.RTN_UNICAST
	l := &interrupting{}
	for range maxEntries + 1 {
		l.entries = append(l.entries, entry)
	}
	if _, err := list(&NS{rt: l}, unix.RTM_GETROUTE, nil, parseRoute); !errors.Is(err, errTooManyEntries) {
		t.Errorf("list() error = %v; want %v", err, errTooManyEntries)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(testMessage(20, unix.NLM_F_MULTI, "ab"))
	f.Add(testMessage(unix.NLMSG_ERROR, 0, errorBody(unix.ENOENT)))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		a := nlAnswer{seq: testSeq, pid: testPid, list: true, fn: func(m nlMsg) error { total += len(m.Body); return nil }}
		a.take(b)
		if total > len(b) {
			t.Errorf("%d bytes of messages in %d", total, len(b))
		}
	})
}
