// Package chainhash computes the hashes by which kube-proxy names its chains: SHA-256 (FIPS 180-4) in base32 (RFC 4648). The standard library's SHA-256 is part of a
// module whose packages are all made ready when a program starts, whether it hashes or not; in the CNI plugin, which hashes three short names, that
// takes longer than reading a pod's links.
package chainhash

import (
	"encoding/binary"
	"math/bits"
)

// Size is how many characters kube-proxy takes of a hash at most.
const Size = 16

// Of is the hash of a text, of which kube-proxy takes the first 8 or 16 characters.
func Of(text string) string {
	out := Text(Sum256([]byte(text)))
	return string(out[:])
}

// Text writes a hash.
func Text(sum [32]byte) (out [Size]byte) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	for i := range out {
		at := 5 * i // the first bit of the character
		out[i] = alphabet[binary.BigEndian.Uint16(sum[at/8:])<<(at%8)>>11]
	}
	return out
}

// Sum256 is SHA-256. A hash of the service's name is no secret, so that nothing here needs to take the same time for every text.
func Sum256(text []byte) [32]byte {
	h := [8]uint32{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}
	rest := text
	for ; len(rest) >= 64; rest = rest[64:] {
		block(&h, rest[:64])
	}
	var last [128]byte
	end := 64
	if n := copy(last[:], rest); n >= 56 {
		end = 128
	}
	last[len(rest)] = 0x80
	binary.BigEndian.PutUint64(last[end-8:], 8*uint64(len(text)))
	for at := 0; at < end; at += 64 {
		block(&h, last[at:at+64])
	}
	var out [32]byte
	for i, v := range h {
		binary.BigEndian.PutUint32(out[4*i:], v)
	}
	return out
}

// block is the compression function of section 6.2.2.
func block(h *[8]uint32, message []byte) {
	var w [64]uint32
	for i := range 16 {
		w[i] = binary.BigEndian.Uint32(message[4*i:])
	}
	for i := 16; i < 64; i++ {
		a, b := w[i-15], w[i-2]
		s0 := bits.RotateLeft32(a, -7) ^ bits.RotateLeft32(a, -18) ^ a>>3
		s1 := bits.RotateLeft32(b, -17) ^ bits.RotateLeft32(b, -19) ^ b>>10
		w[i] = w[i-16] + s0 + w[i-7] + s1
	}
	a, b, c, d, e, f, g, last := h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
	for i, k := range roundConstants() {
		s1 := bits.RotateLeft32(e, -6) ^ bits.RotateLeft32(e, -11) ^ bits.RotateLeft32(e, -25)
		t1 := last + s1 + (e&f ^ ^e&g) + k + w[i]
		s0 := bits.RotateLeft32(a, -2) ^ bits.RotateLeft32(a, -13) ^ bits.RotateLeft32(a, -22)
		t2 := s0 + (a&b ^ a&c ^ b&c)
		last, g, f, e, d, c, b, a = g, f, e, d+t1, c, b, a, t1+t2
	}
	for i, v := range [...]uint32{a, b, c, d, e, f, g, last} {
		h[i] += v
	}
}

// roundConstants are K of section 4.2.2: the first 32 bits of the fractions of the cube roots of the first 64 primes.
func roundConstants() [64]uint32 {
	return [...]uint32{
		0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
		0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
		0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
		0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
		0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
		0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
		0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
		0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
	}
}
