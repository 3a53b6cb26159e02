package relay_test

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// eachPair runs test in a bubble for each pair of drafts of a publisher and a
// subscriber.
func eachPair(t *testing.T, test func(t *testing.T, pub, sub moqt.Version)) {
	for _, pub := range transport.Versions() {
		for _, sub := range transport.Versions() {
			t.Run(fmt.Sprintf("%d to %d", pub, sub), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { test(t, pub, sub) })
			})
		}
	}
}

// readAll reads a fetch to its end and a subscription to its own, and returns
// where the objects are, in order.
func readAll(t *testing.T, tr *transport.TrackReader, f *transport.FetchReader) []string {
	t.Helper()
	var list []moqt.Location
	take := func(o moqt.Object) {
		if want := payload(o.Group, o.Location.Object); string(o.Payload) != string(want) {
			t.Errorf("object %v = %q, want %q", o.Location, o.Payload, want)
		}
		list = append(list, o.Location)
	}
	for f != nil {
		o, err := f.ReadObject(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Errorf("ReadObject() of what came before = %v", err)
			break
		}
		take(o)
	}
	for o, err := range tr.Objects(t.Context()) {
		if err != nil {
			t.Errorf("the track ended with %v", err)
			break
		}
		take(o)
	}
	slices.SortFunc(list, moqt.Location.Compare)
	var names []string
	for _, l := range list {
		names = append(names, l.String())
	}
	return names
}

// written is where the first n objects of each of the groups are.
func written(n uint64, groups ...uint64) (names []string) {
	for _, g := range groups {
		for id := range n {
			names = append(names, moqt.Location{Group: g, Object: id}.String())
		}
	}
	return names
}

// TestDraftsJoin joins the running group of a publisher of another draft,
// through the relay: every object comes once.
func TestDraftsJoin(t *testing.T) {
	eachPair(t, func(t *testing.T, pv, sv moqt.Version) {
		r := newRelay(t, relay.Config{})
		p := publish(t, connectIn(t, r, pv), track)
		for id := range uint64(4) {
			p.write(3, id)
		}
		// The first subscriber makes the relay ask for the track, the second is
		// served from what that holds.
		var readers []*transport.TrackReader
		var fetches []*transport.FetchReader
		for range 2 {
			tr, f, err := connectIn(t, r, sv).Join(t.Context(), track, 0, nil)
			if err != nil {
				t.Fatalf("Join() = %v", err)
			}
			if f == nil {
				t.Fatal("Join() has nothing of the past")
			}
			readers, fetches = append(readers, tr), append(fetches, f)
			synctest.Wait()
		}
		for id := uint64(4); id < 6; id++ {
			p.write(3, id)
		}
		for id := range uint64(6) {
			p.write(4, id)
		}
		synctest.Wait()
		p.end()
		for i, tr := range readers {
			if got, want := readAll(t, tr, fetches[i]), written(6, 3, 4); !slices.Equal(got, want) {
				t.Errorf("subscriber %d has %v, want %v", i, got, want)
			}
		}
	})
}

// TestDraftsFetch fetches a range of the past of a publisher of another draft.
func TestDraftsFetch(t *testing.T) {
	eachPair(t, func(t *testing.T, pv, sv moqt.Version) {
		r := newRelay(t, relay.Config{})
		p := publish(t, connectIn(t, r, pv), track)
		for id := range uint64(6) {
			p.write(3, id)
		}
		sub := connectIn(t, r, sv)
		for _, order := range []moqt.GroupOrder{moqt.Ascending, moqt.Descending} {
			for _, tt := range []struct {
				r    transport.Range
				want int
			}{
				{transport.Range{Start: moqt.Location{Group: 3, Object: 1}, End: moqt.Location{Group: 3, Object: 3}}, 3},
				{transport.Range{Start: moqt.Location{Group: 3}, End: moqt.Location{Group: 3, Object: moqt.WholeGroup}}, 6},
			} {
				f, err := sub.Fetch(t.Context(), track, tt.r, &transport.FetchOptions{Order: order})
				if err != nil {
					t.Fatalf("Fetch(%v) = %v", tt.r, err)
				}
				n := 0
				for ; ; n++ {
					if _, err = f.ReadObject(t.Context()); err != nil {
						break
					}
				}
				if n != tt.want || err != io.EOF {
					t.Errorf("Fetch(%v) has %d objects and %v, want %d", tt.r, n, err, tt.want)
				}
			}
		}
	})
}

// TestDraftsPublish offers a track by PUBLISH to the relay, which offers it to
// somebody who wants all tracks; he holds it back first.
func TestDraftsPublish(t *testing.T) {
	eachPair(t, func(t *testing.T, pv, sv moqt.Version) {
		r := newRelay(t, relay.Config{})
		pub, sub := connectIn(t, r, pv), connectIn(t, r, sv)
		if _, err := sub.SubscribeTracks(t.Context(), track.Namespace, nil); err != nil {
			t.Fatal(err)
		}
		offered := make(chan *transport.TrackReader)
		go func() {
			req, err := sub.Accept(t.Context())
			if err != nil {
				t.Error(err)
				close(offered)
				return
			}
			tr, err := req.(*transport.PublishRequest).Accept(nil)
			if err != nil {
				t.Error(err)
			}
			offered <- tr
		}()
		w, err := pub.Publish(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		tr := <-offered
		synctest.Wait() // forward goes through
		if !w.State().Forward {
			t.Error("the publisher is not asked to send")
		}
		for _, id := range []uint64{1, 2} {
			g, err := w.OpenGroup(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			for o := range uint64(3) {
				if err := g.WriteObject(moqt.Object{Location: moqt.Location{Object: o}, Payload: payload(id, o)}); err != nil {
					t.Fatal(err)
				}
			}
			g.Close()
		}
		w.Close()
		if got, want := readAll(t, tr, nil), written(3, 1, 2); !slices.Equal(got, want) {
			t.Errorf("subscriber has %v, want %v", got, want)
		}
	})
}

// TestDraftsFirstObject checks that a group which a subscriber gets from its
// first object says so, where its draft can, whether the publisher's can or not:
// some players take no other.
func TestDraftsFirstObject(t *testing.T) {
	eachPair(t, func(t *testing.T, pv, sv moqt.Version) {
		r := newRelay(t, relay.Config{})
		p := publish(t, connectIn(t, r, pv), track)
		synctest.Wait()
		tr, err := connectIn(t, r, sv).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		profile, _ := wire.ProfileFor(sv)
		for group := range uint64(3) {
			p.write(group, 0)
			p.write(group, 1)
			sg, err := tr.AcceptSubgroup(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if h := sg.Header(); h.Group != group || h.First != profile.FirstObjectBit() {
				t.Errorf("Header() = %+v, want group %d, First: %v", h, group, profile.FirstObjectBit())
			}
		}
	})
}
