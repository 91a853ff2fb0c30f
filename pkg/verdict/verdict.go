package verdict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// Version is that of the language. A peer that speaks another is not understood.
const Version = 1

// DefaultSocket is where the daemon listens.
const DefaultSocket = "/run/netmend/netmend.sock"

// Bounds of messages.
const (
	MaxQuestion = 64 << 10         // bytes, news included
	MaxAnswer   = 64 << 10         // bytes of an answer to AskVerdicts
	MaxStatus   = 8 << 20          // bytes of an answer to AskStatus
	MaxAge      = 30 * time.Second // of the verdicts in an answer
)

// maxServices bounds the Services of an answer: each of them is looked up while a pod waits.
const maxServices = 64

// The questions.
const (
	AskVerdicts = "verdicts" // of the plugin: what is known of the node
	AskStatus   = "status"   // of netmendctl: all that the daemon knows, for people
)

// Question is what the daemon is sent: a question, or news.
type Question struct {
	Netmend int             `json:"netmend"`
	Ask     string          `json:"ask,omitempty"`
	Tell    json.RawMessage `json:"tell,omitempty"`
}

// StatusAnswer answers [AskStatus], and every question that cannot be answered: then it has an error.
type StatusAnswer struct {
	Netmend int             `json:"netmend"`
	Status  json.RawMessage `json:"status,omitempty"` // a NodeStatus document, see package status
	Error   string          `json:"error,omitempty"`
}

// Answer is what the daemon knows of its node. A check that is not among those judged says nothing, which is not the same as nothing found.
type Answer struct {
	Netmend  int                   `json:"netmend"`
	Age      float64               `json:"age"`    // seconds since the node was judged
	Judged   []string              `json:"judged"` // names of checks
	Findings []check.Finding       `json:"findings"`
	Services []facts.ServiceIntent `json:"services,omitempty"` // the virtual IPs that pods need, as Kubernetes says
	State    string                `json:"state,omitempty"`    // of the node as a whole: starting, proven, faulty or stopping, see package status
}

// ErrAnswer says that an answer is not to be believed.
var ErrAnswer = errors.New("not an answer to believe")

// Parse reads one answer. It refuses what is not of this version, too old, made of more than one line, or has Services that are none.
func Parse(line []byte) (*Answer, error) {
	if len(line) > MaxAnswer {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrAnswer, MaxAnswer)
	}
	var a Answer
	if err := json.Unmarshal(bytes.TrimSpace(line), &a); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	switch {
	case a.Netmend != Version:
		return nil, fmt.Errorf("%w: version %d, not %d", ErrAnswer, a.Netmend, Version)
	case !(a.Age >= 0) || math.IsInf(a.Age, 0) || a.Age > MaxAge.Seconds():
		return nil, fmt.Errorf("%w: %g seconds old", ErrAnswer, a.Age)
	case len(a.Services) > maxServices:
		return nil, fmt.Errorf("%w: %d Services that every pod needs", ErrAnswer, len(a.Services))
	}
	for i, s := range a.Services {
		if s.Name == "" && !s.VIP.IsValid() || s.VIP.IsUnspecified() || s.VIP.Zone() != "" || s.Port == 0 || !slices.Contains([]string{"tcp", "udp", "sctp"}, s.Protocol) {
			return nil, fmt.Errorf("%w: Service %d is %q at %s, %d/%q", ErrAnswer, i+1, s.Name, s.VIP, s.Port, s.Protocol)
		}
	}
	return &a, nil
}

// Line writes a message as one line.
func Line(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write message: %w", err)
	}
	return append(data, '\n'), nil
}
