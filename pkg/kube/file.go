package kube

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/facts"
)

// What bounds a file. The largest cluster that Kubernetes supports, 10,000 Services with 150,000 endpoints, is 80 MiB of kubectl's YAML.
const (
	maxFile   = 256 << 20
	maxObject = 4 << 20 // the API server takes no larger one than 3 MiB (its limit for a request)
	maxItems  = 1 << 19
)

// ErrTooLarge says that a file is larger than a cluster can be.
var ErrTooLarge = errors.New("larger than a cluster can be")

// Objects is what was read of a cluster, before it is known which node it is about.
type Objects struct {
	Services   []facts.Service
	Slices     []facts.EndpointSlice
	Nodes      []facts.ClusterNode
	proxies    []proxyPod
	podsTold   bool // a pod that is not in proxies does not exist
	daemonSets []facts.ProxyPod
	intern     intern
	items      int
	sink       func(kind string, text []byte) error // takes all objects instead, where it is not nil
}

// DecodeFile reads what kubectl get wrote, as YAML or JSON: Services, EndpointSlices and Nodes, and pods and DaemonSets where they are in it, as one list, several, or
// one document each. Objects of other kinds are passed over. One object after the other is decoded, so that a large file takes little more memory than what
// is kept of it. The file may come from a stranger: it is bounded, and what makes no sense is an error that says where.
func DecodeFile(r io.Reader) (*Objects, error) {
	o := &Objects{intern: intern{}}
	if err := o.read(r); err != nil {
		return nil, err
	}
	if len(o.Services) == 0 || len(o.Slices) == 0 { // every cluster has those of its API server
		return nil, errors.New("decode cluster file: it needs Services and EndpointSlices (kubectl get services,endpointslices,nodes -A -o yaml)")
	}
	o.sort()
	return o, nil
}

// read reads all objects of a file.
func (o *Objects) read(r io.Reader) error {
	b := bufio.NewReaderSize(&limited{r: r, left: maxFile}, 64<<10)
	first, err := firstByte(b)
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("decode cluster file: it is empty")
	case err != nil:
		return fmt.Errorf("read cluster file: %w", err)
	case first == '{':
		err = o.json(b)
	default:
		err = (&yamlReader{objects: o}).read(b)
	}
	if err != nil {
		return fmt.Errorf("decode cluster file: %w", err)
	}
	return nil
}

// limited gives ErrTooLarge behind its bound.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("%w (%d MiB)", ErrTooLarge, maxFile>>20)
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// firstByte looks at the first byte that is no space.
func firstByte(b *bufio.Reader) (byte, error) {
	for {
		c, err := b.ReadByte()
		if err != nil {
			return 0, err
		}
		if !strings.ContainsRune(" \t\r\n\ufeff", rune(c)) && c < 0x80 {
			return c, b.UnreadByte()
		}
	}
}

// json reads objects and lists of them, one behind the other.
func (o *Objects) json(r io.Reader) error {
	d := json.NewDecoder(r)
	for {
		err := o.document(d)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("it ends in the middle of an object")
		case err != nil:
			return err
		}
	}
}

// document reads one JSON document. The items of a list are taken one by one; what stands beside them is small.
func (o *Objects) document(d *json.Decoder) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return fmt.Errorf("not an object at byte %d", d.InputOffset())
	}
	single := map[string]json.RawMessage{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return whole(err)
		}
		if key == "items" {
			if err := o.list(d); err != nil {
				return whole(err)
			}
			continue
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return whole(err)
		}
		if len(value) > maxObject || len(single) > 1000 {
			return ErrTooLarge
		}
		name, _ := key.(string) // a key always is one
		if _, twice := single[name]; twice {
			return fmt.Errorf("key %.100q occurs twice", name)
		}
		single[name] = value
	}
	if _, err := d.Token(); err != nil {
		return whole(err)
	}
	if kind := string(single["kind"]); strings.HasSuffix(kind, `List"`) {
		return nil
	}
	text, err := json.Marshal(single)
	if err != nil {
		return err
	}
	return o.add(text)
}

// whole makes of the end of the file the error that it is within an object.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (o *Objects) list(d *json.Decoder) error {
	t, err := d.Token()
	if err != nil || t == nil {
		return err
	}
	if t != json.Delim('[') {
		return fmt.Errorf("items are no list at byte %d", d.InputOffset())
	}
	for d.More() {
		var item json.RawMessage
		if err := d.Decode(&item); err != nil {
			return err
		}
		if err := o.add(item); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// add takes one object.
func (o *Objects) add(text []byte) error {
	if o.items++; o.items > maxItems || len(text) > maxObject {
		return ErrTooLarge
	}
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return fmt.Errorf("object %d: %w", o.items, err)
	}
	if o.sink != nil && head.Kind != "" {
		return o.sink(head.Kind, text)
	}
	switch head.Kind {
	case kindService, kindSlice, kindNode, kindPod, kindDaemonSet:
	case "":
		return fmt.Errorf("object %d has no kind: this is not what kubectl get writes", o.items)
	default:
		return nil
	}
	var in object
	if err := json.Unmarshal(text, &in); err != nil {
		return fmt.Errorf("object %d: %w", o.items, err)
	}
	return o.take(&in)
}

// take keeps what is needed of one object.
func (o *Objects) take(in *object) error {
	switch in.Kind {
	case kindService:
		s, err := service(in, o.intern)
		if err != nil {
			return err
		}
		o.Services = append(o.Services, s)
	case kindSlice:
		s, ok, err := endpointSlice(in, o.intern)
		if err != nil {
			return err
		}
		if ok {
			o.Slices = append(o.Slices, s)
		}
	case kindNode:
		n, err := toNode(in)
		if err != nil {
			return err
		}
		o.Nodes = append(o.Nodes, n)
	case kindPod:
		if p, ok := toProxyPod(in); ok {
			o.proxies, o.podsTold = append(o.proxies, p), true
		}
	case kindDaemonSet:
		o.daemonSet(in)
	}
	return nil
}

func (o *Objects) sort() {
	slices.SortStableFunc(o.Services, func(a, b facts.Service) int { return strings.Compare(a.Name, b.Name) })
	slices.SortStableFunc(o.Slices, func(a, b facts.EndpointSlice) int {
		if c := strings.Compare(a.Service, b.Service); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
}

// Cluster is what the objects want of one node, which is known by its name, or else by one of its addresses.
func (o *Objects) Cluster(source, name string, addresses []netip.Addr, now time.Time) *facts.Cluster {
	c := &facts.Cluster{Source: source, All: o.Services, Slices: o.Slices}
	i := slices.IndexFunc(o.Nodes, func(n facts.ClusterNode) bool { return n.Name == name })
	if i < 0 {
		i = slices.IndexFunc(o.Nodes, func(n facts.ClusterNode) bool {
			return slices.ContainsFunc(n.Addresses, func(a netip.Addr) bool { return slices.Contains(addresses, a) })
		})
	}
	if i >= 0 {
		c.Node, name = &o.Nodes[i], o.Nodes[i].Name
	}
	c.Proxy = o.proxy(name, i >= 0, now)
	return c
}
