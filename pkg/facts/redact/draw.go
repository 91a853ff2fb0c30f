package redact

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"net/netip"
	"strings"
)

// redactor draws replacements. One that is shared by two snapshots gives both the same.
type redactor struct {
	mac256 hash.Hash
	zeros  map[netip.Prefix]bool     // the paths of zero bits below the known subnets
	addrs  map[netip.Addr]netip.Addr // drawn so far; special ones are not in it
	names  map[string]string         // drawn so far, for free text
}

func newRedactor(key []byte, draw int) *redactor {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(draw))
	h := hmac.New(sha256.New, key)
	h.Write(n[:])
	return &redactor{mac256: hmac.New(sha256.New, h.Sum(nil)), zeros: map[netip.Prefix]bool{}, addrs: map[netip.Addr]netip.Addr{}, names: map[string]string{}}
}

// reused says whether a replacement is the original of something else.
func (r *redactor) reused() bool {
	for _, drawn := range r.addrs {
		if _, original := r.addrs[drawn]; original {
			return true
		}
	}
	for name, drawn := range r.names {
		if _, original := r.names[drawn]; original && name != drawn {
			return true
		}
	}
	return false
}

// draw gives 32 bytes that look random and depend on the parts alone.
func (r *redactor) draw(parts ...string) []byte {
	r.mac256.Reset()
	for _, p := range parts {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		r.mac256.Write(n[:])
		r.mac256.Write([]byte(p))
	}
	return r.mac256.Sum(nil)
}

// id replaces a container's or boot's id by one of the same form: hexadecimal digits, and dashes where there were some.
func (r *redactor) id(id string) string {
	digits := hex.EncodeToString(r.draw("id", id))
	var b strings.Builder
	for i := range min(len(id), len(digits)) {
		if id[i] == '-' {
			b.WriteByte('-')
		} else {
			b.WriteByte(digits[i])
		}
	}
	r.names[id] = b.String()
	return b.String()
}

// mac replaces a hardware address of any length by a locally administered unicast one. All zeros, broadcast and the address that calico gives every
// host side of a pod's link stay, and so does whether it is multicast.
func (r *redactor) mac(s *string) {
	switch *s {
	case "", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "ee:ee:ee:ee:ee:ee":
		return
	}
	octets := strings.Split(strings.ToLower(*s), ":")
	sum := r.draw("mac", strings.ToLower(*s))
	for i := range octets {
		octets[i] = hex.EncodeToString(sum[i%len(sum) : i%len(sum)+1])
	}
	first := sum[0]&^1 | 2
	if old, err := hex.DecodeString((*s)[:min(2, len(*s))]); err == nil {
		first |= old[0] & 1
	}
	octets[0] = hex.EncodeToString([]byte{first})
	*s = strings.Join(octets, ":")
}
