package transport_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// overSlow runs test in a bubble over a link of 1 Mbit/s, by QUIC and by
// WebTransport.
func overSlow(t *testing.T, test func(t *testing.T, link *netsim.Link, c, s *transport.Session)) {
	for name, pair := range map[string]func(t testing.TB, link *netsim.Link, versions ...moqt.Version) (client, server transport.Conn){
		"quic": transporttest.QUICPair, "webtransport": transporttest.WebTransportPair,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				link := netsim.New(t).Link(netsim.Rate(netsim.Mbit), netsim.Delay(10*time.Millisecond))
				a, b := pair(t, link)
				c, s := setup(t, a, b, nil, nil)
				test(t, link, c, s)
			})
		})
	}
}

var errTimedOut = &transport.StreamError{Code: moqt.StreamDeliveryTimeout}

// TestObjectDeliveryTimeout sends an object that takes far longer than its
// timeout.
func TestObjectDeliveryTimeout(t *testing.T) {
	const limit = 500 * time.Millisecond
	track := &transport.PublishOptions{Properties: moqt.Properties{{Type: moqt.PropObjectDeliveryTimeout, Value: uint64(limit.Milliseconds())}}}
	for _, tt := range []struct {
		name string
		so   *transport.SubscribeOptions
		po   *transport.PublishOptions
		made time.Duration // before it is written
		want time.Duration // until it is given up
	}{
		{"the subscriber's", &transport.SubscribeOptions{ObjectTimeout: limit}, nil, 0, limit},
		{"the publisher's", nil, track, 0, limit},
		{"the smaller one", &transport.SubscribeOptions{ObjectTimeout: time.Minute}, track, 0, limit},
		{"from when it was made", nil, track, 400 * time.Millisecond, 100 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			overSlow(t, func(t *testing.T, _ *netsim.Link, c, s *transport.Session) {
				r, w := subscribed(t, c, s, tt.so, tt.po)
				out := open(t, w, moqt.Subgroup{First: true})
				put(t, out, 0)
				in := next(t, r)
				start := time.Now()
				big := moqt.Object{Location: at(0, 1), Payload: make([]byte, 1<<20), Received: start.Add(-tt.made)}
				if err := out.WriteObject(big); !errors.Is(err, errTimedOut) {
					t.Fatalf("WriteObject() = %v, want DELIVERY_TIMEOUT", err)
				}
				if took := time.Since(start); took < tt.want || took > tt.want+50*time.Millisecond {
					t.Errorf("WriteObject() took %v, want %v", took, tt.want)
				}
				wantRest(t, in, errTimedOut, 0)
				// The subgroup is over, for new streams as well.
				if err := out.WriteObject(moqt.Object{Location: at(0, 2)}); !errors.Is(err, errTimedOut) {
					t.Errorf("WriteObject() after the timeout = %v", err)
				}
				if _, err := w.OpenSubgroup(t.Context(), moqt.Subgroup{}); !errors.Is(err, errTimedOut) {
					t.Errorf("OpenSubgroup() of the same subgroup = %v, want DELIVERY_TIMEOUT", err)
				}
				other := open(t, w, moqt.Subgroup{ID: 1, First: true})
				put(t, other, 1, 2)
				other.Close()
				wantRest(t, next(t, r), io.EOF, 1, 2)
				w.Close()
				if _, err := r.AcceptSubgroup(t.Context()); !errors.Is(err, &transport.TrackDone{Code: moqt.DoneTrackEnded}) {
					t.Errorf("AcceptSubgroup() = %v, want the end of the track", err)
				}
			})
		})
	}
}

// TestOldObjectIsNotSent gives up a subgroup whose first object is too old, and
// one whose object grows too slowly.
func TestOldObjectIsNotSent(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, &transport.SubscribeOptions{ObjectTimeout: time.Second}, nil)
		old := open(t, w, moqt.Subgroup{First: true})
		if err := old.WriteObject(moqt.Object{Received: time.Now().Add(-time.Second - time.Millisecond)}); !errors.Is(err, errTimedOut) {
			t.Errorf("WriteObject() of an old object = %v, want DELIVERY_TIMEOUT", err)
		}
		slow := open(t, w, moqt.Subgroup{Group: 1, First: true})
		put(t, slow, 0)
		in := next(t, r) // nothing is seen of group 0
		if o, err := in.ReadObject(); err != nil || in.Header().Group != 1 || o.Object != 0 {
			t.Errorf("ReadObject() = %v, %v of group %d, want object 0 of group 1", o.Location, err, in.Header().Group)
		}
		payload, err := slow.StartObject(moqt.Object{Location: at(1, 1)}, 4)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			time.Sleep(350 * time.Millisecond)
			_, err = payload.Write([]byte("x"))
			if late := i >= 2; late != errors.Is(err, errTimedOut) {
				t.Errorf("Write() of byte %d = %v", i, err)
			}
		}
		wantRest(t, in, errTimedOut)
		if v := c.Version(); v == moqt.Draft16 {
			return // it has no way to take a timeout back
		}
		// A subscriber may think better of it.
		none := time.Duration(0)
		if err := r.Update(t.Context(), transport.SubscribeUpdate{ObjectTimeout: &none}); err != nil {
			t.Fatal(err)
		}
		fine := open(t, w, moqt.Subgroup{Group: 2, First: true})
		if err := fine.WriteObject(moqt.Object{Payload: []byte("0"), Received: time.Now().Add(-time.Hour)}); err != nil {
			t.Errorf("WriteObject() without a timeout = %v", err)
		}
		fine.Close()
		wantRest(t, next(t, r), io.EOF, 0)
	})
}

