package lab

import (
	"os"
	"path/filepath"
)

// Mend runs, as a person would type them on the node, the commands of the first fix of every finding that is at least a warning.
func (n *Node) Mend(r *Report) {
	n.t.Helper()
	for _, f := range r.Findings {
		if f.Severity == "info" {
			continue
		}
		if len(f.Fixes) == 0 || len(f.Fixes[0].Commands) == 0 {
			n.t.Fatalf("%s on %s has no command that mends it\n%s", f.Check, f.On.Name, r.Describe())
		}
		n.Type(f.Fixes[0].Commands...)
	}
}

// Type runs commands as a person would type them on the node: in its namespace, and where it has files of its own below /etc/cni, /root, /var/lib or
// /proc/sys, they see these.
func (n *Node) Type(commands ...string) {
	n.t.Helper()
	for _, c := range commands {
		n.t.Logf("typed: %s", c)
		cmd := n.Command("sh", "-euc", asOnNode+c) // in a mount namespace of its own, as ip netns exec makes it
		cmd.Env = append(os.Environ(), "NODE="+n.Root, "COMMAND="+c)
		if _, err := runShell(cmd, c); err != nil {
			n.t.Fatalf("%v", err)
		}
	}
}

// asOnNode puts the node's files over this machine's, for one shell only. /etc/cni may not exist here, and its parent must stay as it is.
const asOnNode = `
mount --bind "$NODE/var/lib" /var/lib
mount --bind "$NODE/root" /root
[ -L "$NODE/proc" ] || mount --bind "$NODE/proc/sys" /proc/sys
case "$COMMAND" in */etc/cni*)
	mkdir -p "$NODE/etc.all" && cp -a /etc/. "$NODE/etc.all" && mkdir -p "$NODE/etc.all/cni"
	mount --bind "$NODE/etc.all" /etc
	mount --bind "$NODE/etc/cni" /etc/cni ;;
esac
`

// Own gives the node a /proc of its own that holds these files only. Names are below /proc.
func (n *Node) Own(files map[string]string) {
	n.t.Helper()
	if err := os.Remove(filepath.Join(n.Root, "proc")); err != nil {
		n.t.Fatalf("%v", err)
	}
	for name, text := range files {
		n.Write(filepath.Join("proc", name), "%s", text)
	}
}
