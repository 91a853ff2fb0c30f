package archtest

// room is one line of the table of rooms: what a package tree may import. Packages below a room's path belong to it.
type room struct {
	path  string   // below the module; the longest path that fits is a package's room
	floor int      // imports within the module go to a lower floor only
	may   []string // the rooms it may import; "*" for all of lower floors
	third []string // the modules of others that it may import, as prefixes of import paths; "*" for all but those in bans
	why   string   // why not more
}

var rooms = []room{
	{"pkg/facts", 0, nil, nil,
		"facts are plain data: the same document must decode and be judged on any machine, so nothing here can reach a kernel"},
	{"pkg/nodefs", 0, nil, []string{"golang.org/x/sys"},
		"paths, locks and directories of a node's file system for those who keep files there; what is in the files is their business"},
	{"pkg/fix", 1, []string{"pkg/facts"}, nil,
		"a fix is data planned against facts: it never decides and never touches what it would change"},
	{"pkg/host", 2, []string{"pkg/facts", "pkg/fix", "pkg/nodefs", "pkg/services"}, []string{"*"},
		"the only room that touches the kernel; it knows nothing of checks, so that reading cannot depend on what somebody wants to find"},
	{"pkg/check", 2, []string{"pkg/facts", "pkg/fix"}, nil,
		"judging needs facts alone: a snapshot from elsewhere must give the same report"},
	{"pkg/collect", 3, []string{"pkg/facts", "pkg/host"}, nil,
		"collecting turns what host reads into facts and nothing else: what would need another module's code to read belongs in host"},
	{"pkg/cniconf", 2, []string{"pkg/nodefs"}, []string{"github.com/containernetworking/cni", "golang.org/x/sys"},
		"it edits the configuration directory of any runtime, with or without the rest of netmend"},
	{"pkg/checks", 3, []string{"pkg/facts", "pkg/fix", "pkg/check", "pkg/services"}, nil,
		"a check is a pure function from facts to findings: no kernel, no clock, no files"},
	{"pkg/verdict", 3, []string{"pkg/facts", "pkg/check"}, []string{"golang.org/x/sys"},
		"what the CNI plugin and the daemon say to each other: both link it, so it holds no more than that"},
	{"pkg/status", 3, []string{"pkg/facts", "pkg/check"}, nil,
		"what the daemon knows, as data: whoever shows it links no more than that"},
	{"pkg/nodereport", 4, []string{"pkg/facts", "pkg/check", "pkg/checks", "pkg/status"}, nil,
		"what nodes tell a cluster of themselves, as data: whoever reads or writes it brings the way to the API"},
	{"pkg/cluster", 5, []string{"pkg/facts", "pkg/fix", "pkg/check", "pkg/status", "pkg/nodereport"}, nil,
		"what no single node sees is judged from the nodes' reports alone, so it is pure: it looks the same for reports from a file"},
	{"pkg/repair", 3, []string{"pkg/facts", "pkg/fix", "pkg/host", "pkg/nodefs"}, []string{"golang.org/x/sys"},
		"repair makes planned changes and takes them back; it never decides which, so it knows no check"},
	{"pkg/audit", 4, []string{"pkg/facts", "pkg/fix", "pkg/check", "pkg/checks", "pkg/host", "pkg/collect", "pkg/cniconf"}, []string{"sigs.k8s.io/yaml"},
		"what all programs share; it changes nothing, so it cannot see repair"},
	{"pkg/report", 4, []string{"pkg/facts", "pkg/fix", "pkg/check"}, []string{"sigs.k8s.io/yaml"},
		"a renderer gets a finished report; it must look the same for a snapshot from elsewhere, so it cannot read anything itself"},
	{"pkg/kube", 6, []string{"pkg/facts", "pkg/check", "pkg/services", "pkg/status", "pkg/nodereport", "pkg/cluster"}, []string{"*"},
		"the only room that talks to Kubernetes"},
	{"pkg/config", 5, []string{"pkg/facts", "pkg/check", "pkg/checks", "pkg/audit", "pkg/verdict", "pkg/nodefs"}, []string{"sigs.k8s.io/yaml", "golang.org/x/sys"},
		"the daemon's configuration file, decoded and checked; nothing of the node is read to do it"},
	{"pkg/serve", 5, []string{"pkg/facts", "pkg/check", "pkg/verdict", "pkg/status", "pkg/report", "pkg/nodefs"}, []string{"golang.org/x/sys", "github.com/prometheus/client_golang"},
		"what others may ask the daemon: it shows what the loop has published and can start nothing"},
	{"pkg/services", 1, []string{"pkg/facts"}, nil,
		"which backends a Service must have by the rules of Kubernetes: pure, so that a snapshot from elsewhere gives the same answer"},
	{"pkg/agent", 7, []string{"*"}, []string{"*"},
		"the daemon's loop"},
	{"plugins/netmend", 7, []string{"*"}, []string{"github.com/containernetworking", "golang.org/x/sys"},
		"a pod waits for it: it must start in milliseconds"},
	{"cmd", 8, []string{"*"}, []string{"*"},
		"wiring"},
	{"conf", 7, []string{"*"}, nil, "examples, each decoded by a test"},
	{"deploy", 7, []string{"*"}, nil, "manifests, each decoded by a test"},
	{"docs", 7, []string{"*"}, nil, "pages, each checked by a test"},
	{"test", 9, []string{"*"}, []string{"*"},
		"tests see everything, and nothing sees them"},
}

