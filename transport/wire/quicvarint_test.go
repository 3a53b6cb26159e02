package wire

import (
	"bytes"
	"math"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// The edges of each length; moqtap's vectors have the rest.
func TestQUICVarint(t *testing.T) {
	for _, test := range []struct {
		value     uint64
		hex       string
		canonical bool
	}{
		{0, "00", true}, {63, "3f", true}, {64, "4040", true}, {1<<14 - 1, "7fff", true}, {1 << 14, "80004000", true},
		{1<<30 - 1, "bfffffff", true}, {1 << 30, "c000000040000000", true}, {maxQUICVarint, "ffffffffffffffff", true},
		{37, "4025", false}, {37, "80000025", false}, {37, "c000000000000025", false},
	} {
		b := unhex(t, test.hex)
		if v, n := parseQUICVarint(append(b, 0xff)); v != test.value || n != len(b) {
			t.Errorf("parseQUICVarint(%s) = %d, %d, want %d, %d", test.hex, v, n, test.value, len(b))
		}
		for short := range b {
			if _, n := parseQUICVarint(b[:short]); n != 0 {
				t.Errorf("parseQUICVarint(%x) took %d bytes, want 0: it is cut", b[:short], n)
			}
		}
		got := appendQUICVarint([]byte{0x11}, test.value)
		if test.canonical != bytes.Equal(got[1:], b) || got[0] != 0x11 || len(got)-1 != quicVarintSize(test.value) {
			t.Errorf("appendQUICVarint(%d) = %x, want %s: %v", test.value, got[1:], test.hex, test.canonical)
		}
	}
}

// Numbers of more than 62 bits, which a publisher of a later draft may use,
// cannot be sent at draft-16.
func TestTooLargeForQUICVarint(t *testing.T) {
	p := &draft16
	const large = maxQUICVarint + 1
	header := &SubgroupHeader{Alias: 1}
	objects := p.FetchEncoder(moqt.Ascending)
	at := func(group, object uint64) moqt.Location { return moqt.Location{Group: group, Object: object} }
	for name, f := range map[string]func(b []byte) ([]byte, error){
		"message":        func(b []byte) ([]byte, error) { return p.AppendMessage(b, &Unsubscribe{RequestID: large}) },
		"object":         func(b []byte) ([]byte, error) { return p.AppendObject(b, header, 0, true, &ObjectHeader{ID: large}) },
		"fetched group":  func(b []byte) ([]byte, error) { return objects.Append(b, &FetchObject{Location: at(large, 0)}) },
		"fetched object": func(b []byte) ([]byte, error) { return objects.Append(b, &FetchObject{Location: at(0, large)}) },
		"fetched size":   func(b []byte) ([]byte, error) { return objects.Append(b, &FetchObject{Size: large}) },
		"gap": func(b []byte) ([]byte, error) {
			return objects.Append(b, &FetchObject{Location: at(large, 0), Gap: GapUnknown})
		},
		"datagram":         func(b []byte) ([]byte, error) { return p.AppendDatagram(b, &Datagram{Location: at(large, 0)}) },
		"property":         func(b []byte) ([]byte, error) { return p.AppendProperties(b, moqt.Properties{{Type: 4, Value: large}}) },
		"type of property": func(b []byte) ([]byte, error) { return p.AppendProperties(b, moqt.Properties{{Type: large}}) },
	} {
		if b, err := f([]byte("kept")); err == nil || string(b) != "kept" {
			t.Errorf("%s: %x, %v, want an error", name, b, err)
		}
	}
	// Headers, whose encoders cannot fail, get the largest number.
	header.Group = math.MaxUint64
	r := NewReader(bytes.NewReader(p.AppendSubgroupHeader(nil, header)))
	if _, typ, err := p.ReadStreamType(r); err != nil {
		t.Error(err)
	} else if h, err := p.ReadSubgroupHeader(r, typ); err != nil || h.Group != maxQUICVarint {
		t.Errorf("ReadSubgroupHeader = %+v, %v", h, err)
	}
}
