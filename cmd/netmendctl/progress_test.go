package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/facts"
)

func TestProgressIsForTerminals(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		e := newTestEnv(t, "audit", "--window", "10s")
		e.isTerminal = func(stream any) bool { return terminal && stream == e.env.err }
		e.collect = func(_ context.Context, s audit.Source) (*facts.Snapshot, error) {
			s.Progress(4*time.Second, 10*time.Second)
			s.Progress(10*time.Second, 10*time.Second)
			return testNode(s), nil
		}
		if code := run(context.Background(), e.env); code != 1 {
			t.Fatalf("run = %d", code)
		}
		got := e.err.String()
		if terminal && (!strings.Contains(got, "watching the counters: 4s of 10s") || !strings.HasSuffix(got, "\r\x1b[K")) {
			t.Errorf("on a terminal it says %q; want the progress, and a clear line at the end", got)
		}
		if !terminal && got != "" {
			t.Errorf("elsewhere it says %q; want nothing", got)
		}
	}
}
