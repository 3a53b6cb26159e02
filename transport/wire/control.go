package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// AppendMessage appends m whole: type, length and body. It fails, and returns b
// as it was, only for what the caller did wrong: a message or meaning that the
// draft does not have, a parameter that does not belong into m, or a message
// that is too long. It keeps nothing of m.
func (p *Profile) AppendMessage(b []byte, m Message) ([]byte, error) {
	c := p.codecOf(m)
	if c == nil {
		return b, fmt.Errorf("wire: %v has no %v", p.version, m.Kind())
	}
	e := encoder{p: p, b: p.appendVarint(b, c.typ)}
	e.b = append(e.b, 0, 0)
	body := len(e.b)
	c.encode(&e, m)
	size := len(e.b) - body
	if size > maxMessageSize {
		e.fail("%v of %d bytes (at most %d)", m.Kind(), size, maxMessageSize)
	}
	if e.err != nil {
		return b, e.err
	}
	binary.BigEndian.PutUint16(e.b[body-2:], uint16(size))
	return e.b, nil
}

// ReadMessage reads the next message of a control or request stream. It returns
// io.EOF only if the stream ended before the message began, an [*Error] for a
// violation, which includes a message that may not come there or does not end
// where it says, and otherwise the stream's own error. What it returns does not
// alias the buffer of r.
func (p *Profile) ReadMessage(r *Reader, on On) (Message, error) {
	typ, err := p.readVarint(r)
	if err != nil {
		return nil, err
	}
	c := p.messageOfType(typ)
	if c == nil {
		return nil, violation("Message Type", "0x%x is unknown", typ)
	}
	if !p.admits(on, c.kind) || c.answers != KindNone && c.answers != on.Answers {
		return nil, violation("Message Type", "%v (0x%x) may not come here", c.kind, typ)
	}
	return p.readBody(r, c, on)
}

// readBody reads length and body of a message of type c.
func (p *Profile) readBody(r *Reader, c *messageCodec, on On) (Message, error) {
	head, err := r.peek(2)
	if err != nil {
		return nil, inside(c.kind.String(), err)
	}
	size := int(binary.BigEndian.Uint16(head))
	r.pos += 2
	body, err := r.peek(size)
	if err != nil {
		return nil, inside(c.kind.String(), err)
	}
	m, err := decoder{p: p, on: on, b: body}.message(c)
	if err != nil && on.LongLocation {
		if long, lerr := (decoder{p: p, on: on, b: body, longLocation: true}).message(c); lerr == nil {
			m, err = long, nil
		}
	}
	r.pos += size
	r.message = size
	r.shrink()
	return m, err
}

// message decodes a whole body of type c.
func (d decoder) message(c *messageCodec) (Message, error) {
	m := c.decode(&d)
	if d.err == nil && len(d.b) > 0 {
		d.fail(violation("Message Length", "%d bytes too many", len(d.b)))
	}
	var e *Error
	if errors.As(d.err, &e) {
		return nil, &Error{Code: e.Code, Field: c.kind.String() + " " + e.Field, Err: e.Err}
	}
	return m, d.err
}
