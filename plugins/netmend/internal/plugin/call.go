package plugin

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containernetworking/cni/pkg/skel"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/verdict"
)

// answerTime is how long the daemon has to answer.
const answerTime = 2 * time.Millisecond

// call is one request.
type call struct {
	command string
	args    *skel.CmdArgs
	conf    *Config
	start   time.Time
	result  *facts.PodResult
	asked   time.Time
	log     *logger
	host    *host.Host // to be closed; nil where the reading has not ended

	mu     sync.Mutex      // of what reading and judging share once the time is up
	daemon *verdict.Client // nil where there is none
}

// call reads the configuration of a request.
func (p *Plugin) call(command string, a *skel.CmdArgs) (*call, error) {
	conf, err := ParseConfig(a.StdinData)
	if err != nil {
		return nil, err
	}
	return &call{command: command, args: a, conf: conf, start: p.start, log: &logger{file: conf.LogFile, level: conf.LogLevel, err: p.err}}, nil
}

// ask sends the daemon the question; the answer is read later.
func (c *call) ask() {
	if c.conf.Socket == "" {
		return
	}
	if d, err := verdict.Ask(c.conf.Socket); err == nil {
		c.daemon, c.asked = d, time.Now()
	}
}

// answer is what the daemon knows; nil where it does not answer in time. The time is counted from the question.
func (c *call) answer() *verdict.Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.daemon == nil {
		return nil
	}
	a, err := c.daemon.Answer(c.asked.Add(answerTime))
	if err != nil {
		return nil
	}
	return a
}

func (c *call) close() {
	if c.host != nil {
		_ = c.host.Close() // it was only read from
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.daemon != nil {
		_ = c.daemon.Close() // nothing is expected of it any more
		c.daemon = nil
	}
}

// pod is the Kubernetes namespace of the pod and its name, as kubelet's runtimes tell them in CNI_ARGS.
func (c *call) pod() (namespace, name string) {
	for pair := range strings.SplitSeq(c.args.Args, ";") {
		switch key, value, _ := strings.Cut(pair, "="); key {
		case "K8S_POD_NAMESPACE":
			namespace = value
		case "K8S_POD_NAME":
			name = value
		}
	}
	return namespace, name
}

// podUID is the uid of the pod's object; empty where the runtime does not tell it: containerd does since 1.6, CRI-O since 1.20.
func (c *call) podUID() string {
	for pair := range strings.SplitSeq(c.args.Args, ";") {
		if uid, found := strings.CutPrefix(pair, "K8S_POD_UID="); found {
			return uid
		}
	}
	return ""
}

// exempt says whether the pod may not be refused.
func (c *call) exempt() bool {
	namespace, _ := c.pod()
	return namespace != "" && slices.Contains(c.conf.ExemptNamespaces, namespace)
}

func (c *call) deadline() time.Time { return c.start.Add(c.conf.Timeout) }
