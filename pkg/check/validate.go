package check

import (
	"fmt"
	"regexp"
	"sync"
)

var kebab = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`) })

// Validate says what makes a list of checks unusable: a bad or repeated name, no documentation, no function, a root cause that is
// not in the list or that leads back to its check. Programs call it at start-up.
func Validate(checks []*Check) error {
	byName := map[string]*Check{}
	for _, c := range checks {
		switch {
		case c == nil:
			return fmt.Errorf("a nil check")
		case !kebab().MatchString(c.Name):
			return fmt.Errorf("check %q: the name is not kebab-case", c.Name)
		case byName[c.Name] != nil:
			return fmt.Errorf("check %s: the name occurs twice", c.Name)
		case c.Title == "" || c.Doc == "" || c.Since == "":
			return fmt.Errorf("check %s: undocumented: Title, Doc and Since are needed", c.Name)
		case c.Run == nil:
			return fmt.Errorf("check %s: no Run", c.Name)
		case len(c.Needs) == 0:
			return fmt.Errorf("check %s: needs no facts, so it cannot judge", c.Name)
		}
		byName[c.Name] = c
	}
	for _, c := range checks {
		if err := causes(c, byName, map[string]bool{}); err != nil {
			return err
		}
	}
	return nil
}

func causes(c *Check, known map[string]*Check, path map[string]bool) error {
	if path[c.Name] {
		return fmt.Errorf("check %s: its root causes lead back to it", c.Name)
	}
	path[c.Name] = true
	defer delete(path, c.Name)
	for _, cause := range c.After {
		if cause == nil || known[cause.Name] != cause {
			return fmt.Errorf("check %s: a root cause that is not in the list", c.Name)
		}
		if err := causes(cause, known, path); err != nil {
			return err
		}
	}
	return nil
}
