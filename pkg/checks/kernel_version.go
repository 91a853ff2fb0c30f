package checks

import (
	"strconv"
	"strings"
)

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
	rest := release
	for i, part := range []*int{&v.major, &v.minor, &v.patch} {
		if i > 0 {
			after, dotted := strings.CutPrefix(rest, ".")
			if !dotted && i == 2 {
				break // a patch level of 0
			}
			if !dotted {
				return v, false, false
			}
			rest = after
		}
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 || digits > 4 {
			return v, false, false
		}
		*part, _ = strconv.Atoi(rest[:digits]) // at most four digits
		rest = rest[digits:]
	}
	if strings.HasPrefix(rest, ".") {
		return v, false, false
	}
	return v, rest == "" || rest == "+", true
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