// exceptions let single packages import what their room may not.
var exceptions = map[string][]string{
	"pkg/checks/internal/gen":   {"*"}, // a program that writes files for people; no package imports it
	"pkg/checks/internal/cases": {"*"}, // reads the cases for tests and for that program
}

// ban is an import that a room must not have.
type ban struct {
	rooms []string // empty: every room but those in but
	but   []string
	path  string // the import path and everything below it
	deep  bool   // also through other packages, of whatever module
	why   string
}

const (
	whyPure  = "what judges must be pure: the same facts give the same findings on every machine and on every day"
	whyPlain = "facts are plain data: they hold what was read and cannot read"
	whyInit  = "whatever is linked is made ready when the program starts, used or not: regular expressions, tables, hashes; the plugin starts for each pod"
	whyStart = "a pod waits for the plugin: it must start in milliseconds, ask nobody over the network and change nothing"
)

var bans = []ban{
	{rooms: []string{"pkg/facts"}, path: "os", why: whyPlain},
	{rooms: []string{"pkg/facts"}, path: "syscall", why: whyPlain},
	{rooms: []string{"pkg/facts"}, path: "net/http", why: whyPlain},
	{rooms: []string{"pkg/services"}, path: "os", why: whyPure},
	{rooms: []string{"pkg/services"}, path: "net/http", why: whyPure},
	{rooms: []string{"pkg/fix", "pkg/check", "pkg/checks"}, path: "os", why: whyPure},
	{rooms: []string{"pkg/fix", "pkg/check", "pkg/checks"}, path: "syscall", why: whyPure},
	{rooms: []string{"pkg/fix", "pkg/check", "pkg/checks"}, path: "net/http", why: whyPure},
	{rooms: []string{"pkg/fix", "pkg/check", "pkg/checks"}, path: "math/rand", why: whyPure},
	{rooms: []string{"pkg/fix", "pkg/check", "pkg/checks"}, path: "math/rand/v2", why: whyPure},
	{rooms: []string{"pkg/collect"}, path: "os/exec", why: "no program of the node is run to read it: it may be absent, and running it may change what is read"},
	{rooms: []string{"pkg/host"}, but: []string{"pkg/host/internal/program"}, path: "os/exec", why: "no program of the node is run to read it: it may be absent, and running it may change what is read"},
	{rooms: []string{"pkg/audit"}, path: "html/template", deep: true, why: "the CNI plugin links this room; renderers live in pkg/report"},
	{but: []string{"pkg/kube", "test"}, path: "k8s.io", why: "Kubernetes is reached through pkg/kube only: everything else works without a cluster"},
	{rooms: []string{"plugins/netmend"}, path: "k8s.io", deep: true, why: whyStart},
	{rooms: []string{"plugins/netmend"}, path: "net/http", deep: true, why: whyStart},
	{rooms: []string{"plugins/netmend"}, path: module + "/pkg/repair", deep: true, why: whyStart},
	{rooms: []string{"plugins/netmend"}, path: module + "/pkg/report", deep: true, why: whyStart},
	{rooms: []string{"plugins/netmend"}, path: "github.com/coreos/go-iptables", deep: true, why: whyInit},
	{rooms: []string{"plugins/netmend"}, path: "crypto", deep: true, why: whyInit},
	{rooms: []string{"plugins/netmend"}, path: "encoding/base32", deep: true, why: whyInit},
	{rooms: []string{"plugins/netmend"}, path: "os/signal", deep: true, why: whyInit},
	{rooms: []string{"plugins/netmend"}, path: "text/template", deep: true, why: whyInit},
	{rooms: []string{"plugins/netmend"}, path: "math/rand", deep: true, why: whyInit},
	{rooms: []string{"plugins/netmend"}, path: "github.com/vishvananda/netlink", deep: true, why: whyInit},
	{rooms: []string{"plugins/netmend"}, path: "sigs.k8s.io/yaml", deep: true, why: whyInit},
	{but: []string{"pkg/host", "test"}, path: "unsafe", why: "only the door to the kernel, and what tests it, hand it memory"},
	{path: "github.com/stretchr/testify", why: "tests use the standard library and go-cmp"},
}
