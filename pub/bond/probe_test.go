package bond

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// otherRelay is somebody else's: it listens to some of the publishers of a name,
// and passes on everything they send.
type otherRelay struct {
	t       *testing.T
	policy  Treatment
	unread  bool       // it lets its clients send nothing but control messages
	mu      sync.Mutex // guards what follows
	sources []*transport.Session
	seen    map[moqt.Location]bool
}

// session returns the client's end of a session with the relay.
func (r *otherRelay) session() *transport.Session {
	client, server := transporttest.Pipe(r.t, nil)
	var wg sync.WaitGroup
	wg.Go(func() {
		sess, err := transport.NewSession(r.t.Context(), server, nil)
		if err != nil {
			if r.t.Context().Err() == nil { // the test may be over before this end has begun
				r.t.Error(err)
			}
			return
		}
		wg.Go(func() { r.serve(sess) })
	})
	if r.unread {
		client = &stuckConn{Conn: client}
	}
	sess, err := transport.NewSession(r.t.Context(), client, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		sess.Close()
		wg.Wait()
	})
	return sess
}

func (r *otherRelay) serve(sess *transport.Session) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		req, err := sess.Accept(context.Background())
		if err != nil {
			return
		}
		switch req := req.(type) {
		case *transport.AnnounceRequest:
			r.mu.Lock()
			if r.policy == Refuses && len(r.sources) > 0 {
				req.Reject(moqt.RequestDuplicateSubscription, "there is one")
			} else {
				r.sources = append(r.sources, sess)
				req.Accept()
			}
			r.mu.Unlock()
		case *transport.SubscribeRequest:
			w, err := req.Accept(nil)
			if err != nil {
				continue
			}
			r.mu.Lock()
			from := r.sources
			r.mu.Unlock()
			switch r.policy {
			case OldestWins:
				from = from[:1]
			case NewestWins:
				from = from[1:]
			}
			for _, src := range from {
				wg.Go(func() { r.copy(w, src, req.Track) })
			}
		}
	}
}

func (r *otherRelay) copy(w *transport.TrackWriter, src *transport.Session, name moqt.TrackName) {
	rd, err := src.Subscribe(w.Context(), name, nil)
	if err != nil {
		return
	}
	defer rd.Close()
	for o, err := range rd.Objects(w.Context()) {
		if err != nil {
			return
		}
		r.mu.Lock()
		skip := r.policy == Merges && r.seen[o.Location]
		r.seen[o.Location] = true
		r.mu.Unlock()
		if skip {
			continue
		}
		// Each object on a stream of its own, and of a subgroup of its own.
		if sg, err := w.OpenSubgroup(w.Context(), moqt.Subgroup{Group: o.Group, ID: o.Object, First: true}); err == nil {
			o.Subgroup = o.Object
			sg.WriteObject(o)
			sg.Close()
		}
	}
}

// stuckConn is a connection whose peer gives no credit for streams but the first.
type stuckConn struct {
	transport.Conn
	opened atomic.Int64
}

func (c *stuckConn) OpenUniStream(ctx context.Context) (transport.SendStream, error) {
	st, err := c.Conn.OpenUniStream(ctx)
	if err == nil && c.opened.Add(1) > 1 {
		st = stuckStream{st, c}
	}
	return st, err
}

type stuckStream struct {
	transport.SendStream
	c *stuckConn
}

func (s stuckStream) Write([]byte) (int, error) {
	<-s.c.Context().Done()
	return 0, context.Cause(s.c.Context())
}

// TestProbeEnds probes a relay that subscribes and reads nothing.
func TestProbeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &otherRelay{t: t, policy: Merges, seen: make(map[moqt.Location]bool), unread: true}
		began := time.Now()
		got, err := Probe(t.Context(), r.session(), r.session(), r.session())
		if took := time.Since(began); took > probeTime || err == nil || got != Unknown {
			t.Errorf("Probe = %v, %v after %v, want an error within %v", got, err, took, probeTime)
		}
	})
}

// TestProbe has relays of each kind.
func TestProbe(t *testing.T) {
	for _, want := range []Treatment{Merges, Doubles, NewestWins, OldestWins, Refuses} {
		t.Run(want.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &otherRelay{t: t, policy: want, seen: make(map[moqt.Location]bool)}
				got, err := Probe(t.Context(), r.session(), r.session(), r.session())
				if got != want || err != nil {
					t.Errorf("Probe() = %v, %v, want %v", got, err, want)
				}
			})
		})
	}
}

func TestJudgeProbe(t *testing.T) {
	groups := func(times ...int) map[moqt.Location]int {
		seen := make(map[moqt.Location]int)
		for g, n := range times {
			for id := range uint64(probeObjects) {
				if n > 0 {
					seen[moqt.Location{Group: uint64(g), Object: id}] = n
				}
			}
		}
		return seen
	}
	for _, c := range []struct {
		seen map[moqt.Location]int
		want Treatment
	}{
		{groups(1, 1, 1, 1), Merges},
		{groups(2, 1, 1, 1), Doubles},
		{groups(1, 1, 0, 1), OldestWins},
		{groups(1, 0, 1, 1), NewestWins},
		{groups(), Unknown},
		{groups(1, 0, 0, 1), Unknown},
	} {
		if got, err := judgeProbe(c.seen); got != c.want || (err != nil) != (c.want == Unknown) {
			t.Errorf("judgeProbe(%v) = %v, %v, want %v", c.seen, got, err, c.want)
		}
	}
}
