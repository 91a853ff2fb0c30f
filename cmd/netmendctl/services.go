package main

import (
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/kube"
)

// wantedServices is what a file says that the cluster wants.
type wantedServices struct {
	file    string
	objects *kube.Objects
	written time.Time // zero for standard input
}

// readServices reads the file of --services; nil where there is none.
func readServices(e *env, name string) (*wantedServices, error) {
	if name == "" {
		return nil, nil
	}
	w := &wantedServices{file: name}
	in := e.in
	if name == "-" {
		w.file = "standard input"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("--services: %w", err)
		}
		defer f.Close()
		st, err := f.Stat()
		switch {
		case err != nil:
			return nil, fmt.Errorf("--services: %w", err)
		case st.IsDir():
			return nil, fmt.Errorf("--services: %s: %w: give a file that kubectl get services,endpointslices,nodes -A -o yaml wrote", name, fs.ErrInvalid)
		}
		in, w.written = f, st.ModTime()
	}
	var err error
	if w.objects, err = kube.DecodeFile(in); err != nil {
		return nil, fmt.Errorf("--services: %s: %w", w.file, err)
	}
	return w, nil
}

// give adds what the cluster wants to a snapshot, of which it takes which node it is about.
func (w *wantedServices) give(s *facts.Snapshot) {
	name := s.Node.Name
	if s.Proxy != nil && s.Proxy.Config != nil && s.Proxy.Config.NodeName != "" {
		name = s.Proxy.Config.NodeName
	}
	var addresses []netip.Addr
	for _, a := range s.Host.Addresses {
		if ip := a.Prefix.Addr(); ip.IsGlobalUnicast() {
			addresses = append(addresses, ip)
		}
	}
	c := w.objects.Cluster(w.file, name, addresses, s.Taken)
	if !w.written.IsZero() {
		c.Age = max(0, int64(s.Taken.Sub(w.written).Seconds()))
	}
	s.Intent.Cluster = c
	if !slices.Contains(s.Kinds, facts.KindServices) {
		s.Kinds = append(s.Kinds, facts.KindServices)
	}
	delete(s.Missing, facts.KindServices)
}
