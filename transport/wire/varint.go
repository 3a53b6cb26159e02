package wire

import (
	"fmt"
	"math/bits"
)

// AppendVarint appends v as a vi64 in the fewest bytes: the number of leading
// one bits of the first byte is the number of bytes that follow it
// ("Variable-Length Integers", from draft-17).
func AppendVarint(b []byte, v uint64) []byte {
	switch n := varintSize(v); n {
	case 1:
		return append(b, byte(v))
	case 2:
		return append(b, 0x80|byte(v>>8), byte(v))
	case 9:
		b = append(b, 0xff)
		return appendBigEndian(b, v, 8)
	default:
		b = append(b, ^byte(0xff>>(n-1))|byte(v>>(8*(n-1))))
		return appendBigEndian(b, v, n-1)
	}
}

func appendBigEndian(b []byte, v uint64, n int) []byte {
	for n--; n >= 0; n-- {
		b = append(b, byte(v>>(8*n)))
	}
	return b
}

// ParseVarint reads the vi64 at the start of b and says how many bytes it took,
// 1 to 9, or 0 if b ends inside it. Encodings longer than needed are as good as
// the shortest.
func ParseVarint(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	if b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	n = varintLen(b[0])
	if len(b) < n {
		return 0, 0
	}
	if n < 9 {
		v = uint64(b[0] & (0xff >> n))
	}
	for _, c := range b[1:n] {
		v = v<<8 | uint64(c)
	}
	return v, n
}

// varintLen is the length of the vi64 that starts with first.
func varintLen(first byte) int { return bits.LeadingZeros8(^first) + 1 }

// varintSize is the number of bytes AppendVarint takes for v: seven bits of
// value a byte, until eight bytes follow the first.
func varintSize(v uint64) int {
	return min((bits.Len64(v|1)+6)/7, 9)
}

// The methods below are where a draft's form of integers is chosen. Nothing
// else in the package calls the functions above, or those for QUIC's integers.

func (p *Profile) appendVarint(b []byte, v uint64) []byte {
	if p.quicVarints {
		return appendQUICVarint(b, v)
	}
	return AppendVarint(b, v)
}

func (p *Profile) parseVarint(b []byte) (v uint64, n int) {
	if p.quicVarints {
		return parseQUICVarint(b)
	}
	return ParseVarint(b)
}

func (p *Profile) varintLen(first byte) int {
	if p.quicVarints {
		return quicVarintLen(first)
	}
	return varintLen(first)
}

func (p *Profile) varintSize(v uint64) int {
	if p.quicVarints {
		return quicVarintSize(v)
	}
	return varintSize(v)
}

// checkVarint fails if the draft cannot carry v.
func (p *Profile) checkVarint(field string, v uint64) error {
	if p.quicVarints && v > maxQUICVarint {
		return fmt.Errorf("wire: %s %d is too large for %v", field, v, p.version)
	}
	return nil
}

// readVarint reads an integer from a stream. It returns io.EOF only if the
// stream ended before its first byte.
func (p *Profile) readVarint(r *Reader) (uint64, error) {
	if v, n := p.parseVarint(r.buf[r.pos:r.end]); n > 0 {
		r.pos += n
		return v, nil
	}
	if err := r.fill(1); err != nil {
		return 0, err
	}
	if err := r.fill(p.varintLen(r.buf[r.pos])); err != nil {
		return 0, inside("integer", err)
	}
	v, n := p.parseVarint(r.buf[r.pos:r.end])
	r.pos += n
	return v, nil
}

// readField is readVarint for a field that must come: the end of the stream in
// its place is a violation.
func (p *Profile) readField(r *Reader, field string) (uint64, error) {
	v, err := p.readVarint(r)
	return v, inside(field, err)
}
