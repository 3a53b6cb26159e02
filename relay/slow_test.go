package relay_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// TestOvertaken has two groups overtake one of which a subscriber has not read
// all. It is given up if that has been so for a while, not if the groups came at
// once.
func TestOvertaken(t *testing.T) {
	for _, tt := range []struct {
		name string
		wait time.Duration
		want error
	}{
		{"burst", 0, io.EOF},
		{"slow", 100 * time.Millisecond, &transport.StreamError{Code: moqt.StreamTooFarBehind}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t, relay.Config{})
				p := publish(t, connect(t, r, nil), track)
				p.pad = 60 << 10 // a second object is more than a pipe holds
				rd, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				for id := range uint64(3) {
					p.write(0, id)
				}
				synctest.Wait()
				time.Sleep(tt.wait)
				for g := range uint64(3) { // the last ends the one before
					p.write(1+g, 0)
					synctest.Wait()
				}
				ends := make(map[uint64]error)
				for len(ends) < 3 {
					sg, err := rd.AcceptSubgroup(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if sg.Header().Group == 3 {
						continue
					}
					for err == nil {
						_, err = sg.ReadObject()
					}
					ends[sg.Header().Group] = err
				}
				if !errors.Is(ends[0], tt.want) {
					t.Errorf("group 0 ended with %v, want %v", ends[0], tt.want)
				}
				if ends[1] != io.EOF || ends[2] != io.EOF {
					t.Errorf("groups 1 and 2 ended with %v and %v, want EOF", ends[1], ends[2])
				}
			})
		})
	}
}
