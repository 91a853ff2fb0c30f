package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// Change says what may have changed on the node since the last one.
type Change struct {
	Kinds []facts.Kind // of the node's namespace, or of the node as a whole; each once, in the order of facts
	Links []int        // indexes of the node's links that came, went or changed, but not those of pods' ends that stay what they were
	Pods  bool         // a pod may have come or gone: what is read of pods, and of their ends on the node, may be another
	Lost  bool         // events were lost, or are heard only from now on: Kinds and Pods are all that their source can tell of
	Cause string       // for people: the first few events, "link flannel.1, route"
	Deaf  string       // what is not heard of at present, and why; empty while everything is
}

// Bounds of a watch.
const (
	watchBuffer    = 4 << 20          // bytes asked for events that wait; the kernel doubles it, and takes memory only for those that do wait
	watchDrain     = 512              // datagrams in one Change: in a storm there is one now and then
	watchCongested = 1 << 17          // datagrams after an overflow: more than fit into the buffer
	watchRetry     = 10 * time.Second // between attempts to hear again what is not heard
	watchAbsent    = time.Second      // between looks for a part of the kernel that is not loaded, made only when something else happens
)

// Watch tells what may have changed on the node until the context ends, and then gives the context's error. Another error means that nothing can be
// watched at all. It blocks in poll(2) and wakes for events only. Calls of report come one after the other from the calling goroutine, and must be short:
// events wait meanwhile in buffers of the kernel, whose overflow is told as Lost and is no error.
//
// The first call comes when everything that can be watched is: what is read after it misses nothing. It has Lost set, and so has the first one after a
// source that failed is heard again. What is not heard is named in Deaf of each Change, and tried again every ten seconds.
//
// Sources and what they tell of:
//
//   - rtnetlink of the node's namespace: links and their features, addresses, routes, next hops, rules, and the switches of forwarding, rp_filter and
//     proxy_arp (RTNLGRP_*_NETCONF); the numbers of other namespaces (RTNLGRP_NSID) and the node's ends of pods' links, which tell of pods whose namespaces
//     have no names;
//   - generations of nf_tables (NFT_MSG_NEWGEN), those of iptables-nft among them. It is not loaded to be watched;
//   - inotify on the directories of CNI configuration and programs, of flannel's subnet file, of host-local's reservations, of sysctl.d, of the kubelet's
//     and the API server's files that name Services, and of namespaces with names.
//
// No event tells of:
//
//   - rules of iptables-legacy, and virtual servers of IPVS other than by the addresses that kube-proxy gives their device;
//   - most sysctls that somebody writes, and whatever changes within a pod's namespace after it was made;
//   - counters, sockets, connection tracking, the fill of neighbour tables, the node's processes;
//   - neighbours and forwarding entries: their events are the churn of traffic, and no check reads either;
//   - a file that is reached through more than one symbolic link, or a file system that is mounted over a watched directory.
//
// Whoever wants to know these looks from time to time.
func (h *Host) Watch(ctx context.Context, report func(Change)) error {
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch the node: %w", err)
	}
	defer unix.Close(stop)
	wake := make(chan struct{})
	defer func() { <-wake }() // the descriptor may be another file once it is closed
	cancel := context.AfterFunc(ctx, func() {
		defer close(wake)
		_, _ = unix.Write(stop, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // eventfd(2): it fails only where it was written 2^64-1 times
	})
	w := &watcher{host: h, stop: stop, report: report, now: time.Now, sources: []watchSource{newRouteWatch(h), &nftWatch{host: h, fd: -1}, newFileWatch(h)}}
	defer func() {
		if cancel() {
			close(wake)
		}
		for _, s := range w.sources {
			s.close()
		}
	}()
	return w.run(ctx)
}

// watchSource is one descriptor that tells of changes.
type watchSource interface {
	open() error         // ErrAbsent: there is nothing to watch, at present
	file() int           // its descriptor; -1 while it is not open
	read(*changes) error // what waits in it; after an error it is closed and opened anew
	all(*changes)        // all that it can tell of
	deaf() string        // what it cannot tell of though it is open, and why
	close()
}

// watcher is one run of [Host.Watch].
type watcher struct {
	host    *Host
	stop    int
	report  func(Change)
	now     func() time.Time
	sources []watchSource

	failed map[watchSource]string    // why it is not open
	again  map[watchSource]time.Time // when to try next
	told   string                    // the last Change's Deaf
}

func (w *watcher) run(ctx context.Context) error {
	w.failed, w.again = map[watchSource]string{}, map[watchSource]time.Time{}
	buf := w.host.bufs.get()
	defer w.host.bufs.put(buf)
	c := &changes{buf: buf[:]}
	for first := true; ; first = false {
		w.openAll(c)
		if first {
			c.cause("start")
			c.Lost = true
		}
		if deaf := w.deaf(); !c.empty() || deaf != w.told {
			w.told = deaf
			out := c.take()
			out.Deaf = deaf
			w.report(out)
		}
		ready, err := w.wait()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("watch the node: %w", err)
		}
		for _, s := range ready {
			if err := s.read(c); err != nil {
				w.fail(s, err)
			}
		}
	}
}

// openAll opens what is not open and may be tried. What happened before that was not heard.
func (w *watcher) openAll(c *changes) {
	for _, s := range w.sources {
		if s.file() >= 0 || w.now().Before(w.again[s]) {
			continue
		}
		err := s.open()
		if err != nil {
			w.fail(s, err)
			continue
		}
		delete(w.failed, s)
		delete(w.again, s)
		c.Lost = true
		s.all(c)
	}
}

// fail closes a source until it is tried again. One that failed right after it was opened is not tried at once.
func (w *watcher) fail(s watchSource, err error) {
	s.close()
	if errors.Is(err, ErrAbsent) {
		w.again[s] = w.now().Add(watchAbsent)
		return
	}
	if w.failed[s] == "" {
		w.again[s] = w.now() // the first time it is opened anew at once
	} else {
		w.again[s] = w.now().Add(watchRetry)
	}
	w.failed[s] = err.Error()
}

func (w *watcher) deaf() string {
	var all []string
	for _, s := range w.sources {
		why := w.failed[s]
		if s.file() >= 0 {
			why = s.deaf()
		}
		if why != "" {
			all = append(all, why)
		}
	}
	return strings.Join(all, "; ")
}

// wait blocks until a source has something to tell, the watch ends, or it is time to try again what failed.
func (w *watcher) wait() ([]watchSource, error) {
	fds := []unix.PollFd{{Fd: int32(w.stop), Events: unix.POLLIN}}
	for _, s := range w.sources {
		fds = append(fds, unix.PollFd{Fd: int32(s.file()), Events: unix.POLLIN}) // poll(2) skips negative ones
	}
	var most *unix.Timespec
	if w.deaf() != "" {
		ts := unix.NsecToTimespec(int64(w.retryIn()))
		most = &ts
	}
	n, err := unix.Ppoll(fds, most, nil)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return nil, err
	}
	timeout := n == 0 && err == nil
	var ready []watchSource
	for i, s := range w.sources {
		if s.file() >= 0 && (fds[i+1].Revents != 0 || timeout && s.deaf() != "") {
			ready = append(ready, s)
		}
	}
	return ready, nil
}

func (w *watcher) retryIn() time.Duration {
	in := watchRetry
	for s := range w.failed {
		if s.file() < 0 {
			in = min(in, max(0, w.again[s].Sub(w.now())))
		}
	}
	return in
}
