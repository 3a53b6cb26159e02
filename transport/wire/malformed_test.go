package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// The malformed input that the decoders are held to is of two sorts: the
// vectors in testdata/*/*_malformed.json, each written by hand for a sentence of
// a draft, and damage done here to every well-formed message. Package transport
// has both vectors and the rules that only a session knows go through one.

// damage is a way to break a well-formed message, of which head is what comes
// before the length.
var damage = []struct {
	name  string
	apply func(head, body []byte) []byte
	// spares reports that the draft lets m pass all the same.
	spares func(p *Profile, m Message) bool
}{
	{"without its last byte", func(head, body []byte) []byte { return framed(head, body[:len(body)-1]) }, endsWithOption},
	{"with a byte too many", func(head, body []byte) []byte { return framed(head, append(bytes.Clone(body), 0)) }, endsWithOption},
	{"cut off by the end of the stream", func(head, body []byte) []byte {
		whole := framed(head, body)
		return whole[:len(whole)-1]
	}, nil},
	{"cut off inside its length", func(head, body []byte) []byte { return framed(head, body)[:len(head)+1] }, nil},
	{"of 65535 bytes and the stream ends", func(head, body []byte) []byte {
		return append(append(bytes.Clone(head), 0xff, 0xff), body...)
	}, nil},
}

func framed(head, body []byte) []byte {
	return append(binary.BigEndian.AppendUint16(bytes.Clone(head), uint16(len(body))), body...)
}

// endsWithOption says that m ends with a field that may be absent: the Request
// ID of GOAWAY, which not every peer sends.
func endsWithOption(p *Profile, m Message) bool { return m.Kind() == KindGoaway && p.goawayRequestID }

// sample is a well-formed message and where it was read.
type sample struct {
	id      string
	on      On
	b       []byte
	message Message
}

// samples are the well-formed vectors of messages of a draft.
func samples(t *testing.T, p *Profile) (list []sample) {
	eachVector(t, "messages", func(of *Profile, v *vector) {
		if of != p || v.Error != "" {
			return
		}
		m, err := p.ReadMessage(NewReader(bytes.NewReader(v.bytes(t))), v.on(t))
		if err != nil {
			t.Fatalf("%v: %s: %v", p.version, v.ID, err)
		}
		list = append(list, sample{v.ID, v.on(t), v.bytes(t), m})
	})
	return list
}

// TestMalformedMessages damages every well-formed message in each way, and has
// one of each kind come to every place that is not its own.
func TestMalformedMessages(t *testing.T) {
	for _, p := range profiles {
		refused := func(what string, on On, b []byte) {
			t.Helper()
			m, err := p.ReadMessage(NewReader(bytes.NewReader(b)), on)
			var violation *Error
			if !errors.As(err, &violation) || violation.Code != moqt.SessionProtocolViolation {
				t.Errorf("%v: %s: %x is %+v, %v, want PROTOCOL_VIOLATION", p.version, what, b, m, err)
			}
		}
		seen := make(map[Kind]bool)
		for _, s := range samples(t, p) {
			typ, n := p.parseVarint(s.b)
			head, body := s.b[:n], s.b[n+2:]
			for _, d := range damage {
				if len(body) > 0 && (d.spares == nil || !d.spares(p, s.message)) {
					refused(s.id+" "+d.name, s.on, d.apply(head, body))
				}
			}
			kind := p.messageOfType(typ).kind
			if seen[kind] {
				continue
			}
			seen[kind] = true
			for _, place := range fuzzPlaces {
				if !p.admits(place, kind) {
					refused(fmt.Sprintf("%v at %+v", kind, place), place, s.b)
				}
			}
		}
	}
}

// TestMalformedCount keeps the table of malformed input as large as it is told
// to be, for each draft: 300 that are written by hand or made by damage, without
// those that only come to a wrong place.
func TestMalformedCount(t *testing.T) {
	for _, p := range profiles {
		written, made := 0, 0
		eachVector(t, "", func(of *Profile, v *vector) {
			if of == p && v.Error != "" {
				written++
			}
		})
		for _, s := range samples(t, p) {
			for _, d := range damage {
				if d.spares == nil || !d.spares(p, s.message) {
					made++
				}
			}
		}
		if written < 200 || written+made < 300 {
			t.Errorf("%v: %d malformed inputs by hand and %d made of others, want 200 and 300 in all", p.version, written, made)
		}
		t.Logf("%v: %d by hand, %d made", p.version, written, made)
	}
}
