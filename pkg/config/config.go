package config

import (
	"encoding/json"
	"log/slog"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/verdict"
)

// APIVersion and Kind say what the document is.
const (
	APIVersion = "netmend.io/v1alpha1"
	Kind       = "NetmendConfiguration"
)

// DefaultPath is where the daemon looks for its configuration.
const DefaultPath = "/etc/netmend/netmend.yaml"

// Mode says whether the daemon changes anything.
type Mode string

// The modes.
const (
	Audit Mode = "audit" // nothing is ever changed; what would be done is said
	Fix   Mode = "fix"   // what may run unasked is mended, and what the configuration asks for
)

// Config is a whole configuration. The zero value is not usable: [Default] is the one without a file. It is not changed once it was read.
type Config struct {
	Mode   Mode
	Checks map[string]Check // by name; a check that is not here is treated as by the zero Check

	Listen string   // of HTTP: host:port; empty: off
	Hosts  []string // names by which HTTP may be asked for, besides addresses, localhost and the node's name
	Socket string   // path of the plugin's socket; empty: off

	KeepChain bool            // keep the plugin in the chain of CNI plugins; it is done in mode fix only, as audit changes nothing
	Entry     json.RawMessage // the plugin's object in the chain; nil: cniconf's default

	FullAudit     time.Duration // between two audits of everything
	CounterWindow time.Duration // between two samples of the counters

	LogLevel slog.Level
	LogJSON  bool // else text

	Kubernetes Kubernetes

	Intent facts.Intent // what the node must have; what is empty is derived from the node's files
}

// Check is what the configuration says of one check. The zero value leaves all to the check and to what may run unasked.
type Check struct {
	Severity *check.Severity // of its findings instead of their own; nil: their own
	Settle   *time.Duration  // how long a finding must last before it is acted upon; nil: as the check says
	Fix      FixChoice
	Ignore   []string // patterns of objects whose findings are shown and nothing else; see [Config.Ignored]
}

// FixChoice says what may be done about a check's findings.
type FixChoice int

// The choices. A positive number is that fix of the check's finding, counted from 1.
const (
	FixUnasked FixChoice = 0  // what may run unasked, and nothing else
	FixNever   FixChoice = -1 // off
	FixFirst   FixChoice = -2 // on: the first that changes something
)

// Defaults of the configuration, and the bounds of what it may say.
const (
	DefaultListen = "127.0.0.1:26363" // not in the range that Prometheus has given away, 9100 to 9999, nor among the ports of Kubernetes

	DefaultFullAudit     = 10 * time.Minute
	minFullAudit         = 10 * time.Second
	maxFullAudit         = 24 * time.Hour
	DefaultCounterWindow = time.Minute
	minCounterWindow     = time.Second
	maxCounterWindow     = time.Hour
	maxSettle            = 24 * time.Hour
)

// Default is the configuration without a file.
func Default() *Config {
	return &Config{
		Mode: Audit, Listen: DefaultListen, Socket: verdict.DefaultSocket, KeepChain: true,
		FullAudit: DefaultFullAudit, CounterWindow: DefaultCounterWindow, LogLevel: slog.LevelInfo,
	}
}
