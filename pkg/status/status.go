package status

import (
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// APIVersion and Kind say what the JSON document is.
const (
	APIVersion = "netmend.io/v1alpha1"
	Kind       = "NodeStatus"
)

// State says whether the node's network is proven.
type State string

// The states.
const (
	Starting State = "starting" // the journal is being read, or the first audit is not done
	Proven   State = "proven"   // audited, and nothing critical was found
	Faulty   State = "faulty"   // audited, and something critical is left
	Unproven State = "unproven" // audited, and nothing critical was found in what could be read, which was not all
	Stopping State = "stopping"
)

// Document is the daemon's knowledge at one moment. It is not changed once it was published. Fields are added, never changed.
type Document struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Node       string    `json:"node"`
	Mode       string    `json:"mode"` // audit or fix
	State      State     `json:"state"`
	Ready      bool      `json:"ready"` // the node was read, audited and mended once since the start
	Started    time.Time `json:"started"`
	At         time.Time `json:"at"` // when this was written
	Versions   Versions  `json:"versions"`
	Audit      Audit     `json:"audit"`

	Findings   []Finding   `json:"findings"`   // that hold now, the worst first
	Resolved   []Finding   `json:"resolved"`   // the last that went away, the newest first
	Skipped    []Skip      `json:"skipped"`    // checks that could not judge
	Fixes      []Fix       `json:"fixes"`      // in force, contested, or refused
	Chain      Chain       `json:"chain"`      // of CNI plugins
	Conditions []Condition `json:"conditions"` // what the daemon itself lacks, and what it can do; by name

	Reports []Report `json:"reports,omitempty"` // the last of the plugin, the newest first; the socket fills them in
	Omitted int      `json:"omitted,omitempty"` // findings that the socket left out of this copy, because there are too many to send
}

// Report is what the plugin told of one request that it warned of, refused, or could not judge.
type Report struct {
	At       time.Time       `json:"at"` // when it was heard
	Command  string          `json:"command"`
	Network  string          `json:"network,omitempty"`
	Pod      string          `json:"pod,omitempty"`    // namespace/name
	PodUID   string          `json:"podUID,omitempty"` // of its object; empty where the runtime did not tell it
	NetNS    string          `json:"netns,omitempty"`
	Verdict  string          `json:"verdict"` // warn, refuse or error
	Code     uint            `json:"code,omitempty"`
	Message  string          `json:"message,omitempty"`
	Findings []ReportFinding `json:"findings,omitempty"`
	Mended   []string        `json:"mended,omitempty"`
	Millis   float64         `json:"ms"`
}

// ReportFinding is one finding of a [Report].
type ReportFinding struct {
	Check    string         `json:"check"`
	Severity check.Severity `json:"severity"`
	On       string         `json:"on"`
	Message  string         `json:"message"`
}

// Versions of the parts.
type Versions struct {
	Netmend string `json:"netmend"`
	Commit  string `json:"commit,omitempty"`
	Kernel  string `json:"kernel"`
	Schema  int    `json:"schema"` // of facts
}

// Audit is the last look at the node.
type Audit struct {
	At      time.Time `json:"at"`   // when its facts were read
	Full    time.Time `json:"full"` // when everything was read last
	Seconds float64   `json:"seconds"`
	Cause   string    `json:"cause"` // what made the daemon look: start, timer, window, a kernel event's name
	Total   uint64    `json:"total"` // looks since the start
	Judged  []string  `json:"judged"`
}

// Finding is the life of one finding: the same check on the same object.
type Finding struct {
	Check     string           `json:"check"`
	Severity  check.Severity   `json:"severity"`
	On        facts.Ref        `json:"on"`
	Where     string           `json:"where"` // the object in words
	Message   string           `json:"message"`
	Evidence  []check.Evidence `json:"evidence,omitempty"`
	FirstSeen time.Time        `json:"firstSeen"`
	LastSeen  time.Time        `json:"lastSeen"`
	Settled   bool             `json:"settled"`            // it has lasted as long as its check demands
	Resolved  time.Time        `json:"resolved,omitzero"`  // zero while it holds
	By        string           `json:"by,omitempty"`       // what resolved it: "fix 12", or "" where nobody knows
	Plan      string           `json:"plan,omitempty"`     // what the daemon does about it, or would do, or why it does nothing
	Commands  []string         `json:"commands,omitempty"` // for a person, of its first fix
	Ignored   bool             `json:"ignored,omitempty"`  // by the configuration: shown, and nothing else
	URL       string           `json:"url"`
}

// Skip says what was not judged, and why.
type Skip struct {
	Check  string `json:"check"`
	Reason string `json:"reason"`
}

// Fix is one fix of the journal.
type Fix struct {
	ID     int       `json:"id"` // 0: it was refused before it began
	Check  string    `json:"check"`
	On     facts.Ref `json:"on"`
	Title  string    `json:"title"`
	State  string    `json:"state"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// Chain is the state of the container runtime's CNI configuration.
type Chain struct {
	Kept    bool     `json:"kept"` // the daemon keeps the plugin in it
	File    string   `json:"file,omitempty"`
	Network string   `json:"network,omitempty"`
	Plugins []string `json:"plugins,omitempty"`
	In      bool     `json:"in"`                // netmend is one of them
	Waiting string   `json:"waiting,omitempty"` // why it is not, yet
	Rival   string   `json:"rival,omitempty"`   // who is likely to take it out
	Error   string   `json:"error,omitempty"`
}

// Names of conditions. They are labels of a metric: never changed.
const (
	Journal       = "journal"        // fixes can be written down
	KernelEvents  = "kernel-events"  // the kernel tells of changes
	NodeRead      = "node-read"      // the last audit could read the node
	ChainKept     = "chain"          // the CNI configuration is as it should be
	SocketServed  = "socket"         // the plugin can ask
	HTTPServed    = "http"           // metrics and the page are served
	Configuration = "configuration"  // the file that was read last is in force
	NodeState     = "node-state"     // the file for others was written
	Clock         = "clock"          // the wall clock did not jump
	CounterWindow = "counter-window" // the last window of the counters could be used
	KernelWritten = "kernel-write"   // the kernel takes what is written to it
	Checks        = "checks"         // every check ran to its end
	Kubernetes    = "kubernetes"     // the API server is heard; told only where the configuration has access
)

// Condition is one thing that the daemon needs. OK is the healthy state of each.
type Condition struct {
	Name    string    `json:"name"`
	OK      bool      `json:"ok"`
	Message string    `json:"message,omitempty"` // why not, and what goes on without it
	Since   time.Time `json:"since"`
}
