package verdict

import (
	"errors"
	"testing"
)

// FuzzParse gives a daemon's line: no panic, and nothing is believed that is not of this version and young.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"netmend":1,"age":1.5,"judged":["a"],"findings":[{"check":"a","severity":"critical","on":{"netns":1,"index":2,"name":"x"},"message":"m","fixes":[{"title":"t"}]}],"services":[{"name":"a/b:c","vip":"10.0.0.1","port":1,"protocol":"tcp"}]}`))
	f.Add([]byte(`{"netmend":1,"age":1e999}`))
	f.Add([]byte(` {"netmend":1,"netmend":2,"age":null} `))
	f.Fuzz(func(t *testing.T, line []byte) {
		a, err := Parse(line)
		if err == nil && (a.Netmend != Version || !(a.Age >= 0 && a.Age <= MaxAge.Seconds())) {
			t.Errorf("Parse(%q) = %+v", line, a)
		}
		if err != nil && !errors.Is(err, ErrAnswer) {
			t.Errorf("Parse(%q): %v is no ErrAnswer", line, err)
		}
	})
}
