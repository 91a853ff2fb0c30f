package host

import (
	"encoding/binary"
	"fmt"

	"github.com/netmend/netmend/pkg/facts"
)

// legacyHooks is NF_INET_NUMHOOKS.
const legacyHooks = 5

// legacyTable is a table as the kernel gave it. Its entries are decoded when they are asked for.
type legacyTable struct {
	family  legacyFamily
	name    string
	blob    []byte
	entries []int         // where each entry starts
	chains  []legacyChain // in the order of the blob
}

// legacyChain is the entries from first up to but not with last, which is the closing one: the policy of a base chain, the return of another.
type legacyChain struct {
	name        []byte
	hook        int // -1 for a chain that is only jumped to
	first, last int // indexes of entries
}

// parse finds entries and chains. Everything in the blob is checked: a table that does not hold together is an error.
func (f legacyFamily) parse(name string, info, blob []byte) (*legacyTable, error) {
	if len(info) < legacyInfoSize {
		return nil, fmt.Errorf("info of %d bytes", len(info))
	}
	t := &legacyTable{family: f, name: name, blob: blob}
	t.entries = make([]int, 0, min(int(xtWord(info, legacyInfoSize-8)), len(blob)/f.entry))
	for at := 0; at < len(blob); {
		target, next, err := t.bounds(at)
		if err != nil {
			return nil, err
		}
		if target < f.entry || target+xtHead > next {
			return nil, fmt.Errorf("entry at %d: target at %d of %d", at, target, next)
		}
		t.entries = append(t.entries, at)
		at += next
	}
	return t, t.findChains(info)
}

// bounds reads the offsets at which an entry's target and the next entry start, from the entry's own start.
func (t *legacyTable) bounds(at int) (target, next int, err error) {
	if len(t.blob)-at < t.family.entry {
		return 0, 0, fmt.Errorf("entry at %d is cut short", at)
	}
	target = int(binary.NativeEndian.Uint16(t.blob[at+t.family.offsets:]))
	next = int(binary.NativeEndian.Uint16(t.blob[at+t.family.offsets+2:]))
	if next < t.family.entry || next > len(t.blob)-at {
		return 0, 0, fmt.Errorf("entry at %d of %d bytes", at, next)
	}
	return target, next, nil
}

// findChains walks the entries: a base chain starts where the info says that its hook does, another at an ERROR target with its name, and each ends where
// the next starts. The ERROR entry at the end of the table is none.
func (t *legacyTable) findChains(info []byte) error {
	valid := xtWord(info, legacyNameLen)
	starts, ends := map[int]int{}, map[int]int{}
	for h := range legacyHooks {
		if valid&(1<<h) != 0 {
			starts[int(xtWord(info, legacyNameLen+4+4*h))] = h
			ends[int(xtWord(info, legacyNameLen+24+4*h))] = h
		}
	}
	for i, at := range t.entries {
		if i == len(t.entries)-1 {
			break
		}
		if h, ok := starts[at]; ok {
			t.chains = append(t.chains, legacyChain{name: []byte(legacyHookNames()[h]), hook: h, first: i, last: -1})
		} else if name, ok := t.errorName(at); ok {
			t.close(i - 1)
			t.chains = append(t.chains, legacyChain{name: name, hook: -1, first: i + 1, last: -1})
		}
		if h, ok := ends[at]; ok && len(t.chains) > 0 && t.chains[len(t.chains)-1].hook == h {
			t.close(i)
		}
	}
	t.close(len(t.entries) - 2)
	for _, c := range t.chains {
		if c.last < c.first {
			return fmt.Errorf("chain %q has no end", c.name)
		}
	}
	return nil
}

// close ends the chain that is still open.
func (t *legacyTable) close(last int) {
	if n := len(t.chains); n > 0 && t.chains[n-1].last < 0 {
		t.chains[n-1].last = last
	}
}

func legacyHookNames() [legacyHooks]string {
	return [...]string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}
}

// xtHead is the size of the head of struct xt_entry_match and xt_entry_target: size, name and revision.
const xtHead = 32

// extension reads one match or target: size u16, name[29], revision u8, then its info.
func (t *legacyTable) extension(at, end int) (name, info []byte, revision uint32, size int, ok bool) {
	if end-at < xtHead {
		return nil, nil, 0, 0, false
	}
	size = int(binary.NativeEndian.Uint16(t.blob[at:]))
	if size < xtHead || size > end-at {
		return nil, nil, 0, 0, false
	}
	return trimNul(t.blob[at+2 : at+31]), t.blob[at+xtHead : at+size], uint32(t.blob[at+31]), size, true
}

// errorName gives the name of the chain that an entry opens: that of its ERROR target.
func (t *legacyTable) errorName(at int) ([]byte, bool) {
	target, next, err := t.bounds(at)
	if err != nil || target+xtHead > next {
		return nil, false
	}
	name, info, _, _, ok := t.extension(at+target, at+next)
	if !ok || string(name) != "ERROR" {
		return nil, false
	}
	return trimNul(info), true
}

// facts decodes the table's chains and the rules of those that matter.
func (t *legacyTable) facts() (facts.Table, error) {
	out := facts.Table{Backend: facts.BackendLegacy, Family: t.family.name, Name: t.name}
	index := map[string]int{}
	var kept []int
	for i, c := range t.chains {
		if p := bulkPrefix(c.name); c.hook < 0 && p != "" {
			if out.Bulk == nil {
				out.Bulk = map[string]int{}
			}
			out.Bulk[p]++
			continue
		}
		if len(kept) == maxChains {
			return out, fmt.Errorf("more than %d chains", maxChains)
		}
		index[string(c.name)] = len(kept)
		kept = append(kept, i)
		out.Chains = append(out.Chains, t.chain(c))
	}
	err := readWanted(out.Chains, index, func(i int) error {
		c := t.chains[kept[i]]
		if c.last-c.first > maxRules {
			return nil
		}
		for _, at := range t.entries[c.first:c.last] {
			out.Chains[i].Rules = append(out.Chains[i].Rules, t.rule(at))
		}
		out.Chains[i].RulesRead = true
		return nil
	})
	return out, err
}

func (t *legacyTable) chain(c legacyChain) facts.Chain {
	out := facts.Chain{Name: string(c.name)}
	if c.hook < 0 {
		return out
	}
	out.Type, out.Hook = "filter", hookName(uint32(c.hook))
	out.Priority = legacyPriority(t.name, c.hook)
	switch {
	case t.name == "nat":
		out.Type = "nat"
	case t.name == "mangle" && out.Hook == "output":
		out.Type = "route" // as nf_tables calls what looks up the route again (ipt_mangle_out)
	}
	at := t.entries[c.last]
	packets := t.packets(at)
	out.Packets = &packets
	if rule := t.rule(at); rule.Verdict == verdictAccept || rule.Verdict == verdictDrop {
		out.Policy = rule.Verdict
	}
	return out
}

// legacyPriority is the priority at which a table's hooks run (enum nf_ip_hook_priorities).
func legacyPriority(table string, hook int) int {
	switch table {
	case "raw":
		return -300
	case "mangle":
		return -150
	case "security":
		return 50
	case "nat":
		if hook == 0 || hook == 3 {
			return -100
		}
		return 100
	}
	return 0
}

func (t *legacyTable) packets(at int) uint64 {
	return binary.NativeEndian.Uint64(t.blob[at+t.family.entry-16:])
}
