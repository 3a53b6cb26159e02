package wire

import (
	"bytes"
	"io"
	"math"
	"testing"
)

// The examples of "Variable-Length Integers", and the edges of each length.
var varintTests = []struct {
	hex       string
	value     uint64
	canonical bool
}{
	{"25", 37, true}, {"8025", 37, false}, {"bbbd", 15293, true}, {"ed7f3e7d", 226442877, true},
	{"faa1a0e403d8", 2893212287960, true}, {"fc8998abc66bc0", 151288809941952, true},
	{"fefa318fa8e3ca11", 70423237261249041, true}, {"ffffffffffffffffff", math.MaxUint64, true},
	{"00", 0, true}, {"7f", 1<<7 - 1, true}, {"8080", 1 << 7, true}, {"bfff", 1<<14 - 1, true}, {"c04000", 1 << 14, true},
	{"dfffff", 1<<21 - 1, true}, {"e0200000", 1 << 21, true}, {"efffffff", 1<<28 - 1, true}, {"f010000000", 1 << 28, true},
	{"f7ffffffff", 1<<35 - 1, true}, {"f80800000000", 1 << 35, true}, {"fbffffffffff", 1<<42 - 1, true}, {"fc040000000000", 1 << 42, true},
	{"fdffffffffffff", 1<<49 - 1, true}, {"fe02000000000000", 1 << 49, true}, {"feffffffffffffff", 1<<56 - 1, true}, {"ff0100000000000000", 1 << 56, true},
	{"ff0000000000000000", 0, false}, {"fe00000000000000", 0, false}, {"fc000000000001", 1, false}, {"c00000", 0, false},
}

func TestVarint(t *testing.T) {
	for _, test := range varintTests {
		b := unhex(t, test.hex)
		if v, n := ParseVarint(append(b, 0xff)); v != test.value || n != len(b) {
			t.Errorf("ParseVarint(%s) = %d, %d, want %d, %d", test.hex, v, n, test.value, len(b))
		}
		for short := range b {
			if _, n := ParseVarint(b[:short]); n != 0 {
				t.Errorf("ParseVarint(%x) took %d bytes, want 0: it is cut", b[:short], n)
			}
		}
		got := AppendVarint([]byte{0x11}, test.value)
		if test.canonical != bytes.Equal(got[1:], b) || got[0] != 0x11 {
			t.Errorf("AppendVarint(%d) = %x, want %s: %v", test.value, got[1:], test.hex, test.canonical)
		}
		if n := varintSize(test.value); n != len(got)-1 {
			t.Errorf("varintSize(%d) = %d, want %d", test.value, n, len(got)-1)
		}
		for how, r := range readers(b) {
			if v, err := draft18.readVarint(r); v != test.value || err != nil {
				t.Errorf("%s: readVarint(%s) = %d, %v, want %d", how, test.hex, v, err, test.value)
			}
			if _, err := draft18.readVarint(r); err != io.EOF {
				t.Errorf("%s: readVarint at the end: %v, want EOF", how, err)
			}
		}
		if len(b) > 1 {
			if _, err := draft18.readVarint(NewReader(bytes.NewReader(b[:len(b)-1]))); !isViolation(err) {
				t.Errorf("readVarint(%x): %v, want a violation", b[:len(b)-1], err)
			}
		}
	}
}

func FuzzVarint(f *testing.F) {
	for _, test := range varintTests {
		for draft := range profiles {
			f.Add(byte(draft), unhex(f, test.hex), test.value)
		}
	}
	f.Fuzz(func(t *testing.T, draft byte, b []byte, v uint64) {
		p := fuzzProfile(draft)
		if v, n := p.parseVarint(b); n > 0 {
			if again, m := p.parseVarint(p.appendVarint(nil, v)); again != v || m > n {
				t.Errorf("%v: %x is %d, encoded %d in %d bytes", p.version, b[:n], v, again, m)
			}
		}
		v = min(v, p.MaxVarint())
		enc := p.appendVarint(nil, v)
		if got, n := p.parseVarint(enc); got != v || n != len(enc) || n != p.varintSize(v) || n != p.varintLen(enc[0]) {
			t.Errorf("%v: %d is encoded %x, parsed %d of %d bytes", p.version, v, enc, got, n)
		}
	})
}
