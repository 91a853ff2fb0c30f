package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/facts"
)

// Bounds of lists and words.
const (
	maxPatterns = 64
	maxPattern  = 256 // bytes
	maxHosts    = 32
	maxCIDRs    = 64
	maxServices = 64 // as many as the plugin looks up while a pod waits
	maxFix      = 9
	maxFile     = 4095 // PATH_MAX without the zero
	maxPath     = 100  // of a socket: sockaddr_un has 108 bytes, and a temporary name is a little longer
)

// parser fills in a configuration.
type parser struct {
	suite  *audit.Suite
	config *Config
}

func (p *parser) document(doc json.RawMessage) error {
	c := p.config
	var version, kind, level, format string
	read := object(map[string]reader{
		"apiVersion": word(&version, APIVersion),
		"kind":       word(&kind, Kind),
		"mode":       word(&c.Mode, Audit, Fix),
		"checks":     entries(p.check),
		"http": object(map[string]reader{
			"listen": orOff(&c.Listen, address),
			"hosts": list(maxHosts, text(func(s string) error {
				c.Hosts = append(c.Hosts, s)
				return hostName(s)
			})),
		}),
		"socket": orOff(&c.Socket, socketPath),
		"chain":  object(map[string]reader{"keep": flag(&c.KeepChain), "entry": p.entry}),
		"intervals": object(map[string]reader{
			"fullAudit":     duration(&c.FullAudit, minFullAudit, maxFullAudit),
			"counterWindow": duration(&c.CounterWindow, minCounterWindow, maxCounterWindow),
		}),
		"log": object(map[string]reader{
			"level":  word(&level, "debug", "info", "warn", "error"),
			"format": word(&format, "text", "json"),
		}),
		"podCIDRs":     list(maxCIDRs, prefix(&c.Intent.PodCIDRs)),
		"nodePodCIDRs": list(maxCIDRs, prefix(&c.Intent.NodePodCIDR)),
		"services":     list(maxServices, p.service),
		"kubernetes":   p.kubernetes,
	})
	if err := read(doc); err != nil {
		return err
	}
	switch {
	case version == "":
		return fmt.Errorf("apiVersion: it is missing: %s", APIVersion)
	case kind == "":
		return fmt.Errorf("kind: it is missing: %s", Kind)
	case c.CounterWindow > c.FullAudit:
		return fmt.Errorf("intervals.counterWindow: %s is longer than intervals.fullAudit, %s", c.CounterWindow, c.FullAudit)
	}
	c.LogJSON = format == "json"
	c.LogLevel = map[string]slog.Level{"debug": slog.LevelDebug, "warn": slog.LevelWarn, "error": slog.LevelError}[level]
	return nil
}

// check reads what is said of one check.
func (p *parser) check(name string, v json.RawMessage) error {
	if _, err := p.suite.Find(name); err != nil {
		return errors.New("unknown check" + strings.TrimPrefix(err.Error(), fmt.Sprintf("unknown check %q", name)))
	}
	var k Check
	var severity string
	read := object(map[string]reader{
		"severity": word(&severity, check.Info.String(), check.Warning.String(), check.Critical.String()),
		"settle": func(v json.RawMessage) error {
			k.Settle = new(time.Duration)
			return duration(k.Settle, 0, maxSettle)(v)
		},
		"fix": func(v json.RawMessage) error { return k.Fix.read(name, v) },
		"ignore": list(maxPatterns, text(func(s string) error {
			k.Ignore = append(k.Ignore, s)
			return pattern(s)
		})),
	})
	if err := read(v); err != nil {
		return err
	}
	if severity != "" {
		s, err := check.ParseSeverity(severity)
		if err != nil {
			return below("severity", err)
		}
		k.Severity = &s
	}
	if p.config.Checks == nil {
		p.config.Checks = map[string]Check{}
	}
	p.config.Checks[name] = k
	return nil
}

// read takes on, off or a number. YAML 1.1 reads the first two as true and false.
func (f *FixChoice) read(name string, v json.RawMessage) error {
	switch s := strings.Trim(string(v), `"`); s {
	case "false", "off":
		*f = FixNever
		return nil
	case "true", "on":
		*f = FixFirst
	default:
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxFix {
			return fmt.Errorf("%s is not on, off or the number of a fix", brief(v))
		}
		*f = FixChoice(n)
	}
	if !slices.ContainsFunc(checks.AutoFix(), func(r checks.AutoRule) bool { return r.Check == name }) {
		return fmt.Errorf("only a person can mend it: netmendctl explain %s", name)
	}
	return nil
}

func (p *parser) entry(v json.RawMessage) error {
	var entry map[string]json.RawMessage
	if json.Unmarshal(v, &entry) != nil || string(entry["type"]) != `"netmend"` {
		return fmt.Errorf("%s is not an object with type: netmend, see docs/cni.md", brief(v))
	}
	p.config.Entry = slices.Clone(v)
	return nil
}

func (p *parser) service(v json.RawMessage) error {
	s := facts.ServiceIntent{Protocol: "tcp", Source: "configuration"}
	read := object(map[string]reader{
		"name": text(func(name string) error {
			namespace, rest, ok := strings.Cut(name, "/")
			if s.Name = name; !ok || namespace == "" || rest == "" || strings.ContainsAny(name, " \t\n") {
				return fmt.Errorf("%s is not namespace/name:port, as kube-proxy calls it", quoted(name))
			}
			return nil
		}),
		"vip": text(func(vip string) error {
			a, err := netip.ParseAddr(vip)
			if s.VIP = a.Unmap(); err != nil || a.Zone() != "" || a.IsUnspecified() {
				return fmt.Errorf("%s is not an address", quoted(vip))
			}
			return nil
		}),
		"port": func(v json.RawMessage) error {
			if json.Unmarshal(v, &s.Port) != nil || s.Port == 0 {
				return fmt.Errorf("%s is not a port", brief(v))
			}
			return nil
		},
		"protocol": word(&s.Protocol, "tcp", "udp", "sctp"),
	})
	if err := read(v); err != nil {
		return err
	}
	switch {
	case s.Name == "":
		return below("name", errors.New("it is missing"))
	case !s.VIP.IsValid():
		return below("vip", errors.New("it is missing"))
	case s.Port == 0:
		return below("port", errors.New("it is missing"))
	}
	p.config.Intent.Services = append(p.config.Intent.Services, s)
	return nil
}

func pattern(s string) error {
	if _, err := path.Match(s, ""); err != nil || s == "" || len(s) > maxPattern {
		return fmt.Errorf("%s is not a pattern of an object's name, such as docker0 or veth*", quoted(s))
	}
	return nil
}

func hostName(s string) error {
	if s == "" || len(s) > 253 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/:@*?#[]\"`, r) }) {
		return fmt.Errorf("%s is not a host's name", quoted(s))
	}
	return nil
}

func socketPath(s string) error {
	if !filepath.IsAbs(s) || filepath.Clean(s) != s || len(s) > maxPath || strings.ContainsRune(s, 0) {
		return fmt.Errorf("%s is not a clean absolute path of at most %d bytes, nor off", quoted(s), maxPath)
	}
	return nil
}
