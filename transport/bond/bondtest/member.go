// Package bondtest is a connection of a bond, made by hand: what it says and sends
// is what a test or a measurement wants, right or wrong.
package bondtest

import (
	"context"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
)

// Member is one connection. Its session is to be made with its Extension, and set
// then. Its methods may be called concurrently.
type Member struct {
	Session *transport.Session
	Number  uint64 // that it joins with
	// Heard is called with each acknowledgement, by one goroutine. While it does not
	// return, nothing more is read. It may be nil.
	Heard func(*bond.Ack)

	answer chan bond.Message

	mu   sync.Mutex // guards next
	next uint64     // sequence
}

// New returns a member without a session.
func New(number uint64) *Member {
	return &Member{Number: number, answer: make(chan bond.Message, 1)}
}

// Extension is what the member's session is to be configured with.
func (m *Member) Extension() transport.Extension {
	return transport.Extension{Option: bond.OfferOption(), Agree: bond.Offered, Streams: []uint64{bond.StreamType}, Serve: m.read}
}

// read takes in what the relay says on its bond stream, until the session ends.
func (m *Member) read(_ *transport.Session, _ uint64, st transport.ReceiveStream) error {
	for {
		msg, err := bond.ReadMessage(st)
		if err != nil {
			return nil
		}
		ack, ok := msg.(*bond.Ack)
		switch {
		case !ok:
			m.answer <- msg
		case m.Heard != nil:
			m.Heard(ack)
		}
	}
}

// answerTime is how long the relay may take to answer a join.
const answerTime = time.Minute

// Ask opens the member's bond stream with a join, and returns the relay's answer.
func (m *Member) Ask(ctx context.Context, j *bond.Join) (transport.SendStream, bond.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	st, err := m.Open(ctx, bond.StreamType, bond.AppendMessage(nil, j))
	if err != nil {
		return nil, nil, err
	}
	select {
	case a := <-m.answer:
		return st, a, nil
	case <-m.Session.Context().Done():
		return st, nil, context.Cause(m.Session.Context())
	case <-ctx.Done():
		return st, nil, ctx.Err()
	}
}

// Proof returns the join that the secret of b makes for the member's connection.
func (m *Member) Proof(b *bond.Joined) (*bond.Join, error) {
	keys, err := m.Session.ExportKeyingMaterial(bond.ExporterLabel, nil, bond.ExporterLength)
	if err != nil {
		return nil, err
	}
	return &bond.Join{Member: m.Number, Path: "usb0", Cost: bond.Secondary, Bond: b.Bond, Proof: bond.Prove(b.Secret, b.Bond, m.Number, keys)}, nil
}

// Open opens a stream of the extension and writes b to it.
func (m *Member) Open(ctx context.Context, typ uint64, b []byte) (transport.SendStream, error) {
	st, err := m.Session.OpenExtensionStream(ctx, typ)
	if err != nil {
		return nil, err
	}
	_, err = st.Write(b)
	return st, err
}

// Send opens a chunk stream for an object and sends chunks of its payload on it,
// from each first of ranges to its second.
func (m *Member) Send(ctx context.Context, h *bond.Header, payload []byte, ranges ...[2]int) (transport.SendStream, error) {
	b := bond.AppendHeader(nil, h)
	for _, r := range ranges {
		b = bond.AppendChunk(b, &bond.Chunk{Sequence: m.Next(), Offset: int64(r[0]), Bytes: payload[r[0]:r[1]]})
	}
	return m.Open(ctx, bond.ChunkType, b)
}

// Next returns the sequence of the member's next chunk, which is thereby used.
func (m *Member) Next() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next++
	return m.next - 1
}

// Sent returns how many sequences were used.
func (m *Member) Sent() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.next
}
