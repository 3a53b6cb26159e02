package pub

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

var testNS = moqt.NS("live", "van")

// sessions returns the two ends of a session: that of a publisher and that of
// its relay.
func sessions(t *testing.T, o *transporttest.PipeOptions) (publisher, relay *transport.Session) {
	t.Helper()
	client, server := transporttest.Pipe(t, o)
	var wg sync.WaitGroup
	var err error
	wg.Go(func() { relay, err = transport.NewSession(t.Context(), server, nil) })
	publisher, cerr := transport.NewSession(t.Context(), client, nil)
	wg.Wait()
	if err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	t.Cleanup(func() {
		publisher.Close()
		relay.Close()
	})
	return publisher, relay
}

// served is a broadcast that is served on one session.
type served struct {
	relay *transport.Session
	ended chan error // what Serve returned
}

// serve serves b and takes its announcement at the other end.
func serve(t *testing.T, b *Broadcast, o *transporttest.PipeOptions) *served {
	t.Helper()
	publisher, relay := sessions(t, o)
	s := &served{relay: relay, ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ended <- b.Serve(ctx, publisher)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	s.accept(t)
	return s
}

// accept takes the announcement.
func (s *served) accept(t *testing.T) *transport.AnnounceRequest {
	t.Helper()
	req, err := s.relay.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a, ok := req.(*transport.AnnounceRequest)
	if !ok || a.Namespace != testNS {
		t.Fatalf("request %T, want the announcement of %v", req, testNS)
	}
	if err := a.Accept(); err != nil {
		t.Fatal(err)
	}
	return a
}

// join joins a track, back groups before the newest.
func (s *served) join(t *testing.T, name string, back uint64) (*transport.TrackReader, *transport.FetchReader) {
	t.Helper()
	tr, f, err := s.relay.Join(t.Context(), testNS.Track(name), back, nil)
	if err != nil {
		t.Fatalf("Join(%s) = %v", name, err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr, f
}

// fetched returns the locations that f brings.
func fetched(t *testing.T, f *transport.FetchReader) []moqt.Location {
	t.Helper()
	var got []moqt.Location
	for f != nil {
		o, err := f.ReadObject(t.Context())
		if err != nil {
			break
		}
		if string(o.Payload) != string(payload(o.Group, o.Object)) {
			t.Errorf("object %v = %q", o.Location, o.Payload)
		}
		got = append(got, o.Location)
	}
	return got
}

// collector reads the objects of a subscription.
type collector struct {
	mu  sync.Mutex
	got []moqt.Location
	err error
	end chan struct{}
}

func collect(t *testing.T, tr *transport.TrackReader) *collector {
	c := &collector{end: make(chan struct{})}
	go func() {
		defer close(c.end)
		for o, err := range tr.Objects(t.Context()) {
			c.mu.Lock()
			if c.err = err; err == nil {
				c.got = append(c.got, o.Location)
			}
			c.mu.Unlock()
		}
	}()
	return c
}

// String returns the locations in the order of ids: groups are streams of
// their own, and may overtake each other.
func (c *collector) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprint(slices.SortedFunc(slices.Values(c.got), moqt.Location.Compare))
}

func payload(group, object uint64) []byte {
	return fmt.Appendf(nil, "object %d of group %d", object, group)
}

// appendGroup publishes objects from..to-1 of a group.
func appendGroup(tr *Track, group, from, to uint64) {
	for id := from; id < to; id++ {
		tr.Append(group, payload(group, id))
	}
}
