package wire

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/tributary-live/tributary/transport/moqt"
)

// encoder appends the fields of one message. The first failure, always a
// mistake of the caller, is kept in err.
type encoder struct {
	p   *Profile
	b   []byte
	err error
}

func (e *encoder) fail(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf("wire: "+format, args...)
	}
}

// add appends what in has, and takes over its failure.
func (e *encoder) add(in *encoder) {
	if e.err == nil {
		e.err = in.err
	}
	e.b = append(e.b, in.b...)
}

func (e *encoder) varint(v uint64) {
	if err := e.p.checkVarint("number", v); err != nil && e.err == nil {
		e.err = err
	}
	e.b = e.p.appendVarint(e.b, v)
}

func (e *encoder) byte(c byte) { e.b = append(e.b, c) }

func (e *encoder) string(s string) {
	e.varint(uint64(len(s)))
	e.b = append(e.b, s...)
}

// limited is string for a field whose length the draft bounds.
func (e *encoder) limited(field, s string, max int) {
	if len(s) > max {
		e.fail("%s of %d bytes (at most %d)", field, len(s), max)
	}
	e.string(s)
}

// reason appends a reason phrase, shortened to what the draft allows.
func (e *encoder) reason(s string) {
	if len(s) > maxReasonSize {
		s = s[:maxReasonSize]
		for i := 0; i < utf8.UTFMax-1 && !utf8.ValidString(s); i++ {
			s = s[:len(s)-1]
		}
	}
	e.string(s)
}

func (e *encoder) location(l moqt.Location) {
	e.varint(l.Group)
	e.varint(l.Object)
}

// endLocation appends the inclusive end of a range in the form of
// [decoder.endLocation].
func (e *encoder) endLocation(l moqt.Location) {
	if l.Group == moqt.LastGroup {
		l.Group = e.p.MaxVarint()
	}
	if !e.p.fetchByFilter {
		l.Object++
	}
	e.location(l)
}

func (e *encoder) millis(d time.Duration) { e.varint(e.toMillis(d)) }

// toMillis rounds up, because 0 has a meaning of its own everywhere.
func (e *encoder) toMillis(d time.Duration) uint64 {
	if d < 0 {
		e.fail("negative time %v", d)
		return 0
	}
	ms := uint64(d / time.Millisecond)
	if d%time.Millisecond != 0 {
		ms++
	}
	return ms
}

func (e *encoder) namespace(ns moqt.Namespace) {
	fields := ns.Fields()
	e.varint(uint64(len(fields)))
	for _, f := range fields {
		e.string(f)
	}
}

// trackNamespace appends a namespace that is no prefix or suffix.
func (e *encoder) trackNamespace(ns moqt.Namespace) {
	if e.p.namespaceNotEmpty && ns == (moqt.Namespace{}) {
		e.fail("%v has no empty namespace", e.p.version)
	}
	e.namespace(ns)
}

func (e *encoder) trackName(t moqt.TrackName) {
	if err := t.Check(); err != nil {
		e.fail("%w", err)
	}
	e.trackNamespace(t.Namespace)
	e.string(t.Name)
}
