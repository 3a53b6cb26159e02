package bond

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// Numbers of the extension: the setup option by which both ends offer it, the
// types of bond streams and chunk streams, and those of the messages of a bond
// stream.
const (
	Option     = 0x4D425031
	StreamType = 0x4D425042
	ChunkType  = 0x4D425043
	typeJoin   = 0x4D425040
	typeJoined = 0x4D425041
	typeRefuse = 0x4D425042
	typeAck    = 0x4D425044
)

// Version is the version of the extension that is spoken here.
const Version = 1

// Bounds of what a message may hold. A message with more is a violation.
const (
	maxPathName  = 64
	maxReason    = 1024
	maxURI       = 8192
	maxAckRanges = 32
	maxAckDone   = 512
)

// OfferOption returns the setup option that offers the extension.
func OfferOption() moqt.Property {
	return moqt.Property{Type: Option, Bytes: wire.AppendVarint(nil, Version)}
}

// Offered reports whether o, a peer's setup option, offers a version that is
// spoken here.
func Offered(o moqt.Property) bool {
	v, n := wire.ParseVarint(o.Bytes)
	return o.Type == Option && n > 0 && v == Version
}

// Cost is what a path costs its owner.
type Cost uint8

const (
	Primary   Cost = iota // used whenever there is something to send
	Secondary             // used when the primary paths are short
	Backup                // used when they fail
)

func (c Cost) String() string {
	switch c {
	case Primary:
		return "primary"
	case Secondary:
		return "secondary"
	case Backup:
		return "backup"
	}
	return fmt.Sprintf("cost %d", uint8(c))
}

// ID names a bond, Secret lets others join it. Both are random.
type (
	ID     [16]byte
	Secret [32]byte
)

// Message is one of [*Join], [*Joined], [*Refused] and [*Ack].
type Message interface {
	append(b []byte) []byte
	number() uint64
}

// Join is the first message of a bond stream, from the publisher.
type Join struct {
	Member uint64 // number of the connection
	Path   string // what the publisher calls its path, printable ASCII
	Cost   Cost
	Bond   ID     // zero in the join that makes the bond
	Proof  []byte // see [Prove]; empty in the join that makes the bond
}

// Joined is the relay's consent.
type Joined struct {
	Bond       ID
	Secret     Secret // zero but in answer to the join that made the bond
	MaxMembers int
	MaxObject  int64         // bytes of one object
	MaxHeld    int64         // bytes of all objects that are not whole
	Hold       time.Duration // how long those are held
	URI        string        // where other connections should go; "" is the same
}

// Refused is the relay's no.
type Refused struct {
	Code   moqt.RequestCode
	Reason string
}

func (r *Refused) Error() string {
	return fmt.Sprintf("bond refused: %v: %.256q", r.Code, r.Reason)
}

// Ack tells what has arrived.
type Ack struct {
	Member   uint64
	Received time.Duration // when the chunk with the largest sequence arrived, by the relay's clock
	Held     int64         // bytes of unfinished objects at the relay
	Ranges   []Range       // in descending order, at least one
	Done     []Object      // objects that are whole
}

// Range is sequences from First to Last.
type Range struct{ First, Last uint64 }

// Object names an object of a bond.
type Object struct {
	Alias         uint64
	Group, Object uint64
}

func (*Join) number() uint64    { return typeJoin }
func (*Joined) number() uint64  { return typeJoined }
func (*Refused) number() uint64 { return typeRefuse }
func (*Ack) number() uint64     { return typeAck }

// AppendMessage appends m as it is sent. Strings that are too long are cut; of an
// Ack that has too much, the oldest ranges are left out.
func AppendMessage(b []byte, m Message) []byte {
	b = wire.AppendVarint(b, m.number())
	start := len(b)
	b = append(b, 0, 0)
	b = m.append(b)
	binary.BigEndian.PutUint16(b[start:], uint16(len(b)-start-2))
	return b
}

