package check

import "fmt"

// Severity says what pods suffer. What to do about it is the policy of whoever runs the check.
type Severity int

// The severities. The zero value is Info.
const (
	Info     Severity = iota // worth knowing; nothing is lost
	Warning                  // pods suffer under some condition, or will
	Critical                 // pods suffer now
)

var severityNames = [...]string{"info", "warning", "critical"}

// String is the name that reports and flags use.
func (s Severity) String() string {
	if s < Info || s > Critical {
		return fmt.Sprintf("severity(%d)", int(s))
	}
	return severityNames[s]
}

// ParseSeverity reads a name.
func ParseSeverity(name string) (Severity, error) {
	for i, n := range severityNames {
		if n == name {
			return Severity(i), nil
		}
	}
	return Info, fmt.Errorf("unknown severity %q: one of info, warning, critical", name)
}

// MarshalText writes the name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the name.
func (s *Severity) UnmarshalText(text []byte) error {
	v, err := ParseSeverity(string(text))
	if err == nil {
		*s = v
	}
	return err
}
