package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/pkg/verdict"
)

// Bounds of what one peer and all of them may do at the socket.
const (
	maxConnections = 64
	maxMessages    = 16               // of one connection
	maxConnected   = time.Minute      // of one connection
	maxSilence     = 15 * time.Second // before a message: the plugin tells at the end what it asked for at the start, and may take 10 s
	maxSending     = 5 * time.Second

	verdictsBurst, verdictsRate = 1000, 1000 // questions, and how many a second
	statusBurst, statusRate     = 20, 5
	newsBurst, newsRate         = 200, 50
)

// desk answers those who have connected.
type desk struct {
	s        *Surfaces
	free     chan struct{} // as many as may still connect
	verdicts *bucket
	status   *bucket
	news     *bucket
	uid      uint32
	telling  sync.Mutex
}

func newDesk(s *Surfaces) *desk {
	d := &desk{
		s: s, free: make(chan struct{}, maxConnections), uid: uint32(os.Geteuid()),
		verdicts: newBucket(verdictsBurst, verdictsRate), status: newBucket(statusBurst, statusRate), news: newBucket(newsBurst, newsRate),
	}
	for range maxConnections {
		d.free <- struct{}{}
	}
	return d
}

// serve answers one connection beside the others, or closes it where there are too many.
func (d *desk) serve(ctx context.Context, all *sync.WaitGroup, conn *net.UnixConn) {
	cred, err := peer(conn)
	allowed := err == nil && (cred.Uid == 0 || cred.Uid == d.uid)
	select {
	case <-d.free:
		if allowed {
			all.Go(func() {
				defer func() { d.free <- struct{}{} }()
				d.talk(ctx, conn)
			})
			return
		}
		d.free <- struct{}{}
	default:
	}
	d.s.o.Metrics.discarded.Inc()
	_ = conn.Close() // nothing was said
}

// talk reads messages and answers them, until the peer has said all or has broken a bound.
func (d *desk) talk(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	end := time.Now().Add(maxConnected)
	in := bufio.NewScanner(conn)
	in.Buffer(make([]byte, 0, 512), verdict.MaxQuestion)
	for range maxMessages {
		_ = conn.SetReadDeadline(earlier(end, time.Now().Add(maxSilence)))
		if ctx.Err() != nil || !in.Scan() {
			break
		}
		q, err := parseQuestion(in.Bytes())
		if err != nil {
			d.s.o.Metrics.discarded.Inc()
			_ = d.send(conn, refusal(err.Error()))
			return
		}
		if !d.handle(conn, q) {
			return
		}
	}
	if in.Err() == bufio.ErrTooLong {
		d.s.o.Metrics.discarded.Inc()
	}
}

// handle does what a message wants; false: the peer is to go.
func (d *desk) handle(conn net.Conn, q *verdict.Question) bool {
	var out []byte
	switch {
	case q.Tell != nil:
		return d.tell(q.Tell)
	case q.Ask == verdict.AskVerdicts && d.verdicts.take():
		if p, _ := d.s.o.Board.last(); p != nil {
			out = p.answer(time.Now())
		} else {
			out = refusal("the node was not audited yet")
		}
	case q.Ask == verdict.AskStatus && d.status.take():
		out = d.statusAnswer()
	case q.Ask == verdict.AskVerdicts || q.Ask == verdict.AskStatus:
		d.s.o.Metrics.discarded.Inc()
		_ = d.send(conn, refusal("asked too often"))
		return false
	default:
		d.s.o.Metrics.discarded.Inc()
		return d.send(conn, refusal("unknown question"))
	}
	d.s.o.Metrics.asked.WithLabelValues(q.Ask).Inc()
	return d.send(conn, out)
}

// tell hears news; what is too much of it is not heard.
func (d *desk) tell(data []byte) bool {
	r, err := parseReport(data)
	if err != nil || !d.news.take() {
		d.s.o.Metrics.discarded.Inc()
		return err == nil
	}
	d.s.o.Metrics.request(r.Command, r.Verdict, r.Millis/1000)
	if news(&r) {
		r.At = time.Now().UTC()
		d.telling.Lock()
		defer d.telling.Unlock()
		d.s.reports.add(r)
		d.s.o.Told(r)
	}
	return true
}

// send answers; false: the peer does not read. One that has left may have told something before, which is still to be read.
func (d *desk) send(conn net.Conn, line []byte) bool {
	_ = conn.SetWriteDeadline(time.Now().Add(maxSending))
	_, err := conn.Write(line)
	return err == nil || errors.Is(err, unix.EPIPE)
}

// statusAnswer is all that is known, the plugin's reports with it.
func (d *desk) statusAnswer() []byte {
	doc := status.Document{APIVersion: status.APIVersion, Kind: status.Kind, State: status.Starting}
	if p, _ := d.s.o.Board.last(); p != nil && p.Status != nil {
		doc = *p.Status
	}
	doc.Reports = d.s.reports.all()
	for {
		data, err := json.Marshal(&doc)
		if err == nil && len(data) > verdict.MaxStatus-128 && len(doc.Findings)+len(doc.Resolved) > 0 {
			keep := len(doc.Findings) / 2
			doc.Omitted += len(doc.Findings) - keep
			doc.Findings, doc.Resolved = doc.Findings[:keep], nil
			continue
		}
		if err == nil {
			data, err = verdict.Line(verdict.StatusAnswer{Netmend: verdict.Version, Status: data})
		}
		if err != nil {
			return refusal(err.Error())
		}
		return data
	}
}

func refusal(why string) []byte {
	line, err := verdict.Line(verdict.StatusAnswer{Netmend: verdict.Version, Error: why})
	if err != nil {
		return nil // a string always has a line
	}
	return line
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
