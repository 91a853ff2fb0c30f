// Package mend lets netmendctl mend nodes of network namespaces and take everything back, and asks real packets what came of it.
package mend

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }

// How long a connect takes whose first SYN is lost, and how long one that is not: both are far from these bounds.
const (
	slow = 800 * time.Millisecond
	fast = 300 * time.Millisecond
)

// connects checks how long a connect from the first node to the second one's pod takes.
func connects(t *testing.T, f *lab.Flannel, wantSlow bool) {
	t.Helper()
	took, err := f.Nodes[0].Connect(f.Target(), 10*time.Second)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	if wantSlow && took < slow || !wantSlow && took > fast {
		t.Errorf("connect took %s; want slow: %v", took, wantSlow)
	}
}

// document is what of the documents of fix, undo and history the tests look at, by its documented names.
type document struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Plan       []struct {
		Check    string   `json:"check"`
		Commands []string `json:"commands"`
		Undo     []string `json:"undo"`
		Warnings []string `json:"warnings"`
	} `json:"plan"`
	NotPlanned []struct {
		Check string `json:"check"`
		Why   string `json:"why"`
	} `json:"notPlanned"`
	Results []struct {
		ID     int    `json:"id"`
		Check  string `json:"check"`
		State  string `json:"state"`
		Proved bool   `json:"proved"`
		Error  string `json:"error"`
		Still  string `json:"still"`
	} `json:"results"`
	Fixes []struct {
		ID    int    `json:"id"`
		State string `json:"state"`
	} `json:"fixes"`
	Warnings []string `json:"warnings"`
}

// mend runs a command on the node with -o json, which must end with the code.
func mend(t *testing.T, n *lab.Node, exit int, words ...string) document {
	t.Helper()
	if words[0] != "history" {
		words = append(words, "--netns", n.Path)
	}
	cmd := lab.Netmendctl(append(words, "-o", "json", "--root", n.Root)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != exit {
		t.Fatalf("%q: exit %d; want %d: %s%s", words, got, exit, errs.String(), out.String())
	}
	var d document
	if err := json.Unmarshal(out.Bytes(), &d); err != nil && exit != 2 {
		t.Fatalf("%q: %v in %s", words, err, out.String())
	}
	return d
}
