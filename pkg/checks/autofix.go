package checks

// AutoRule says whether the first fix of a check's findings may be made without a person asking for it.
type AutoRule struct {
	Check string
	Auto  bool
	Why   string // one sentence, for the check's page
}

// AutoFix is the rule of every check that offers a change; one that only advises has none. A fix may run unasked where its cause is proven on
// this node, it is undone by one write, it breaks no connection, and no sensible configuration wants the value it replaces.
func AutoFix() []AutoRule {
	return []AutoRule{
		{"tcp-tw-recycle", true, "the sysctl drops connections of clients behind NAT, takes effect at once in both directions, and was removed from the kernel for that"},
	}
}

// MayRunUnasked says whether the first fix of the named check's findings may be made unasked. It is false for a name it does not know.
func MayRunUnasked(name string) bool {
	for _, r := range AutoFix() {
		if r.Check == name {
			return r.Auto
		}
	}
	return false
}
