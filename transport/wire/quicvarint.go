package wire

// maxQUICVarint is the largest integer of drafts that have those of QUIC.
const maxQUICVarint = 1<<62 - 1

// appendQUICVarint appends v as RFC 9000 does: the first two bits are the
// logarithm of the length. A v of more than 62 bits is cut to the largest.
func appendQUICVarint(b []byte, v uint64) []byte {
	switch quicVarintSize(v) {
	case 1:
		return append(b, byte(v))
	case 2:
		return append(b, 0x40|byte(v>>8), byte(v))
	case 4:
		return append(b, 0x80|byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	return appendBigEndian(b, 3<<62|min(v, maxQUICVarint), 8)
}

func parseQUICVarint(b []byte) (v uint64, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	n = quicVarintLen(b[0])
	if len(b) < n {
		return 0, 0
	}
	v = uint64(b[0] & 0x3f)
	for _, c := range b[1:n] {
		v = v<<8 | uint64(c)
	}
	return v, n
}

// quicVarintLen is the length of the integer that starts with first.
func quicVarintLen(first byte) int { return 1 << (first >> 6) }

func quicVarintSize(v uint64) int {
	switch {
	case v < 1<<6:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<30:
		return 4
	}
	return 8
}
