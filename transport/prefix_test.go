package transport_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// TestSetPrefix changes the prefix of a watched namespace: what was told is gone, what
// comes then is read with the new prefix, also what comes right behind the answer.
func TestSetPrefix(t *testing.T) {
	for _, v := range []moqt.Version{moqt.Draft18, moqt.Draft22} {
		synctest.Test(t, func(t *testing.T) {
			c, s := pipeOf(t, v, nil, nil)
			go func() {
				req, err := s.Accept(context.Background())
				if err != nil {
					return
				}
				watch := req.(*transport.WatchRequest)
				updates := watch.PrefixUpdates()
				w, err := watch.Accept()
				if err != nil {
					t.Error(err)
					return
				}
				w.Add(moqt.NS("a", "x"))
				u := <-updates
				if u.Prefix != moqt.NS("b") {
					t.Errorf("the new prefix is %v, want b", u.Prefix)
				}
				if err := u.Accept(); err != nil {
					t.Error(err)
				}
				if u.Accept() == nil {
					t.Error("an update can be accepted twice")
				}
				w.Add(moqt.NS("b", "y"))
				if w.Add(moqt.NS("a", "z")) == nil {
					t.Error("a namespace under the old prefix can be told")
				}
				(<-updates).Reject(moqt.RequestUnauthorized, "not this one")
			}()
			n, err := c.WatchNamespaces(t.Context(), moqt.NS("a"))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if err := n.SetPrefix(t.Context(), moqt.NS("b")); err != nil {
				t.Fatal(err)
			}
			var got []string
			for range 3 {
				e, err := n.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprintf("%s %v", e.Namespace.Slashed(), e.Gone))
			}
			if want := "[a/x false a/x true b/y false]"; fmt.Sprint(got) != want {
				t.Errorf("draft-%d: told %v, want %s", v, got, want)
			}
			var re *transport.RequestError
			if err := n.SetPrefix(t.Context(), moqt.NS("c")); !errors.As(err, &re) || re.Code != moqt.RequestUnauthorized {
				t.Errorf("draft-%d: SetPrefix() = %v, want UNAUTHORIZED", v, err)
			}
			if e, err := n.Next(t.Context()); err != nil || !e.Gone {
				t.Errorf("draft-%d: after a refusal: %v, %v, want the namespace gone", v, e, err)
			}
			if _, err := n.Next(t.Context()); err == nil {
				t.Errorf("draft-%d: the request goes on after a refusal", v)
			}
		})
	}
}

// TestSetPrefixRefused has updates refused that overlap with another request, that
// nobody takes, or that the draft does not know.
func TestSetPrefixRefused(t *testing.T) {
	for _, tt := range []struct {
		version moqt.Version
		takes   bool
		to      moqt.Namespace
		want    moqt.RequestCode
		known   bool
	}{
		{moqt.Draft18, true, moqt.NS("other", "one"), moqt.RequestPrefixOverlap, true},
		{moqt.Draft21, true, moqt.NS(), moqt.RequestPrefixOverlap, true},
		{moqt.Draft21, false, moqt.NS("b"), moqt.RequestNotSupported, true},
		{moqt.Draft16, true, moqt.NS("b"), 0, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, s := pipeOf(t, tt.version, nil, nil)
			go func() {
				for {
					req, err := s.Accept(context.Background())
					if err != nil {
						return
					}
					r := req.(*transport.TracksRequest)
					if tt.takes {
						r.PrefixUpdates()
					}
					r.Accept()
				}
			}()
			if _, err := c.SubscribeTracks(t.Context(), moqt.NS("other"), nil); err != nil {
				t.Fatal(err)
			}
			tr, err := c.SubscribeTracks(t.Context(), moqt.NS("a"), nil)
			if err != nil {
				t.Fatal(err)
			}
			err = tr.SetPrefix(t.Context(), tt.to)
			var re *transport.RequestError
			if errors.As(err, &re) != tt.known || tt.known && re.Code != tt.want || err == nil {
				t.Errorf("draft-%d, to %v: SetPrefix() = %v, want %v", tt.version, tt.to, err, tt.want)
			}
			synctest.Wait()
			if ended := tr.Context().Err() != nil; ended != tt.known {
				t.Errorf("draft-%d, to %v: the request has ended: %v, want %v", tt.version, tt.to, ended, tt.known)
			}
		})
	}
}
