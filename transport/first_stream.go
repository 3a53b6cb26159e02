package transport

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// The first bytes of the streams by which a client begins a session.
const (
	firstOfRequests = 0x20 // CLIENT_SETUP, on a bidirectional stream: draft-16, or one before
	firstOfOldest   = 0x40 // the same until draft-10
	firstOfControl  = 0xaf // SETUP, 0x2F00, on a unidirectional stream: from draft-18
)

// maxFirstStreams bounds the streams of each kind that may come before the one
// that tells the draft.
const maxFirstStreams = 16

// firstStream finds out the draft of a client that has named none, which is how
// browsers come without WT-Available-Protocols. It returns conn with the streams
// that came put back. If it fails, conn is closed.
func firstStream(ctx context.Context, conn Conn, c *Config) (Conn, moqt.Version, error) {
	g := &guess{Conn: conn, found: make(chan moqt.Version, 1)}
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { g.accept(ctx, cancel, g.takeBidi) })
	wg.Go(func() { g.accept(ctx, cancel, g.takeUni) })
	wg.Wait()
	err := context.Cause(ctx)
	select {
	case v := <-g.found:
		if slices.Contains(c.Versions, v) {
			return g, v, nil
		}
		err = &SessionError{Code: moqt.SessionVersionNegotiation,
			Reason: fmt.Sprintf("the client's first stream is that of %v, which is not spoken here; spoken: %v", v, c.Versions)}
	default:
	}
	if conn.Context().Err() != nil {
		return nil, 0, context.Cause(conn.Context())
	}
	se, ok := err.(*SessionError)
	if !ok {
		se = &SessionError{Code: moqt.SessionNoError, Reason: "given up"}
	}
	conn.CloseWithError(se.Code, se.Reason)
	return nil, 0, err
}

// guess is a connection of which some streams have been looked at.
type guess struct {
	Conn
	found chan moqt.Version // cap 1

	mu   sync.Mutex // guards what follows
	bidi []Stream
	uni  []ReceiveStream
}

// accept takes streams of one kind until ctx ends, which it does by end when the
// draft is told.
func (g *guess) accept(ctx context.Context, end context.CancelCauseFunc, take func(context.Context) (moqt.Version, error)) {
	for range maxFirstStreams {
		v, err := take(ctx)
		if err != nil {
			end(err)
			return
		}
		if v != 0 {
			select {
			case g.found <- v:
			default:
			}
			end(context.Canceled)
			return
		}
	}
	end(&SessionError{Code: moqt.SessionProtocolViolation, Reason: "no SETUP among the first streams"})
}

func (g *guess) takeBidi(ctx context.Context) (moqt.Version, error) {
	st, err := g.Conn.AcceptStream(ctx)
	if err != nil {
		return 0, err
	}
	b := firstByte(ctx, st)
	g.mu.Lock()
	g.bidi = append(g.bidi, &begunStream{st, begunReceive{st, b}})
	g.mu.Unlock()
	switch {
	case len(b) == 0:
	case b[0] == firstOfRequests:
		return moqt.Draft16, nil
	case b[0] == firstOfOldest:
		return 0, &SessionError{Code: moqt.SessionVersionNegotiation, Reason: "draft-10 and older are not spoken here"}
	}
	return 0, nil
}

func (g *guess) takeUni(ctx context.Context) (moqt.Version, error) {
	st, err := g.Conn.AcceptUniStream(ctx)
	if err != nil {
		return 0, err
	}
	b := firstByte(ctx, st)
	g.mu.Lock()
	g.uni = append(g.uni, &begunReceive{st, b})
	g.mu.Unlock()
	if len(b) > 0 && b[0] == firstOfControl {
		return moqt.Draft18, nil
	}
	return 0, nil
}

// firstByte reads a byte, or none if the stream or ctx ends before. An error of
// the stream is met again by the next Read.
func firstByte(ctx context.Context, st ReceiveStream) []byte {
	late := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		st.SetReadDeadline(time.Unix(1, 0))
		close(late)
	})
	b := make([]byte, 1)
	n, _ := st.Read(b)
	if !stop() {
		<-late // so that it does not meet a deadline set after this
	}
	return b[:n]
}

func (g *guess) AcceptStream(ctx context.Context) (Stream, error) {
	if st, ok := pop(&g.mu, &g.bidi); ok {
		return st, nil
	}
	return g.Conn.AcceptStream(ctx)
}

func (g *guess) AcceptUniStream(ctx context.Context) (ReceiveStream, error) {
	if st, ok := pop(&g.mu, &g.uni); ok {
		return st, nil
	}
	return g.Conn.AcceptUniStream(ctx)
}

func pop[T any](mu *sync.Mutex, from *[]T) (v T, ok bool) {
	mu.Lock()
	defer mu.Unlock()
	if len(*from) == 0 {
		return v, false
	}
	v = (*from)[0]
	*from = (*from)[1:]
	return v, true
}

// begunStream is a stream of which head has been read.
type begunStream struct {
	SendStream
	begunReceive
}

// begunReceive is begunStream for one direction.
type begunReceive struct {
	ReceiveStream
	head []byte
}

// StreamID is for a trace.
func (s *begunReceive) StreamID() uint64 { return streamID(s.ReceiveStream) }

func (s *begunReceive) Read(b []byte) (int, error) {
	if len(s.head) == 0 {
		return s.ReceiveStream.Read(b)
	}
	n := copy(b, s.head)
	s.head = s.head[n:]
	return n, nil
}
