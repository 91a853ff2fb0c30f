package report

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// The part of SARIF 2.1.0 (OASIS, errata 01) that a report needs.
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool         `json:"tool"`
	Invocations []sarifInvocation `json:"invocations"`
	Results     []sarifResult     `json:"results"`
	ColumnKind  string            `json:"columnKind"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	Version        string      `json:"version,omitempty"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID      string       `json:"id"`
	Short   sarifMessage `json:"shortDescription"`
	Full    sarifMessage `json:"fullDescription"`
	Help    sarifHelp    `json:"help"`
	HelpURI string       `json:"helpUri"`
	Default sarifLevel   `json:"defaultConfiguration"`
}

type sarifHelp struct {
	Text     string `json:"text"`
	Markdown string `json:"markdown"`
}

type sarifLevel struct {
	Level string `json:"level"`
}

type sarifMessage struct {
	Text string `json:"text"`
}

type sarifInvocation struct {
	Successful    bool                `json:"executionSuccessful"`
	End           string              `json:"endTimeUtc"`
	Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
}

type sarifNotification struct {
	Level   string       `json:"level"`
	Message sarifMessage `json:"message"`
	Rule    sarifRuleRef `json:"associatedRule"`
}

type sarifRuleRef struct {
	ID    string `json:"id"`
	Index int    `json:"index"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Level        string            `json:"level"`
	Message      sarifMessage      `json:"message"`
	Locations    []sarifLocation   `json:"locations"`
	Fingerprints map[string]string `json:"partialFingerprints"`
	Properties   sarifProperties   `json:"properties"`
}

type sarifLocation struct {
	Physical sarifPhysical  `json:"physicalLocation"`
	Logical  []sarifLogical `json:"logicalLocations"`
}

// sarifPhysical is a place in a file. GitHub's code scanning shows no result without one, and wants a line and columns of it.
type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   sarifRegion   `json:"region"`
}

type sarifArtifact struct {
	URI string `json:"uri"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn"`
	EndLine     int `json:"endLine"`
	EndColumn   int `json:"endColumn"`
}

type sarifLogical struct {
	Name      string `json:"name"`
	Qualified string `json:"fullyQualifiedName"`
	Kind      string `json:"kind"`
}

type sarifProperties struct {
	On       facts.Ref        `json:"on"`
	Evidence []check.Evidence `json:"evidence"`
	Fixes    []Fix            `json:"fixes"`
}

const (
	sarifSchema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	sarifHome    = "https://github.com/netmend/netmend"
	sarifTime    = "2006-01-02T15:04:05.000Z"
	sarifColumns = "unicodeCodePoints"
)

func writeSARIF(w io.Writer, d *Document, _ Style) error {
	rules, index := sarifRules(d)
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: "netmend", Version: d.version, InformationURI: sarifHome, Rules: rules}},
		Invocations: []sarifInvocation{{Successful: true, End: d.Taken.UTC().Format(sarifTime), Notifications: sarifNotifications(d, index)}},
		Results:     []sarifResult{}, ColumnKind: sarifColumns,
	}
	for _, f := range d.Findings {
		run.Results = append(run.Results, sarifOne(d, f, index))
	}
	return encode(w, sarifLog{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{run}})
}

// sarifRules lists the checks that ran; a skip or finding of another, which only a caller's mistake can bring, gets a bare rule.
func sarifRules(d *Document) ([]sarifRule, map[string]int) {
	rules, index := []sarifRule{}, map[string]int{}
	add := func(r sarifRule) {
		if _, known := index[r.ID]; known {
			return
		}
		index[r.ID] = len(rules)
		r.HelpURI = Page(r.ID)
		rules = append(rules, r)
	}
	for _, c := range d.checks {
		add(sarifRule{ID: c.Name, Short: sarifMessage{c.Title}, Full: sarifMessage{c.Title}, Help: sarifHelp{c.Doc, c.Doc}, Default: sarifLevel{level(c.Severity)}})
	}
	bare := func(name string, s check.Severity) {
		add(sarifRule{ID: name, Short: sarifMessage{name}, Full: sarifMessage{name}, Help: sarifHelp{name, name}, Default: sarifLevel{level(s)}})
	}
	for _, f := range d.Findings {
		bare(f.Check, f.Severity)
	}
	for _, k := range d.Skipped {
		bare(k.Check, check.Warning)
	}
	return rules, index
}

func sarifOne(d *Document, f Finding, index map[string]int) sarifResult {
	name := sarifText(f.Where)
	path := ""
	if ns := d.snapshot.Namespace(f.On.NetNS); ns != nil {
		path = ns.Path // inode numbers and processes do not outlive a restart
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{d.Node.Name, f.Check, path, f.On.Name}, "\x00")))
	hash := hex.EncodeToString(sum[:])
	return sarifResult{
		RuleID: f.Check, RuleIndex: index[f.Check], Level: level(f.Severity),
		Message: sarifMessage{fmt.Sprintf("%s: %s", name, sarifText(f.Message))},
		Locations: []sarifLocation{{
			Physical: sarifPhysical{sarifArtifact{nodeURI(d.Node.Name)}, sarifRegion{1, 1, 1, 1}},
			Logical:  []sarifLogical{{Name: Printable(f.On.Name), Qualified: Printable(d.Node.Name + "/" + f.Where), Kind: "resource"}},
		}},
		Fingerprints: map[string]string{"nodeCheckObject/v1": hash, "primaryLocationLineHash": hash}, // the second is the one that GitHub reads
		Properties:   sarifProperties{On: f.On, Evidence: f.Evidence, Fixes: f.Fixes},
	}
}

// nodeURI is the path of a file that stands for a node. A node is no file of a repository, but the place must be a relative reference without a scheme
// (RFC 3986, section 4.2) that stays below its root.
func nodeURI(name string) string {
	name = strings.ToValidUTF8(name, "\ufffd")
	if strings.Trim(name, ".") == "" { // ".." would leave the directory
		name = "unnamed" + name
	}
	return "nodes/" + url.PathEscape(name)
}

func sarifNotifications(d *Document, index map[string]int) []sarifNotification {
	var out []sarifNotification
	for _, k := range d.Skipped {
		text := k.Reason
		if k.On != nil {
			text = Where(d.snapshot, *k.On) + ": " + text
		}
		out = append(out, sarifNotification{Level: "note", Message: sarifMessage{sarifText(text)}, Rule: sarifRuleRef{k.Check, index[k.Check]}})
	}
	return out
}

// sarifText makes text that means nothing in a SARIF message: no embedded link (section 3.11.6) and no placeholder (3.11.5).
func sarifText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, "{", "{{", "}", "}}").Replace(Printable(s))
}

func level(s check.Severity) string {
	switch s {
	case check.Critical:
		return "error"
	case check.Warning:
		return "warning"
	}
	return "note"
}
