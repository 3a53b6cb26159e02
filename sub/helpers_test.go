package sub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tributary-live/tributary/pub"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

var testNS = moqt.NS("live", "van")

// sessions returns the two ends of a session.
func sessions(t *testing.T) (subscriber, publisher *transport.Session) {
	t.Helper()
	client, server := transporttest.Pipe(t, nil)
	var wg sync.WaitGroup
	var err error
	wg.Go(func() { publisher, err = transport.NewSession(t.Context(), server, nil) })
	subscriber, cerr := transport.NewSession(t.Context(), client, nil)
	wg.Wait()
	if err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	t.Cleanup(func() {
		subscriber.Close()
		publisher.Close()
	})
	return subscriber, publisher
}

// serve has b answer on a session, as a relay would.
func serve(t *testing.T, b *pub.Broadcast) *transport.Session {
	t.Helper()
	subscriber, publisher := sessions(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Serve(ctx, publisher)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	req, err := subscriber.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	req.(*transport.AnnounceRequest).Accept()
	return subscriber
}

// writer is the publisher's side of one subscription, whose streams a test
// writes by hand.
type writer struct {
	t *testing.T
	w *transport.TrackWriter
}

// subscribe returns both sides of a subscription.
func subscribe(t *testing.T) (*transport.TrackReader, writer) {
	t.Helper()
	subscriber, publisher := sessions(t)
	accepted := make(chan *transport.TrackWriter, 1)
	go func() {
		req, err := publisher.Accept(t.Context())
		if err != nil {
			return
		}
		w, err := req.(*transport.SubscribeRequest).Accept(nil)
		if err != nil {
			t.Error(err)
		}
		accepted <- w
	}()
	tr, err := subscriber.Subscribe(t.Context(), testNS.Track("video"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return tr, writer{t, <-accepted}
}

// open opens a stream and writes objects of a group.
func (w writer) open(group uint64, objects ...uint64) *transport.SubgroupWriter {
	w.t.Helper()
	sg, err := w.w.OpenSubgroup(w.t.Context(), moqt.Subgroup{Group: group, DefaultPriority: true, First: objects[0] == 0, EndOfGroup: true})
	if err != nil {
		w.t.Fatal(err)
	}
	w.add(sg, objects...)
	return sg
}

// alone opens a stream of a subgroup of its own and writes its object.
func (w writer) alone(group, object uint64) *transport.SubgroupWriter {
	w.t.Helper()
	sg, err := w.w.OpenSubgroup(w.t.Context(), moqt.Subgroup{Group: group, ID: object, DefaultPriority: true, First: true})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := sg.WriteObject(moqt.Object{Location: moqt.Location{Object: object}, Subgroup: object, Payload: fmt.Append(nil, object)}); err != nil {
		w.t.Fatal(err)
	}
	return sg
}

func (w writer) add(sg *transport.SubgroupWriter, objects ...uint64) {
	w.t.Helper()
	for _, id := range objects {
		if err := sg.WriteObject(moqt.Object{Location: moqt.Location{Object: id}, Payload: fmt.Append(nil, id)}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// follower follows a subscription and keeps what it gives.
type follower struct {
	mu   sync.Mutex
	got  []moqt.Location
	done chan error
}

func follow(t *testing.T, tr *transport.TrackReader) *follower {
	f := &follower{done: make(chan error, 1)}
	o := order{take: func(o moqt.Object) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.got = append(f.got, o.Location)
		return nil
	}}
	go func() { f.done <- o.follow(t.Context(), tr) }()
	return f
}

func (f *follower) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprint(f.got)
}

// transportOnce returns a dial function that succeeds once.
func transportOnce(s *transport.Session) func(context.Context) (*transport.Session, error) {
	dialled := false
	return func(context.Context) (*transport.Session, error) {
		if dialled {
			return nil, errors.New("dialled again")
		}
		dialled = true
		return s, nil
	}
}
