package plugin

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/verdict"
)

// The modes of a check.
const (
	ModeOff     = "off"
	ModeWarn    = "warn"
	ModeEnforce = "enforce"
)

// What becomes of a pod that could not be judged.
const (
	Ignore = "Ignore"
	Fail   = "Fail"
)

// Bounds and defaults of the time that judging may take.
const (
	defaultTimeout = 15 * time.Millisecond
	maxTimeout     = 10 * time.Second
)

// Config is netmend's object in a network's list of plugins, with its defaults filled in.
type Config struct {
	CNIVersion string
	Name       string // of the network

	Mode             string            // of the checks that Checks does not name
	Checks           map[string]string // mode by name
	FailurePolicy    string
	Timeout          time.Duration
	ExemptNamespaces []string // whose pods are never refused
	Services         []facts.ServiceIntent
	Gate             []string // checks for which STATUS fails
	Fix              []string // checks whose findings are mended before the pod starts
	DetectConflict   bool
	Socket           string
	LogLevel         string
	LogFile          string

	Prev json.RawMessage // prevResult; nil where there is none
	prev map[string]any  // the same, decoded when it is handed on
}

// modeOf is the mode of a check.
func (c *Config) modeOf(name string) string {
	if m, ok := c.Checks[name]; ok {
		return m
	}
	return c.Mode
}

// ParseConfig reads the document on standard input. An unknown key or a wrong value is an error of code 7 that names the key.
func ParseConfig(data []byte) (*Config, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, "decode configuration: "+err.Error(), "")
	}
	c := &Config{
		Mode: ModeWarn, FailurePolicy: Ignore, Timeout: defaultTimeout, ExemptNamespaces: []string{"kube-system", "netmend"},
		Socket: verdict.DefaultSocket, LogLevel: levelWarn,
	}
	readers := c.readers()
	for key, value := range keys {
		read, known := readers[key]
		switch {
		case known:
			if err := read(value); err != nil {
				return nil, invalid(key, err)
			}
		case !strings.HasPrefix(key, "cni.dev/") && !slices.Contains(runtimeKeys(), key):
			return nil, invalid(key, fmt.Errorf("unknown key"))
		}
	}
	return c, nil
}

func invalid(key string, err error) error {
	return types.NewError(types.ErrInvalidNetworkConfig, fmt.Sprintf("netmend: configuration key %q: %v", key, err), "see docs/cni.md for the keys and their values")
}

// runtimeKeys are those that runtimes, libcni and Multus put into the configuration of every plugin.
func runtimeKeys() []string {
	return []string{"type", "runtimeConfig", "capabilities", "args", "ipam", "dns", "deviceID", "pciBusID"}
}

// readers give for each key the function that takes its value.
func (c *Config) readers() map[string]func(json.RawMessage) error {
	return map[string]func(json.RawMessage) error{
		"cniVersion":       text(&c.CNIVersion),
		"name":             text(&c.Name),
		"prevResult":       c.readPrev,
		"mode":             oneOf(&c.Mode, ModeOff, ModeWarn, ModeEnforce),
		"checks":           c.readChecks,
		"failurePolicy":    oneOf(&c.FailurePolicy, Ignore, Fail),
		"timeout":          c.readTimeout,
		"exemptNamespaces": decode(&c.ExemptNamespaces),
		"services":         c.readServices,
		"gate":             names(&c.Gate, "checks of the node", gateable),
		"fix":              names(&c.Fix, "checks that can be mended", mendable),
		"detectConflict":   decode(&c.DetectConflict),
		"socket":           absolute(&c.Socket),
		"logLevel":         oneOf(&c.LogLevel, levelError, levelWarn, levelInfo, levelDebug),
		"logFile":          absolute(&c.LogFile),
	}
}

func decode[T any](to *T) func(json.RawMessage) error {
	return func(v json.RawMessage) error {
		if string(v) == "null" {
			return fmt.Errorf("null is no value")
		}
		if err := json.Unmarshal(v, to); err != nil {
			return fmt.Errorf("%s is not a value for it: %w", brief(v), err)
		}
		return nil
	}
}

