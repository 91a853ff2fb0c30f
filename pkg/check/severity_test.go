package check

import "testing"

func TestSeverityText(t *testing.T) {
	for _, s := range []Severity{Info, Warning, Critical} {
		text, err := s.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got Severity
		if err := got.UnmarshalText(text); err != nil || got != s {
			t.Errorf("UnmarshalText(%s) = %v, %v; want %v", text, got, err, s)
		}
	}
	if _, err := ParseSeverity("fatal"); err == nil {
		t.Error("ParseSeverity(fatal): no error; want one that lists the names")
	}
	if got, want := Severity(7).String(), "severity(7)"; got != want {
		t.Errorf("Severity(7) = %s; want %s", got, want)
	}
}
