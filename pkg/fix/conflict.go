package fix

import (
	"fmt"

	"github.com/netmend/netmend/pkg/facts"
)

// Conflict is one knob of one object that is wanted with two values.
type Conflict struct {
	Knob   Knob
	On     facts.Ref
	Fixes  [2]int // indexes of the fixes, the lower first; the same twice where one fix sets the knob twice
	Values [2]string
}

// String says which values.
func (c Conflict) String() string {
	return fmt.Sprintf("%s on %s is wanted %q and %q", c.Knob, c.On.Name, c.Values[0], c.Values[1])
}

// Conflicts lists the knobs that the fixes want with different values. The same knob wanted twice with the same value is none.
func Conflicts(fixes []Fix) (conflicts []Conflict) {
	type key struct {
		knob Knob
		on   facts.Ref
	}
	type want struct {
		fix int
		to  string
	}
	first := map[key]want{}
	for i, f := range fixes {
		for _, c := range f.Changes {
			k := key{c.Knob, c.On}
			w, taken := first[k]
			if !taken {
				first[k] = want{i, c.To}
				continue
			}
			if w.to != c.To {
				conflicts = append(conflicts, Conflict{Knob: c.Knob, On: c.On, Fixes: [2]int{w.fix, i}, Values: [2]string{w.to, c.To}})
			}
		}
	}
	return conflicts
}
