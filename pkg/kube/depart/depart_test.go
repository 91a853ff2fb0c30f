package depart

import "testing"

// TestParseSet refuses whatever would become another path of the API.
func TestParseSet(t *testing.T) {
	for text, want := range map[string]bool{
		"kube-system/netmend": true, "a/b.c-1": true, "": false, "netmend": false, "/netmend": false, "kube-system/": false, "a/b/c": false, "../b": false, "a/..": false,
		"a/b?x=1": false, "a/B": false, "a/b\n": false, "a/%2e": false,
	} {
		s, err := ParseSet(text)
		if (err == nil) != want || want && s.String() != text {
			t.Errorf("ParseSet(%q) = %v, %v; want it taken: %v", text, s, err, want)
		}
	}
}

// TestOver: nodes that are not ready are not waited for, and nothing is over before the nodes were counted.
func TestOver(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    Progress
		want bool
	}{
		{"not counted", Progress{}, false},
		{"no node", Progress{Known: true}, true},
		{"pods not made yet", Progress{Known: true, Desired: 2, Done: 1}, false},
		{"one is at work", Progress{Known: true, Desired: 2, Done: 1, Waiting: []string{"a"}}, false},
		{"one more than counted", Progress{Known: true, Desired: 1, Done: 1, Waiting: []string{"a"}}, false},
		{"one is away", Progress{Known: true, Desired: 2, Done: 1, Away: []string{"a"}}, true},
		{"all", Progress{Known: true, Desired: 2, Done: 2}, true},
	} {
		if got := tt.p.Over(); got != tt.want {
			t.Errorf("%s: %v; want %v", tt.name, got, tt.want)
		}
	}
}
