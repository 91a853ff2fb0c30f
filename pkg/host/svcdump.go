package host

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// nfDumper asks nfnetlink for lists. Each message is given to fn with its struct nfgenmsg; it is valid until fn returns, and fn must not ask for another list.
// A list that changed while it was read is ErrInterrupted.
type nfDumper interface {
	dump(typ uint16, body []byte, fn func(m nlMsg) error) error
	// short is dump for one of very many lists, each likely of a few entries.
	short(typ uint16, body []byte, fn func(m nlMsg) error) error
	// both asks for one object and for a short list at once. An object that does not exist is not given to fn, and is no error.
	both(object uint16, its []byte, typ uint16, body []byte, fn func(m nlMsg) error) error
}

// svcConn is two sockets. For a list the kernel takes as much memory at a time as was once asked for on the socket (max_recvmsg_len of netlink_dump): what makes a
// long list quick is dear for tens of thousands of short ones.
type svcConn struct {
	long, brief svcSocket
}

// openSvcConn opens both of one netlink family; a kernel without it gives ErrAbsent. Where a message of a short list does not fit into so many bytes, its list
// is errTruncated.
func openSvcConn(protocol, brief int) (*svcConn, error) {
	c := &svcConn{}
	if err := c.long.open(protocol, recvBuffer); err != nil {
		return nil, err
	}
	if err := c.brief.open(protocol, brief); err != nil {
		return nil, errors.Join(err, c.long.close())
	}
	return c, nil
}

// largestBrief is at least what the kernel puts into a message of a list where it is asked for little: NLMSG_GOODSIZE, which is a page, of at most 8 KiB, less struct
// skb_shared_info. A single rule that is larger would end its list without a word; kube-proxy's have less than 1 KiB.
const largestBrief = 8 << 10

// briefBuffer is NLMSG_GOODSIZE where struct skb_shared_info takes 320 bytes, which is the least on a processor of 64 bits. Where it is asked for more than that, the
// kernel takes twice the memory for each list.
func briefBuffer() int { return min(os.Getpagesize(), largestBrief) - 320 }

func (c *svcConn) dump(typ uint16, body []byte, fn func(m nlMsg) error) error {
	return c.long.exchange(typ, unix.NLM_F_DUMP, body, fn)
}

func (c *svcConn) short(typ uint16, body []byte, fn func(m nlMsg) error) error {
	return c.brief.exchange(typ, unix.NLM_F_DUMP, body, fn)
}

// get asks for one object, which is answered by one message.
func (c *svcConn) get(typ uint16, body []byte, fn func(m nlMsg) error) error {
	return c.brief.exchange(typ, 0, body, fn)
}

func (c *svcConn) both(object uint16, its []byte, typ uint16, body []byte, fn func(m nlMsg) error) error {
	s := &c.brief
	s.req = s.req[:0]
	answers := [2]svcAnswer{s.ask(object, 0, its, fn), s.ask(typ, unix.NLM_F_DUMP, body, fn)}
	if err := s.answered(answers[:]); err != nil {
		return err
	}
	if err := answers[0].err(); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return answers[1].err()
}

func (c *svcConn) close() error { return errors.Join(c.long.close(), c.brief.close()) }