func appendBytes[T string | []byte](b []byte, s T, limit int) []byte {
	s = s[:min(len(s), limit)]
	b = wire.AppendVarint(b, uint64(len(s)))
	return append(b, s...)
}

func (m *Join) append(b []byte) []byte {
	b = wire.AppendVarint(b, m.Member)
	b = appendBytes(b, m.Path, maxPathName)
	b = append(b, byte(m.Cost))
	if len(m.Proof) == 0 {
		return append(b, 0, 0)
	}
	b = appendBytes(b, m.Bond[:], len(m.Bond))
	return appendBytes(b, m.Proof, proofSize)
}

func (m *Joined) append(b []byte) []byte {
	b = append(b, m.Bond[:]...)
	b = append(b, m.Secret[:]...)
	b = wire.AppendVarint(b, uint64(m.MaxMembers))
	b = wire.AppendVarint(b, uint64(m.MaxObject))
	b = wire.AppendVarint(b, uint64(m.MaxHeld))
	b = wire.AppendVarint(b, uint64(m.Hold.Milliseconds()))
	return appendBytes(b, m.URI, maxURI)
}

func (m *Refused) append(b []byte) []byte {
	b = wire.AppendVarint(b, uint64(m.Code))
	return appendBytes(b, m.Reason, maxReason)
}

func (m *Ack) append(b []byte) []byte {
	ranges := m.Ranges[:min(len(m.Ranges), maxAckRanges)]
	first := ranges[0]
	b = wire.AppendVarint(b, m.Member)
	b = wire.AppendVarint(b, first.Last)
	b = wire.AppendVarint(b, uint64(m.Received.Microseconds()))
	b = wire.AppendVarint(b, uint64(m.Held))
	b = wire.AppendVarint(b, first.Last-first.First)
	b = wire.AppendVarint(b, uint64(len(ranges)-1))
	low := first.First
	for _, r := range ranges[1:] {
		b = wire.AppendVarint(b, low-r.Last-2)
		b = wire.AppendVarint(b, r.Last-r.First)
		low = r.First
	}
	done := m.Done[:min(len(m.Done), maxAckDone)]
	b = wire.AppendVarint(b, uint64(len(done)))
	for _, o := range done {
		b = wire.AppendVarint(b, o.Alias)
		b = wire.AppendVarint(b, o.Group)
		b = wire.AppendVarint(b, o.Object)
	}
	return b
}

// violation is what bytes are that break the rules of the extension.
func violation(format string, args ...any) error {
	return &wire.Error{Code: moqt.SessionProtocolViolation, Field: "bond", Err: fmt.Errorf(format, args...)}
}

// ParseMessage reads the body of the message of type typ. What it returns does
// not alias body.
func ParseMessage(typ uint64, body []byte) (Message, error) {
	d := decoder{b: body}
	var m Message
	switch typ {
	case typeJoin:
		m = d.join()
	case typeJoined:
		m = d.joined()
	case typeRefuse:
		m = &Refused{Code: moqt.RequestCode(d.int("code")), Reason: string(d.bytes("reason", maxReason))}
	case typeAck:
		m = d.ack()
	default:
		return nil, violation("message type 0x%x is not one of a bond stream", typ)
	}
	if d.err == nil && len(d.b) > 0 {
		d.err = violation("%d bytes follow the end of message 0x%x", len(d.b), typ)
	}
	if d.err != nil {
		return nil, d.err
	}
	return m, nil
}

