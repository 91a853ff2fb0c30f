package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Systemd tells the service manager how the daemon is, by the protocol of sd_notify(3). The zero value tells nobody.
type Systemd struct {
	socket   string        // empty: nobody wants to hear
	watchdog time.Duration // 0: nobody watches
}

// NewSystemd reads what the service manager has put into the environment. A watchdog that is meant for another process is none.
func NewSystemd(getenv func(string) string, pid int) *Systemd {
	s := &Systemd{socket: getenv("NOTIFY_SOCKET")}
	micros, err := strconv.ParseUint(getenv("WATCHDOG_USEC"), 10, 63)
	whom := getenv("WATCHDOG_PID")
	if err == nil && micros > 0 && micros < uint64(365*24*time.Hour/time.Microsecond) && (whom == "" || whom == strconv.Itoa(pid)) {
		s.watchdog = time.Duration(micros) * time.Microsecond
	}
	return s
}

// Ready says that the node is proven or that what is left needs a person: units that are ordered after the daemon may start.
func (s *Systemd) Ready() error { return s.send("READY=1") }

// Stopping says that the daemon ends.
func (s *Systemd) Stopping() error { return s.send("STOPPING=1") }

// Reloading says that the configuration is being read again; [Systemd.Ready] ends it. The time is that of CLOCK_MONOTONIC, which Type=notify-reload demands.
func (s *Systemd) Reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("notify service manager: %w", err)
	}
	return s.send("RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(now.Nano()/1000, 10))
}

// Status is one line for systemctl status.
func (s *Systemd) Status(line string) error {
	return s.send("STATUS=" + strings.Join(strings.Fields(line), " "))
}

// Watch feeds the watchdog while the loop turns, until the context ends. A loop that is stuck is so ended by the service manager, and started again.
func (s *Systemd) Watch(ctx context.Context, turning func() bool) {
	if s.watchdog == 0 || s.socket == "" {
		return
	}
	tick := time.NewTicker(max(s.watchdog/3, time.Millisecond))
	defer tick.Stop()
	for {
		if turning() {
			_ = s.send("WATCHDOG=1") // a service manager that does not hear will say so itself
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// send writes one datagram and does not wait for a reader that is slow.
func (s *Systemd) send(text string) (err error) {
	if s.socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify service manager: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return fmt.Errorf("notify service manager: %w", err)
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		return fmt.Errorf("notify service manager: %w", err)
	}
	return nil
}
