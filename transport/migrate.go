package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/quic-go/quic-go"
)

// ErrCannotMigrate says that a session cannot move to another network: its
// transport or its peer does not do that, the network was not explored, or too many
// were.
var ErrCannotMigrate = errors.New("the connection cannot move to another network")

// Explore shows the peer that this end is reached by another network as well, so
// that the session can [Session.Migrate] there at any moment: when a network has
// failed is too late to ask for another. Only who has dialled can do that. (RFC
// 9000, "Probing a New Path")
//
// way tells networks apart. Its socket is the one that listen returns, which the
// session closes when it has ended. After an error everything is as before. ctx
// must bound the wait for a network that does not answer. A peer allows few ways at
// a time, usually three: see [Session.Leave].
func (s *Session) Explore(ctx context.Context, way any, listen func(context.Context) (net.PacketConn, error)) error {
	c, ok := plainConn(s.conn).(migrator)
	if !ok {
		return ErrCannotMigrate
	}
	return c.otherWays().explore(ctx, way, listen)
}

// Migrate moves the session to a network that was explored: everything goes by it
// from then on, with new congestion control. Streams and subscriptions notice
// nothing. Whether the network still works shows by what comes. (RFC 9000,
// "Initiating Connection Migration")
func (s *Session) Migrate(way any) error {
	c, ok := plainConn(s.conn).(migrator)
	if !ok {
		return ErrCannotMigrate
	}
	return c.otherWays().migrate(way)
}

// Leave forgets a way that was explored, unless the session goes by it.
func (s *Session) Leave(way any) {
	if c, ok := plainConn(s.conn).(migrator); ok {
		c.otherWays().leave(way)
	}
}

type migrator interface{ otherWays() *ways }

// maxWays bounds the sockets of one connection. None can be closed before the
// connection, which would end with it.
const maxWays = 32

// ways are the networks that a connection can move to, beside the one that it was
// dialled by.
type ways struct {
	conn *quic.Conn

	mu     sync.Mutex // guards what follows
	known  map[any]*way
	active *quic.Path // that was moved to last
	over   bool
}

// way is one of them.
type way struct {
	tr   *quic.Transport
	path *quic.Path // that the peer has answered on; nil if it has not
}

func (w *ways) explore(ctx context.Context, key any, listen func(context.Context) (net.PacketConn, error)) error {
	to, err := w.open(ctx, key, listen)
	if err != nil {
		return err
	}
	path, err := w.conn.AddPath(to.tr)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCannotMigrate, err)
	}
	if err := path.Probe(ctx); err != nil {
		path.Close()
		return fmt.Errorf("reach the peer from %v: %w", to.tr.Conn.LocalAddr(), err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if to.path != nil {
		path.Close()
		return nil
	}
	to.path = path
	return nil
}

func (w *ways) leave(key any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := w.known[key]; n != nil && n.path != nil && n.path != w.active {
		n.path.Close() // its socket stays
		n.path = nil
	}
}

func (w *ways) migrate(key any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	to := w.known[key]
	if to == nil || to.path == nil {
		return ErrCannotMigrate
	}
	if err := to.path.Switch(); err != nil {
		return fmt.Errorf("%w: %w", ErrCannotMigrate, err)
	}
	w.active = to.path
	// A connection that waits for acknowledgements looks what to do when its timers
	// say so, or when a path is closed.
	if idle, err := w.conn.AddPath(to.tr); err == nil {
		idle.Close()
	}
	return nil
}

// open returns the way of a key.
func (w *ways) open(ctx context.Context, key any, listen func(context.Context) (net.PacketConn, error)) (*way, error) {
	w.mu.Lock()
	have, full := w.known[key], w.over || len(w.known) >= maxWays
	w.mu.Unlock()
	if have != nil {
		return have, nil
	}
	if full {
		return nil, ErrCannotMigrate
	}
	pc, err := listen(ctx)
	if err != nil {
		return nil, fmt.Errorf("open a UDP socket: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if have = w.known[key]; have != nil || w.over {
		pc.Close()
		if w.over {
			return nil, ErrCannotMigrate
		}
		return have, nil
	}
	if w.known == nil {
		w.known = make(map[any]*way)
	}
	have = &way{tr: &quic.Transport{Conn: pc}}
	w.known[key] = have
	return have, nil
}

// close closes the sockets of a connection that needs none any more.
func (w *ways) close() {
	w.mu.Lock()
	w.over = true
	known := w.known
	w.known = nil
	w.mu.Unlock()
	for _, n := range known {
		n.tr.Close()
		n.tr.Conn.Close()
	}
}