func (d *decoder) join() *Join {
	m := &Join{Member: d.int("member"), Path: string(d.bytes("path", maxPathName)), Cost: Cost(d.byte("cost"))}
	id := d.bytes("bond id", len(m.Bond))
	proof := d.bytes("proof", proofSize)
	switch {
	case d.err != nil:
	case m.Cost > Backup:
		d.fail("cost %d does not exist", m.Cost)
	case slices.ContainsFunc([]byte(m.Path), func(c byte) bool { return c < 0x20 || c > 0x7e }):
		d.fail("the name of the path is not printable ASCII")
	case len(id) == 0 && len(proof) == 0:
	case len(id) != len(m.Bond) || len(proof) != proofSize:
		d.fail("a bond id of %d bytes with a proof of %d", len(id), len(proof))
	default:
		m.Bond, m.Proof = ID(id), slices.Clone(proof)
	}
	return m
}

func (d *decoder) joined() *Joined {
	m := &Joined{}
	copy(m.Bond[:], d.take("bond id", uint64(len(m.Bond))))
	copy(m.Secret[:], d.take("secret", uint64(len(m.Secret))))
	m.MaxMembers = int(d.atMost("most members", 1<<16))
	m.MaxObject = int64(d.atMost("most bytes of an object", 1<<40))
	m.MaxHeld = int64(d.atMost("most bytes held", 1<<40))
	m.Hold = time.Duration(d.atMost("hold", 1<<32)) * time.Millisecond
	m.URI = string(d.bytes("URI", maxURI))
	return m
}

func (d *decoder) ack() *Ack {
	m := &Ack{Member: d.int("member")}
	last := d.int("largest")
	m.Received = time.Duration(d.atMost("time of receipt", 1<<52)) * time.Microsecond
	m.Held = int64(d.atMost("bytes held", 1<<40))
	size := d.int("first range")
	n := d.atMost("count of ranges", maxAckRanges-1)
	for i := uint64(0); d.err == nil; i++ {
		if size > last {
			d.fail("a range begins below 0")
			break
		}
		m.Ranges = append(m.Ranges, Range{last - size, last})
		if i == n {
			break
		}
		low, gap := last-size, d.int("gap")
		size = d.int("range")
		if low < 2 || gap > low-2 {
			d.fail("a gap reaches below 0")
			break
		}
		last = low - gap - 2
	}
	for n := d.atMost("count of done", maxAckDone); n > 0 && d.err == nil; n-- {
		m.Done = append(m.Done, Object{d.int("alias"), d.int("group"), d.int("object")})
	}
	return m
}

// ReadMessage reads the next message of a bond stream from r, which it reads in
// small pieces: give it one that is buffered. An error is a *[wire.Error] where
// the peer broke the rules, io.EOF where the stream ended well, and otherwise the
// stream's.
func ReadMessage(r io.Reader) (Message, error) {
	typ, err := readVarint(r)
	if err == io.EOF {
		return nil, err
	}
	var length [2]byte
	if err == nil {
		_, err = io.ReadFull(r, length[:])
	}
	var body []byte
	if err == nil {
		body = make([]byte, binary.BigEndian.Uint16(length[:]))
		_, err = io.ReadFull(r, body)
	}
	switch inside(err) {
	case nil:
		return ParseMessage(typ, body)
	case io.ErrUnexpectedEOF:
		return nil, violation("a bond stream ends inside a message")
	}
	return nil, fmt.Errorf("read bond stream: %w", err)
}

// decoder reads the body of a message. After the first error it returns zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = violation(format, args...)
	}
}

func (d *decoder) int(field string) uint64 {
	v, n := wire.ParseVarint(d.b)
	if n == 0 {
		d.fail("the message ends inside %s", field)
	}
	if d.err != nil {
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) atMost(field string, limit uint64) uint64 {
	v := d.int(field)
	if v > limit {
		d.fail("%s is %d, which is more than %d", field, v, limit)
		return 0
	}
	return v
}

func (d *decoder) byte(field string) byte {
	b := d.take(field, 1)
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

func (d *decoder) take(field string, n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail("the message ends inside %s", field)
	}
	if d.err != nil {
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) bytes(field string, limit int) []byte {
	return d.take(field, d.atMost("length of "+field, uint64(limit)))
}
