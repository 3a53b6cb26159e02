package relay_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// A prefix that is updated counts from then on: namespaces are told anew, relative to
// it, and the tracks under it are published; those of before go on.
func TestMustFollowANewPrefix(t *testing.T) {
	for _, v := range []moqt.Version{moqt.Draft18, moqt.Draft21} {
		synctest.Test(t, func(t *testing.T) {
			r := newRelay(t, relay.Config{MaxMatches: 2})
			up := connect(t, r, nil)
			for _, ns := range []moqt.Namespace{moqt.NS("a", "1"), moqt.NS("b", "1"), moqt.NS("b", "2")} {
				if _, err := up.Announce(t.Context(), ns); err != nil {
					t.Fatal(err)
				}
			}
			viewer := connectIn(t, r, v)
			names, err := viewer.WatchNamespaces(t.Context(), moqt.NS("a"))
			if err != nil {
				t.Fatal(err)
			}
			told := func(n int) (list []string) {
				for range n {
					e, err := names.Next(t.Context())
					if err != nil {
						return append(list, err.Error())
					}
					sign := "+"
					if e.Gone {
						sign = "-"
					}
					list = append(list, sign+e.Namespace.Slashed())
				}
				slices.Sort(list)
				return list
			}
			if got := told(1); fmt.Sprint(got) != "[+a/1]" {
				t.Errorf("draft-%d: told %v, want a/1", v, got)
			}
			if err := names.SetPrefix(t.Context(), moqt.NS("b")); err != nil {
				t.Fatal(err)
			}
			if got := told(3); fmt.Sprint(got) != "[+b/1 +b/2 -a/1]" {
				t.Errorf("draft-%d: told %v, want b/1 and b/2 in place of a/1", v, got)
			}
			if _, err := up.Announce(t.Context(), moqt.NS("a", "2")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if err := names.SetPrefix(t.Context(), moqt.NS()); codeOf(err) != moqt.RequestNamespaceTooLarge {
				t.Errorf("draft-%d: a prefix of everything: %v, want NAMESPACE_TOO_LARGE", v, err)
			}

			tracks, err := viewer.SubscribeTracks(t.Context(), moqt.NS("a"), nil)
			if err != nil {
				t.Fatal(err)
			}
			published := make(chan string, 8)
			go func() {
				for {
					req, err := viewer.Accept(context.Background())
					if err != nil {
						return
					}
					if p, ok := req.(*transport.PublishRequest); ok {
						p.Accept(nil)
						published <- p.Track.Namespace.Slashed()
					}
				}
			}()
			offer := func(ns moqt.Namespace) {
				if _, err := up.Publish(t.Context(), ns.Track("t"), nil); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			offer(moqt.NS("a", "1"))
			offer(moqt.NS("b", "1"))
			if err := tracks.SetPrefix(t.Context(), moqt.NS("b")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			offer(moqt.NS("a", "2"))
			offer(moqt.NS("b", "2"))
			var got []string
			for len(published) > 0 {
				got = append(got, <-published)
			}
			if fmt.Sprint(got) != "[a/1 b/1 b/2]" {
				t.Errorf("draft-%d: tracks of %v were published, want a/1, then b/1 and b/2", v, got)
			}
		})
	}
}
