package relay_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// A publisher that offers a track in the middle of a group is asked for the head of
// the group, whether the track was wanted before or is later: whoever comes then
// gets it in one piece, and the publisher is not asked again.
func TestMustFetchTheHeadOfPublishedTracks(t *testing.T) {
	for _, v := range []moqt.Version{moqt.Draft16, moqt.Draft18, moqt.Draft21} {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("draft-%d/waits=%v", v, first), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRelay(t, relay.Config{})
					watch := func(rendezvous time.Duration) *transport.TrackReader {
						tr, err := connect(t, r, nil).Subscribe(t.Context(), track, &transport.SubscribeOptions{
							Rendezvous: rendezvous, Filter: moqt.Filter{Kind: moqt.FilterAbsoluteStart, Start: at2(0, 0)}})
						if err != nil {
							t.Error(err)
						}
						return tr
					}
					viewer := make(chan *transport.TrackReader, 1)
					if first {
						go func() { viewer <- watch(10 * time.Second) }()
						synctest.Wait()
					}
					a := &archive{groups: 1, perGroup: 3}
					up := connectIn(t, r, v)
					go a.serve(up)
					w, err := up.Publish(t.Context(), track, &transport.PublishOptions{Largest: a.largest})
					if err != nil {
						t.Fatal(err)
					}
					if !first {
						synctest.Wait()
						if n := a.fetches.Load(); n != 0 {
							t.Errorf("the publisher was asked %d times for what nobody wants", n)
						}
						viewer <- watch(0)
					}
					synctest.Wait()
					sg, err := w.OpenSubgroup(t.Context(), moqt.Subgroup{DefaultPriority: true})
					if err != nil {
						t.Fatal(err)
					}
					for id := uint64(3); id < 6; id++ {
						if err := sg.WriteObject(moqt.Object{Location: at2(0, id), Payload: payload(0, id)}); err != nil {
							t.Fatal(err)
						}
					}
					sg.Close()
					for _, tr := range []*transport.TrackReader{<-viewer, watch(0)} {
						if tr == nil {
							t.FailNow() // it has been told why
						}
						got, err := tr.AcceptSubgroup(t.Context())
						if err != nil {
							t.Fatal(err)
						}
						var ids []uint64
						for {
							o, err := got.ReadObject()
							if err != nil {
								break
							}
							ids = append(ids, o.Object)
						}
						if fmt.Sprint(ids) != "[0 1 2 3 4 5]" {
							t.Errorf("objects %v came on one stream, want 0 to 5", ids)
						}
					}
					if n := a.fetches.Load(); n != 1 {
						t.Errorf("the publisher was asked %d times for the past, want once", n)
					}
				})
			})
		}
	}
}
