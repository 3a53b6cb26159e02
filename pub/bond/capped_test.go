package bond

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sinkhole is a socket that takes everything.
type sinkhole struct{ net.PacketConn }

func (sinkhole) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }
func (sinkhole) Close() error                              { return nil }

// TestCapped sends as fast as a capped socket takes it, from several goroutines, and
// closes it while they wait.
func TestCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pc, err := capped(func(context.Context) (net.PacketConn, error) { return sinkhole{}, nil }, 1e6)(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, idle := range []time.Duration{0, time.Hour} { // which is not made up for
			time.Sleep(idle)
			began := time.Now()
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range 25 {
						if n, err := pc.WriteTo(make([]byte, 1250), nil); n != 1250 || err != nil {
							t.Errorf("WriteTo() = %d, %v", n, err)
						}
					}
				})
			}
			wg.Wait()
			if took := time.Since(began); took < 970*ms || took > time.Second {
				t.Errorf("a megabit took %v", took)
			}
		}
		time.AfterFunc(5*ms, func() {
			pc.Close()
			pc.Close()
		})
		began := time.Now()
		for err = nil; err == nil; _, err = pc.WriteTo(make([]byte, 125_000), nil) {
		}
		if took := time.Since(began); !errors.Is(err, net.ErrClosed) || took > 5*ms {
			t.Errorf("a write that waits when its socket is closed ends after %v with %v", took, err)
		}
	})
}

// TestCappedFails has no socket.
func TestCappedFails(t *testing.T) {
	no := errors.New("no such interface")
	if _, err := capped(func(context.Context) (net.PacketConn, error) { return nil, no }, 1)(t.Context()); err != no {
		t.Errorf("listening fails with %v, want %v", err, no)
	}
}
