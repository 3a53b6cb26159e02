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

// TestDeliveryTimeouts has a subscriber that reads nothing until a timeout has
// passed, beside one that reads all. What the first gets late is given up, from
// the time at which the relay got it on; the other loses nothing.
func TestDeliveryTimeouts(t *testing.T) {
	const limit = 2 * time.Second
	for _, tt := range []struct {
		name  string
		o     transport.SubscribeOptions
		sleep time.Duration // before the subscriber reads
		want  error
		count int // objects it gets of the first group
	}{
		{"object, late", transport.SubscribeOptions{ObjectTimeout: limit}, limit + time.Millisecond, errDelivery, 0},
		{"object, in time", transport.SubscribeOptions{ObjectTimeout: limit}, limit - time.Millisecond, io.EOF, 3},
		// The group ends a second after its objects.
		{"subgroup, late", transport.SubscribeOptions{SubgroupTimeout: limit}, time.Second + limit + time.Millisecond, errDelivery, 0},
		{"subgroup, in time", transport.SubscribeOptions{SubgroupTimeout: limit}, time.Second + limit - time.Millisecond, io.EOF, 3},
		{"none", transport.SubscribeOptions{}, time.Minute, io.EOF, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t, relay.Config{})
				p := publish(t, connect(t, r, nil), track)
				p.pad = 60 << 10 // a second object is more than a pipe holds
				eager, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
				if err != nil {
					t.Fatal(err)
				}
				all := collect(eager)
				slow, err := connect(t, r, nil).Subscribe(t.Context(), track, &tt.o)
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				for id := range uint64(3) {
					p.write(0, id)
				}
				go func() {
					time.Sleep(time.Second)
					p.write(1, 0)
				}()
				time.Sleep(tt.sleep)
				sg, err := slow.AcceptSubgroup(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				n := 0
				for ; err == nil; n++ {
					_, err = sg.ReadObject()
				}
				if n--; !errors.Is(err, tt.want) || n != tt.count {
					t.Errorf("the first group ended with %v after %d objects, want %v after %d", err, n, tt.want, tt.count)
				}
				if sg, err = slow.AcceptSubgroup(t.Context()); err != nil || sg.Header().Group != 1 {
					t.Fatalf("the next subgroup is %v, %v, want one of group 1", sg, err)
				}
				synctest.Wait()
				if got := all.locations(); len(got) != 4 {
					t.Errorf("the other subscriber got %v, want all four objects", got)
				}
			})
		})
	}
}

var errDelivery = &transport.StreamError{Code: moqt.StreamDeliveryTimeout}
