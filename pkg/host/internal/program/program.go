// Package program runs the few programs that change what has no interface of its own: the node's, in its root directory, or those that netmend came with. Nothing
// that only reads uses it.
package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Limit bounds how long a program may take. iptables waits for the lock of another that loads tens of thousands of rules.
const Limit = 60 * time.Second

// ErrNoProgram says that there is no such program.
var ErrNoProgram = errors.New("no such program on this node")

// Run runs a program in the calling thread's namespaces and root directory. Its error holds what the program wrote to its error output.
func Run(name string, args ...string) error {
	path, err := Find(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), Limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = "/"
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	if err := cmd.Run(); err != nil {
		if why := strings.Join(strings.Fields(complaint.String()), " "); why != "" {
			return fmt.Errorf("%s: %w: %s", name, err, why)
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Find gives the program's path as it is inside the calling thread's root directory. It looks in the usual directories, whatever PATH says.
func Find(name string) (string, error) {
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, ErrNoProgram)
}
