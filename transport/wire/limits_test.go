package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

func isViolation(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == moqt.SessionProtocolViolation
}

// message frames a body for draft-18.
func message(typ uint64, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(binary.BigEndian.AppendUint16(AppendVarint(nil, typ), uint16(len(body))), body...)
}

func prefixed(s string) []byte { return append(AppendVarint(nil, uint64(len(s))), s...) }

func TestLimitsOfDraft(t *testing.T) {
	zero := []byte{0}
	field := func(n int) []byte { return append([]byte{1}, prefixed(strings.Repeat("n", n))...) }
	redirect := func(uri int) []byte {
		return message(0x05, AppendVarint(nil, 0x34), zero, zero, prefixed(strings.Repeat("u", uri)), zero, zero)
	}
	goaway := func(uri int) []byte { return message(0x10, prefixed(strings.Repeat("u", uri)), zero) }
	subscribe := func(ns, name int) []byte {
		return message(0x03, zero, field(ns), prefixed(strings.Repeat("t", name)), zero)
	}
	option := func(n int) []byte {
		return message(setupType, AppendVarint(nil, 0x9d), prefixed(strings.Repeat("o", n)))
	}
	for _, test := range []struct {
		name string
		on   On
		b    []byte
		ok   bool
	}{
		{"option that fills the message", onControl, option(65535 - 5), true},
		{"uri of 8192 bytes", onControl, goaway(8192), true},
		{"uri of 8193 bytes", onControl, goaway(8193), false},
		{"redirect to 8192 bytes", onSubscribe, redirect(8192), true},
		{"redirect to 8193 bytes", onSubscribe, redirect(8193), false},
		{"full name of 4096 bytes", On{}, subscribe(96, 4000), true},
		{"full name of 4097 bytes", On{}, subscribe(96, 4001), false},
		{"namespace of 4096 bytes", On{}, subscribe(4096, 0), true},
		{"namespace of 4097 bytes", On{}, subscribe(4097, 0), false},
		{"blocked name of 4096 bytes", onTracks, message(0x0F, zero, prefixed(strings.Repeat("t", 4096))), true},
		{"blocked name of 4097 bytes", onTracks, message(0x0F, zero, prefixed(strings.Repeat("t", 4097))), false},
	} {
		m, err := draft18.ReadMessage(NewReader(bytes.NewReader(test.b)), test.on)
		if test.ok != (err == nil) || !test.ok && !isViolation(err) {
			t.Errorf("%s: %v, want ok: %v", test.name, err, test.ok)
			continue
		}
		if test.ok {
			if b, err := draft18.AppendMessage(nil, m); err != nil || !bytes.Equal(b, test.b) {
				t.Errorf("%s: encoded to %d bytes, %v, want the %d it came in", test.name, len(b), err, len(test.b))
			}
		}
	}
}

// An object over our own limits is no violation, and nothing of its size is
// made or read.
func TestLimitsOfObjects(t *testing.T) {
	limits := &Limits{MaxObjectSize: 1000, MaxPropertiesSize: 100}
	huge := AppendVarint(nil, 1<<64-1)
	subgroup := func(body ...[]byte) func(l *Limits) error {
		return func(l *Limits) error {
			d := draft18.SubgroupObjects(&SubgroupHeader{Properties: true})
			_, err := d.Next(NewReader(bytes.NewReader(bytes.Join(body, nil))), l)
			return err
		}
	}
	fetch := func(body ...[]byte) func(l *Limits) error {
		return func(l *Limits) error {
			d := draft18.FetchObjects(moqt.Ascending)
			_, err := d.Next(NewReader(bytes.NewReader(bytes.Join(body, nil))), l)
			return err
		}
	}
	for _, test := range []struct {
		name string
		next func(*Limits) error
		want error
	}{
		{"object of the limit", subgroup([]byte{0, 0}, AppendVarint(nil, 1000)), nil},
		{"object over the limit", subgroup([]byte{0, 0}, AppendVarint(nil, 1001)), ErrTooLarge},
		{"object of 2^64-1", subgroup([]byte{0, 0}, huge), ErrTooLarge},
		{"properties of the limit", subgroup(append([]byte{0, 100, 1, 98}, make([]byte, 98)...), []byte{1}), nil},
		{"properties over the limit", subgroup([]byte{0}, AppendVarint(nil, 101)), ErrTooLarge},
		{"properties of 2^64-1", subgroup([]byte{0}, huge), ErrTooLarge},
		{"fetched object over the limit", fetch([]byte{0x1c, 0, 0, 0}, AppendVarint(nil, 1001)), ErrTooLarge},
		{"fetched properties over the limit", fetch([]byte{0x3c, 0, 0, 0}, AppendVarint(nil, 101)), ErrTooLarge},
	} {
		if err := test.next(limits); !errors.Is(err, test.want) || isViolation(err) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	for name, l := range map[string]*Limits{"nil": nil, "zero": {}} {
		if err := subgroup([]byte{0, 0}, AppendVarint(nil, 32<<20))(l); err != nil {
			t.Errorf("%s limits: 32 MiB: %v", name, err)
		}
		if err := subgroup([]byte{0, 0}, AppendVarint(nil, 32<<20+1))(l); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s limits: 32 MiB + 1: %v, want %v", name, err, ErrTooLarge)
		}
		if err := subgroup([]byte{0}, AppendVarint(nil, 16<<10+1))(l); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s limits: properties of 16 KiB + 1: %v, want %v", name, err, ErrTooLarge)
		}
	}
}

// A peer that claims a length pays for it with bytes before we do with memory.
func TestClaimedLengthCostsNothing(t *testing.T) {
	r := NewReader(io.MultiReader(bytes.NewReader([]byte{0x03, 0xff, 0xff, 1, 2, 3})))
	if _, err := draft18.ReadMessage(r, On{}); !isViolation(err) {
		t.Fatalf("ReadMessage: %v, want a violation", err)
	}
	if len(r.buf) > readerSize {
		t.Errorf("the buffer grew to %d for a message of which 3 bytes came", len(r.buf))
	}
}
