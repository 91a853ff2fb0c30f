package cniconf

import (
	"strings"
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	var l limiter
	now := time.Unix(1e9, 0)
	step := func(d time.Duration, want bool, what string) {
		t.Helper()
		now = now.Add(d)
		if got := l.may(now); got != want {
			t.Errorf("%s: may = %v; want %v", what, got, want)
		}
		if want {
			l.answered(now)
		}
	}
	for range 5 {
		step(time.Second, true, "first five")
	}
	step(time.Second, false, "sixth in a minute")
	step(59*time.Second, false, "gives way for a minute")
	step(time.Second, true, "after it")
	for range 4 {
		step(time.Second, true, "five again")
	}
	step(time.Second, false, "sixth again")
	step(119*time.Second, false, "gives way twice as long")
	step(time.Second, true, "after it")
	for range 20 {
		step(13*time.Second, true, "less than five a minute")
	}
	now = now.Add(time.Hour)
	for range 5 {
		step(time.Second, true, "after peace")
	}
	step(time.Second, false, "after peace the sixth")
	if got := l.blocked(now); got != time.Minute {
		t.Errorf("after peace it gives way for %v; want a minute", got)
	}
	l = limiter{backOff: 25 * time.Minute, last: now}
	for range 5 {
		step(time.Second, true, "long war")
	}
	step(time.Second, false, "long war, sixth")
	if got := l.blocked(now); got != maxBackOff {
		t.Errorf("it gives way for %v; want at most %v", got, maxBackOff)
	}
}

func TestLimiterCountsOnlyAnswers(t *testing.T) {
	var l limiter
	for i := range 20 {
		if !l.may(time.Unix(int64(i), 0)) {
			t.Fatalf("try %d is refused, though none has succeeded", i)
		}
	}
}

func TestRival(t *testing.T) {
	for _, tt := range []struct {
		name  string
		chain []string
		want  string
	}{
		{"cilium", []string{"cilium-cni"}, "cni.exclusive"},
		{"flannel", []string{"flannel", "portmap"}, "kube-flannel-cfg"},
		{"nobody known", []string{"xyz"}, "auditctl"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := rival("/etc/cni/net.d/x", tt.chain); !strings.Contains(got, tt.want) {
				t.Errorf("rival = %q; want %q in it", got, tt.want)
			}
		})
	}
}
