package lab

import (
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/netmend/netmend/pkg/kube"
)

// Access is how a program outside of the lab's namespaces reaches the API server: through a port of this machine's loopback address.
func (c *Cluster) Access() *kube.Access {
	c.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatalf("%v", err)
	}
	c.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return // closed
			}
			go c.relay(in)
		}
	}()
	return &kube.Access{Server: "https://" + l.Addr().String(), Insecure: true, Token: token}
}

// relay copies both ways until one side ends.
func (c *Cluster) relay(in net.Conn) {
	defer in.Close()
	var out net.Conn
	err := c.NS.Do(func() (err error) {
		out, err = net.Dial("tcp", net.JoinHostPort(controlPlane, fmt.Sprint(apiPort)))
		return err
	})
	if err != nil {
		return // the caller sees that its connection ends
	}
	defer out.Close()
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			io.Copy(pair[0], pair[1])
			pair[0].Close()
			pair[1].Close()
		})
	}
	both.Wait()
}
