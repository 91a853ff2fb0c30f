package checks

import (
	"regexp"
	"strconv"
	"sync"
)

// plainRelease is compiled at first use: the CNI plugin seldom needs it.
var plainRelease = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?([^0-9.].*)?$`)
})

// version is a kernel's, by the number that it was released with upstream.
type version struct{ major, minor, patch int }

func (v version) less(w version) bool {
	switch {
	case v.major != w.major:
		return v.major < w.major
	case v.minor != w.minor:
		return v.minor < w.minor
	}
	return v.patch < w.patch
}

// parseRelease reads what uname -r prints. exact is false for a distribution's kernel ("5.4.0-32-generic", "4.18.0-513.el8"): it is at least what its
// number says, but has more of upstream's fixes than that tells, so nothing may be concluded from a fix that came later.
func parseRelease(release string) (v version, exact, ok bool) {
	m := plainRelease().FindStringSubmatch(release)
	if m == nil {
		return v, false, false
	}
	for i, part := range []*int{&v.major, &v.minor, &v.patch} {
		*part, _ = strconv.Atoi(m[i+1]) // digits, or empty for a patch level of 0
	}
	return v, m[4] == "" || m[4] == "+", true
}

// fixState says whether a kernel has a fix that came with a release and was carried back to older series.
type fixState int

const (
	fixUnknown fixState = iota
	fixThere
	fixMissing
)

// hasFix compares a release with the version that brought a fix and those of older series that got it.
func hasFix(release string, since version, carriedBack []version) fixState {
	v, exact, ok := parseRelease(release)
	switch {
	case !ok:
		return fixUnknown
	case !v.less(since):
		return fixThere
	case !exact:
		return fixUnknown
	}
	for _, b := range carriedBack {
		if v.major == b.major && v.minor == b.minor && !v.less(b) {
			return fixThere
		}
	}
	return fixMissing
}
