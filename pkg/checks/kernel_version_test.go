package checks

import "testing"

func TestHasFix(t *testing.T) {
	since, back := version{5, 7, 0}, []version{{5, 6, 13}, {5, 4, 41}, {4, 19, 123}}
	tests := []struct {
		release string
		want    fixState
	}{
		{"5.7.0", fixThere},
		{"6.18.44", fixThere},
		{"6.1.0-18-amd64", fixThere}, // a distribution only adds fixes
		{"5.6.12", fixMissing},
		{"5.6.13", fixThere},
		{"5.5.19", fixMissing},
		{"5.4.41+", fixThere},
		{"4.19.122", fixMissing},
		{"4.9.337", fixMissing},
		{"5.4.0-32-generic", fixUnknown},
		{"4.18.0-513.el8.x86_64", fixUnknown},
		{"3.10.0-1160.el7.x86_64", fixUnknown},
		{"5.4.0-1100-azure", fixUnknown},
		{"5.6", fixMissing},
		{"", fixUnknown},
		{"linux", fixUnknown},
		{"99999.1.1", fixUnknown},
	}
	for _, tt := range tests {
		if got := hasFix(tt.release, since, back); got != tt.want {
			t.Errorf("hasFix(%q) = %v; want %v", tt.release, got, tt.want)
		}
	}
}
