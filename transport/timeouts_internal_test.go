package transport

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

func TestEffectiveTimeouts(t *testing.T) {
	profile, _ := wire.ProfileFor(moqt.Draft18)
	prop := func(typ, ms uint64) moqt.Property { return moqt.Property{Type: typ, Value: ms} }
	inner := func(b ...byte) moqt.Property { return moqt.Property{Type: moqt.PropImmutable, Bytes: b} }
	const ms = time.Millisecond
	for _, tt := range []struct {
		name         string
		track, first moqt.Properties
		subscriber   timeouts
		want         timeouts
	}{
		{name: "none"},
		{"the track's", moqt.Properties{prop(2, 100), prop(6, 200)}, nil, timeouts{}, timeouts{100 * ms, 200 * ms}},
		{"the subscriber's", nil, nil, timeouts{100 * ms, 200 * ms}, timeouts{100 * ms, 200 * ms}},
		{"the smaller of both", moqt.Properties{prop(2, 100), prop(6, 300)}, nil, timeouts{200 * ms, 200 * ms}, timeouts{100 * ms, 200 * ms}},
		{"0 is none", moqt.Properties{prop(2, 0), prop(6, 300)}, nil, timeouts{200 * ms, 0}, timeouts{200 * ms, 300 * ms}},
		{"the first object's in place of the track's", moqt.Properties{prop(2, 100), prop(6, 200)}, moqt.Properties{prop(2, 500)}, timeouts{}, timeouts{500 * ms, 200 * ms}},
		{"a 0 of the first object", moqt.Properties{prop(2, 100)}, moqt.Properties{prop(2, 0)}, timeouts{}, timeouts{}},
		{"the subscriber's and the first object's", moqt.Properties{prop(2, 100)}, moqt.Properties{prop(2, 500)}, timeouts{400 * ms, 0}, timeouts{400 * ms, 0}},
		{"among the immutable ones", moqt.Properties{inner(2, 50, 4, 60)}, nil, timeouts{}, timeouts{50 * ms, 60 * ms}},
		{"the mutable first", moqt.Properties{prop(2, 10), inner(2, 50)}, nil, timeouts{}, timeouts{10 * ms, 0}},
		{"immutable ones that are none", moqt.Properties{inner(0xff)}, nil, timeouts{}, timeouts{}},
		{"more than clocks can add", moqt.Properties{prop(2, 1<<64-1)}, nil, timeouts{}, timeouts{longest, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pub := timeouts{}.override(profile, tt.track).override(profile, tt.first)
			if got := pub.with(tt.subscriber); got != tt.want {
				t.Errorf("timeouts = %v, want %v", got, tt.want)
			}
			if got := tt.subscriber.with(pub); got != tt.want {
				t.Errorf("timeouts = %v the other way round, want %v", got, tt.want)
			}
		})
	}
}

func TestTimedOutSubgroupsAreForgotten(t *testing.T) {
	var d timedOut
	for g := range uint64(100) {
		d.add(subgroupID{g, 1})
	}
	for g := range uint64(100) {
		if got, want := d.has(subgroupID{g, 1}), g >= 100-uint64(len(d.ring)); got != want {
			t.Errorf("has(%d) = %v, want %v", g, got, want)
		}
	}
	if d.has(subgroupID{99, 0}) {
		t.Error("another subgroup of the group has timed out too")
	}
}

// TestUnackedIsBounded checks that only the newest timers of a session run, and
// none of one that has ended.
func TestUnackedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u unacked
		fired := make([]bool, 3*maxUnacked)
		start := func(n int) {
			for i := range n {
				u.add(time.AfterFunc(time.Second, func() { fired[i] = true }))
			}
		}
		count := func() (n int) {
			time.Sleep(time.Minute)
			synctest.Wait()
			for i := range fired {
				if fired[i] {
					n++
				}
			}
			clear(fired)
			return n
		}
		start(len(fired))
		if n := count(); n != maxUnacked || len(u.ring) != maxUnacked {
			t.Errorf("%d timers fired, want %d", n, maxUnacked)
		}
		start(5)
		u.stop()
		start(5)
		if n := count(); n != 0 {
			t.Errorf("%d timers fired after the session, want none", n)
		}
	})
}
