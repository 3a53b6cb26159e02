package wire

import (
	"math"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// decoder reads the fields of one message body. The first failure is kept in
// err, everything after it reads as zero, and b is empty.
type decoder struct {
	p   *Profile
	on  On
	b   []byte // the rest; fields that alias it are copied before they leave
	err error
	// longLocation says that a Location parameter is behind a length in any draft.
	longLocation bool
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.b = nil
}

func (d *decoder) varint(field string) uint64 {
	v, n := d.p.parseVarint(d.b)
	if n == 0 {
		d.fail(Truncated(field))
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte(field string) byte {
	if len(d.b) == 0 {
		d.fail(Truncated(field))
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

// bytes reads a length of at most max and as many bytes, which alias the input.
func (d *decoder) bytes(field string, max uint64) []byte {
	n := d.varint(field)
	switch {
	case d.err != nil:
		return nil
	case n > max:
		d.fail(violation(field, "%d bytes, at most %d are allowed", n, max))
		return nil
	case n > uint64(len(d.b)):
		d.fail(Truncated(field))
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) string(field string, max uint64) string { return string(d.bytes(field, max)) }

func (d *decoder) location(field string) moqt.Location {
	return moqt.Location{Group: d.varint(field), Object: d.varint(field)}
}

// maxMillis is the longest time a Duration can hold, in whole milliseconds.
const maxMillis = math.MaxInt64 / uint64(time.Millisecond)

// millis reads a time in milliseconds. Times of more than 292 years are cut to
// that.
func (d *decoder) millis(field string) time.Duration { return fromMillis(d.varint(field)) }

func fromMillis(ms uint64) time.Duration { return time.Duration(min(ms, maxMillis)) * time.Millisecond }

func (d *decoder) namespace(field string) moqt.Namespace {
	n := d.varint(field)
	if n > moqt.MaxNamespaceFields {
		d.fail(violation(field, "%d fields, at most %d are allowed", n, moqt.MaxNamespaceFields))
	}
	if d.err != nil {
		return moqt.Namespace{}
	}
	var fields [moqt.MaxNamespaceFields]string
	for i := range fields[:n] {
		fields[i] = d.string(field, moqt.MaxFullNameBytes)
	}
	if d.err != nil {
		return moqt.Namespace{}
	}
	ns, err := moqt.NewNamespace(fields[:n]...)
	if err != nil {
		d.fail(violation(field, "%w", err))
	}
	return ns
}

// trackNamespace reads a namespace that is no prefix or suffix.
func (d *decoder) trackNamespace() moqt.Namespace {
	const field = "Track Namespace"
	ns := d.namespace(field)
	if d.p.namespaceNotEmpty && d.err == nil && ns == (moqt.Namespace{}) {
		d.fail(violation(field, "no fields"))
	}
	return ns
}

func (d *decoder) trackName() moqt.TrackName {
	t := moqt.TrackName{Namespace: d.trackNamespace(), Name: d.string("Track Name", moqt.MaxFullNameBytes)}
	if err := t.Check(); err != nil {
		d.fail(violation("Track Name", "%w", err))
	}
	return t
}

// endLocation reads the end of a range and returns it inclusive. Until draft-19
// it is one past the last object on the wire, or 0 for the whole group.
func (d *decoder) endLocation(field string) moqt.Location {
	end := d.location(field)
	if end.Group == d.p.MaxVarint() {
		end.Group = moqt.LastGroup
	}
	if !d.p.fetchByFilter {
		end.Object-- // 0 becomes moqt.WholeGroup
	}
	return end
}
