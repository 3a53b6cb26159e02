package bond

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// deadConn is a connection that nothing can be sent on from some time on, which its
// session has not noticed.
type deadConn struct {
	transport.Conn
	dead   atomic.Bool
	failed atomic.Int64 // streams that could not be opened
}

var errDead = errors.New("network is unreachable")

func (c *deadConn) OpenUniStream(ctx context.Context) (transport.SendStream, error) {
	if c.dead.Load() {
		time.Sleep(time.Millisecond)
		c.failed.Add(1)
		return nil, errDead
	}
	return c.Conn.OpenUniStream(ctx)
}

// TestNothingIsGivenToADeadConnection has a connection fail before its session ends:
// it takes a chunk, and no more, which would all count as sent.
func TestNothingIsGivenToADeadConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := transporttest.Pipe(t, nil)
		conn := &deadConn{Conn: near}
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			if sess, err := transport.NewSession(t.Context(), far, nil); err == nil {
				<-sess.Context().Done()
			}
		})
		sess, err := transport.NewSession(t.Context(), conn, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer sess.Close()
		b := New(Config{Mode: Aggregate})
		c := &connection{b: b, route: &route{Path: Path{Name: "a"}}, sess: sess, open: make(map[bond.Object]*chunkStream)}
		b.enter(c)
		conn.dead.Store(true)
		const size = 100 << 10
		b.Send(Object{Alias: 1, Payload: make([]byte, size), Class: Vital})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.work(ctx); !errors.Is(err, errDead) {
			t.Errorf("work ends with %v, want %v", err, errDead)
		}
		if s, n := b.Status().Stats, conn.failed.Load(); n != 1 || s.Unique > maxChunk || s.Copied+s.Reinjected > 0 {
			t.Errorf("%d chunks were given to it, %+v; want one", n, s)
		}
	})
}
