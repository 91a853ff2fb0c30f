// Command rules reads what a network namespace holds for Services, compares it with what a cluster wants, and prints how many nanoseconds both took
// together, by the clock and of the processors, how many ways differ, the most memory that it has had resident, in KiB, and how many nanoseconds it takes to read
// again what has not changed. The benchmark runs it in a process of its own.
package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/services"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// run takes the path of a namespace, a mode of kube-proxy, and the numbers of Services and of endpoints for each.
func run(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("%d arguments", len(args))
	}
	count, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	endpoints, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	cluster := wanted(count, endpoints)
	h, err := host.Open(host.Options{NetNS: args[0], SHA256: sha256.Sum256})
	if err != nil {
		return err
	}
	defer h.Close()
	runtime.GC() // as package testing does: what making the cluster has left is not what reading costs
	return h.Node().Do(func() error {
		start, before := time.Now(), used()
		held, err := h.Node().ServiceRules(host.ServiceOptions{Mode: args[1]}, cluster)
		if err != nil {
			return err
		}
		o := services.Options{Mode: args[1]}
		o.V4.KnowsPods = true
		differences := services.Compare(services.Want(cluster, o), held)
		took, cpu := time.Since(start), used()-before
		resident, err := peak()
		if err != nil {
			return err
		}
		start = time.Now()
		again, err := h.Node().ServiceRules(host.ServiceOptions{Mode: args[1]}, cluster)
		if err == nil && again != held {
			err = errors.New("what has not changed was read again")
		}
		if err != nil {
			return err
		}
		fmt.Println(took.Nanoseconds(), cpu, len(differences), resident, time.Since(start).Nanoseconds())
		return nil
	})
}

// used is the time that the processors have spent on this process, in nanoseconds.
func used() int64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// peak is the most memory that this process has had resident. What the kernel tells whoever started it, getrusage(2), is at least what that one had itself.
func peak() (string, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if !ok || len(fields) == 0 {
		return "", errors.New("/proc/self/status has no VmHWM")
	}
	return fields[0], nil
}

// wanted is the cluster whose rules the benchmark has loaded.
func wanted(count, endpoints int) *facts.Cluster {
	c := &facts.Cluster{Source: "benchmark"}
	for s := range count {
		name := fmt.Sprintf("default/load-%d", s)
		c.All = append(c.All, facts.Service{Name: name, Type: facts.TypeClusterIP, ClusterIPs: []netip.Addr{netip.AddrFrom4([4]byte{10, 96, byte(10 + s/200), byte(1 + s%200)})},
			Ports: []facts.ServicePort{{Name: "http", Protocol: "tcp", Port: 80}}})
		slice := facts.EndpointSlice{Name: fmt.Sprintf("load-%d-1", s), Service: name, Family: 4, Ports: []facts.EndpointPort{{Name: "http", Protocol: "tcp", Port: 80}}}
		for e := range endpoints {
			n := s*endpoints + e
			slice.Endpoints = append(slice.Endpoints, facts.Endpoint{Addr: netip.AddrFrom4([4]byte{10, 244, byte(2 + n/250), byte(2 + n%250)}), Ready: true, Serving: true})
		}
		c.Slices = append(c.Slices, slice)
	}
	return c
}