// TestSubgroupDeliveryTimeout cuts the link when all of a subgroup was written
// but not all of it has arrived.
func TestSubgroupDeliveryTimeout(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit time.Duration
		dark  time.Duration
		want  error
	}{
		{"late", 300 * time.Millisecond, 2 * time.Second, errTimedOut},
		{"in time", 10 * time.Second, 2 * time.Second, io.EOF},
		{"no limit", 0, 2 * time.Second, io.EOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			overSlow(t, func(t *testing.T, link *netsim.Link, c, s *transport.Session) {
				r, w := subscribed(t, c, s, &transport.SubscribeOptions{SubgroupTimeout: tt.limit}, nil)
				out := open(t, w, moqt.Subgroup{First: true})
				put(t, out, 0)
				in := next(t, r)
				link.Blackout(tt.dark)
				put(t, out, 1)
				if err := out.Close(); err != nil {
					t.Fatal(err)
				}
				ids, err := rest(t, in)
				if !errors.Is(err, tt.want) || tt.want == io.EOF && len(ids) != 2 {
					t.Errorf("the subgroup ended with %v after %v, want %v", err, ids, tt.want)
				}
			})
		})
	}
}

// TestCompleteSubgroup ends a subgroup that is known to be complete while its
// objects still wait for the network.
func TestCompleteSubgroup(t *testing.T) {
	overSlow(t, func(t *testing.T, _ *netsim.Link, c, s *transport.Session) {
		_, w := subscribed(t, c, s, nil, &transport.PublishOptions{Properties: moqt.Properties{{Type: moqt.PropSubgroupDeliveryTimeout, Value: 500}}})
		out := open(t, w, moqt.Subgroup{First: true})
		if _, limit := out.Timeouts(); limit != 500*time.Millisecond {
			t.Errorf("Timeouts() = %v, want 500ms", limit)
		}
		start := time.Now()
		out.Complete(start.Add(-200 * time.Millisecond))
		out.Complete(start) // the first one counts
		if err := out.WriteObject(moqt.Object{Payload: make([]byte, 1<<20)}); !errors.Is(err, errTimedOut) {
			t.Errorf("WriteObject() = %v, want DELIVERY_TIMEOUT", err)
		}
		if took := time.Since(start); took < 300*time.Millisecond || took > 350*time.Millisecond {
			t.Errorf("it was given up after %v, want 300ms", took)
		}
		if err := out.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		// Who cancels in time is not told of a timeout later.
		other := open(t, w, moqt.Subgroup{ID: 1, First: true})
		other.Complete(time.Now())
		put(t, other, 1)
		other.Cancel(moqt.StreamTooFarBehind)
		time.Sleep(time.Second)
		if err := other.WriteObject(moqt.Object{Location: at(0, 2)}); !errors.Is(err, &transport.StreamError{Code: moqt.StreamTooFarBehind}) {
			t.Errorf("WriteObject() after Cancel = %v, want TOO_FAR_BEHIND", err)
		}
	})
}

// TestTimeoutWhileNoStreamIsAllowed has the timeout come while the subscriber
// lets no further stream be opened.
func TestTimeoutWhileNoStreamIsAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := transporttest.Pipe(t, &transporttest.PipeOptions{MaxUniStreams: 1})
		c, s := setup(t, a, b, nil, nil)
		_, w := subscribed(t, c, s, &transport.SubscribeOptions{ObjectTimeout: time.Second}, nil)
		start := time.Now()
		out := open(t, w, moqt.Subgroup{First: true})
		if err := out.WriteObject(moqt.Object{}); !errors.Is(err, errTimedOut) || time.Since(start) != time.Second {
			t.Errorf("WriteObject() = %v after %v, want DELIVERY_TIMEOUT after 1s", err, time.Since(start))
		}
	})
}

func TestOldDatagramIsDropped(t *testing.T) {
	for name, so := range map[string]*transport.SubscribeOptions{
		"object timeout": {ObjectTimeout: time.Second}, "subgroup timeout": {SubgroupTimeout: time.Second}, "the smaller": {ObjectTimeout: time.Hour, SubgroupTimeout: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := pipe(t, nil, nil)
				r, w := subscribed(t, c, s, so, nil)
				now := time.Now()
				for i, made := range []time.Time{{}, now.Add(-time.Second), now.Add(-time.Second - 1), now} {
					if err := w.SendDatagram(moqt.Object{Location: at(0, uint64(i)), Received: made}); err != nil {
						t.Errorf("SendDatagram(%d) = %v", i, err)
					}
				}
				for _, want := range []uint64{0, 1, 3} {
					if o, err := r.ReceiveDatagram(t.Context()); err != nil || o.Object != want {
						t.Errorf("ReceiveDatagram() = %v, %v, want object %d", o.Location, err, want)
					}
				}
			})
		})
	}
}

// TestDoneWaitsForTimeouts keeps a subscription as long as late streams may
// still come.
func TestDoneWaitsForTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := against(t, nil, nil)
		wait := async(func() (*transport.TrackReader, error) {
			return s.Subscribe(t.Context(), clock, &transport.SubscribeOptions{ObjectTimeout: 20 * time.Second})
		})
		st := p.subscribedTo(7)
		r, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		p.write(st, p.bytes(&wire.PublishDone{Code: moqt.DoneTrackEnded, Streams: 1}))
		if _, err := r.AcceptSubgroup(t.Context()); !errors.Is(err, &transport.TrackDone{Code: moqt.DoneTrackEnded}) || time.Since(start) < 20*time.Second {
			t.Errorf("AcceptSubgroup() = %v after %v, want it to wait 20s for the stream", err, time.Since(start))
		}
	})
}
