package transport_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

func TestDatagrams(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		for _, way := range [][2]*transport.Session{{c, s}, {s, c}} {
			r, w := subscribed(t, way[0], way[1], &transport.SubscribeOptions{Filter: moqt.Filter{Kind: moqt.FilterAbsoluteStart, Start: at(1, 1)}},
				&transport.PublishOptions{Properties: moqt.Properties{{Type: moqt.PropDefaultPriority, Value: 40}}})
			sent := []moqt.Object{
				{Location: at(1, 1), Priority: 3, Payload: []byte("a")},
				{Location: at(2, 0), Priority: 40, Payload: []byte{}},
				{Location: at(2, 1), Priority: 40, Properties: moqt.Properties{{Type: 0x3e, Value: 1}}, Payload: []byte("b")},
				{Location: at(2, 2), Priority: 40, Status: moqt.StatusEndOfGroup, Payload: []byte{}},
			}
			if err := w.SendDatagram(moqt.Object{Location: at(1, 0)}); err != nil { // not wanted
				t.Errorf("SendDatagram() = %v", err)
			}
			for _, o := range sent {
				if err := w.SendDatagram(o); err != nil {
					t.Errorf("SendDatagram(%v) = %v", o.Location, err)
				}
				o.Datagram = true
				got, err := r.ReceiveDatagram(t.Context())
				if err != nil || !reflect.DeepEqual(got, o) {
					t.Errorf("ReceiveDatagram() = %+v, %v, want %+v", got, err, o)
				}
			}
			if err := w.SendDatagram(moqt.Object{Location: at(3, 0), Payload: make([]byte, 20_000)}); err == nil {
				t.Error("SendDatagram() of 20,000 bytes succeeded")
			}
			if err := w.SendDatagram(moqt.Object{Status: moqt.StatusEndOfTrack, Location: at(4, 0), Payload: []byte("x")}); err == nil {
				t.Error("SendDatagram() of a status with a payload succeeded")
			}
			if l, ok := w.Largest(); !ok || l != at(4, 0) {
				t.Errorf("Largest() = %v, %v, want 4/0", l, ok)
			}
			w.Close()
			if err := w.SendDatagram(moqt.Object{Location: at(5, 0)}); err != nil {
				t.Errorf("SendDatagram() after Close = %v, want it dropped", err)
			}
			if _, err := r.ReceiveDatagram(t.Context()); !errors.Is(err, &transport.TrackDone{Code: moqt.DoneTrackEnded}) {
				t.Errorf("ReceiveDatagram() = %v, want the end of the track", err)
			}
			r.Close()
		}
	})
}

// TestDatagramsAtTheEnd ends a track right after its last datagram.
func TestDatagramsAtTheEnd(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		c, s := setup(t, a, b, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		w.SendDatagram(moqt.Object{Payload: []byte("first")})
		n := 0
		for o, err := range r.Objects(t.Context()) {
			if err != nil || o.Object != uint64(n) || !o.Datagram {
				t.Fatalf("Objects = %+v, %v, want datagram %d", o, err, n)
			}
			if n++; n == 1 {
				for i := range 20 {
					w.SendDatagram(moqt.Object{Location: at(0, uint64(1+i))})
				}
				w.Close()
			}
		}
		if n != 21 {
			t.Errorf("%d datagrams, want 21", n)
		}
	})
}

// TestDatagramsNobodyTakes keeps the newest.
func TestDatagramsNobodyTakes(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		c, s := pipeOf(t, v, nil, nil)
		r, w := subscribed(t, c, s, nil, nil)
		for i := range 1000 {
			if err := w.SendDatagram(moqt.Object{Location: at(0, uint64(i)), Payload: fmt.Append(nil, i)}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		o, err := r.ReceiveDatagram(t.Context())
		if err != nil || o.Object != 1000-128 {
			t.Errorf("ReceiveDatagram() = %v, %v, want the oldest of the last 128", o.Location, err)
		}
		for range 127 {
			o, err = r.ReceiveDatagram(t.Context())
		}
		if err != nil || string(o.Payload) != "999" {
			t.Errorf("ReceiveDatagram() = %q, %v, want the last", o.Payload, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.ReceiveDatagram(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ReceiveDatagram() = %v, want the context's error", err)
		}
	})
}