func text(to *string) func(json.RawMessage) error { return decode(to) }

func oneOf(to *string, values ...string) func(json.RawMessage) error {
	return func(v json.RawMessage) error {
		var s string
		if err := decode(&s)(v); err != nil {
			return err
		}
		if !slices.Contains(values, s) {
			return fmt.Errorf("%s is not one of %s", brief(v), strings.Join(values, ", "))
		}
		*to = s
		return nil
	}
}

// absolute takes an absolute path, or the empty one for none.
func absolute(to *string) func(json.RawMessage) error {
	return func(v json.RawMessage) error {
		if err := decode(to)(v); err != nil {
			return err
		}
		if *to != "" && !filepath.IsAbs(*to) {
			return fmt.Errorf("%s is not an absolute path", brief(v))
		}
		return nil
	}
}

func names(to *[]string, what string, known func(string) bool) func(json.RawMessage) error {
	return func(v json.RawMessage) error {
		if err := decode(to)(v); err != nil {
			return err
		}
		for _, name := range *to {
			if !known(name) {
				return fmt.Errorf("%q is not one of the %s", name, what)
			}
		}
		return nil
	}
}

func (c *Config) readPrev(v json.RawMessage) error {
	if string(v) != "null" {
		c.Prev = v
	}
	return nil
}

func (c *Config) readChecks(v json.RawMessage) error {
	if err := decode(&c.Checks)(v); err != nil {
		return err
	}
	for name, mode := range c.Checks {
		if codeOf(name) == 0 {
			return fmt.Errorf("%q is not a check that is made when a pod is added", name)
		}
		if !slices.Contains([]string{ModeOff, ModeWarn, ModeEnforce}, mode) {
			return fmt.Errorf("%s: %q is not one of off, warn, enforce", name, mode)
		}
	}
	return nil
}

func (c *Config) readTimeout(v json.RawMessage) error {
	var s string
	if err := decode(&s)(v); err != nil {
		return err
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d > maxTimeout {
		return fmt.Errorf("%s is not a duration above 0 and up to %s, such as \"15ms\"", brief(v), maxTimeout)
	}
	c.Timeout = d
	return nil
}

func (c *Config) readServices(v json.RawMessage) error {
	var list []map[string]json.RawMessage
	if err := decode(&list)(v); err != nil {
		return err
	}
	for i, keys := range list {
		s := facts.ServiceIntent{Source: "configuration"}
		vip := ""
		readers := map[string]func(json.RawMessage) error{
			"name": text(&s.Name), "vip": text(&vip), "port": decode(&s.Port), "protocol": oneOf(&s.Protocol, "tcp", "udp", "sctp"),
		}
		for key, value := range keys {
			read, known := readers[key]
			if !known {
				return fmt.Errorf("service %d: unknown key %q", i+1, key)
			}
			if err := read(value); err != nil {
				return fmt.Errorf("service %d: %s: %w", i+1, key, err)
			}
		}
		a, err := netip.ParseAddr(vip)
		switch {
		case err != nil || a.Zone() != "" || a.IsUnspecified():
			return fmt.Errorf("service %d: vip: %q is not an address", i+1, vip)
		case s.Port == 0:
			return fmt.Errorf("service %d: port: missing, or 0", i+1)
		case s.Protocol == "":
			return fmt.Errorf("service %d: protocol: missing", i+1)
		case s.Name != "" && !serviceName(s.Name):
			return fmt.Errorf("service %d: name: %q is not namespace/name:port, as kube-proxy calls it", i+1, s.Name)
		}
		s.VIP = a.Unmap()
		c.Services = append(c.Services, s)
	}
	return nil
}

// serviceName says whether a name is namespace/name or namespace/name:port.
func serviceName(s string) bool {
	namespace, rest, ok := strings.Cut(s, "/")
	name, _, _ := strings.Cut(rest, ":")
	return ok && namespace != "" && name != "" && !strings.ContainsAny(s, " \t\n")
}

// brief cuts a value for a message.
func brief(v json.RawMessage) string {
	const most = 60
	if len(v) > most {
		return string(v[:most]) + "..."
	}
	return string(v)
}
