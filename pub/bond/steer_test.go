package bond

import "testing"

// TestSteer plays what the connections of a path do, second by second.
func TestSteer(t *testing.T) {
	const mss = 833                                           // packets of 10 Mbit/s in a second
	lossy := func(rate float64) func(want, second int) seen { // one connection gets a third of the link
		owed := 0.0
		return func(want, _ int) seen {
			sent := mss * min(1, float64(want)/3)
			owed += rate * sent
			o := seen{sent: int64(sent), lost: int64(owed), busy: 1}
			owed -= float64(o.lost)
			if want > 3 {
				o.queue = 25 * ms
			}
			return o
		}
	}
	for _, c := range []struct {
		name      string
		path      func(want, second int) seen
		low, high int // connections after a minute
	}{
		{"nothing is lost", func(int, int) seen { return seen{sent: mss, busy: 1, queue: 80 * ms} }, 1, 1},
		{"the queue overflows", func(int, int) seen { return seen{sent: mss, lost: 3, busy: 1, queue: 80 * ms} }, 1, 1},
		{"it loses 1 %", lossy(0.01), 4, 8},
		{"it loses 0.3 %", lossy(0.003), 3, 8},
		{"it loses 1 % and has little to send", func(int, int) seen { return seen{sent: 100, lost: 1, busy: 0.05} }, 1, 1},
		{"others share a short queue", func(want, _ int) seen { // losses grow with the square of connections
			return seen{sent: mss, lost: int64(2 * (want + 1) * (want + 1) / 4), busy: 1, queue: 10 * ms}
		}, 1, 4},
		{"it loses 1 %, then nothing is to be sent", func(want, second int) seen {
			if second < 20 {
				return lossy(0.01)(want, second)
			}
			return seen{sent: 5}
		}, 1, 1},
	} {
		var s steer
		want, seconds := 1, 0
		for second := range 90 {
			want = s.next(c.path(want, second), want)
			if want > 1 {
				seconds++
			}
			if want < 1 || want > maxConnections {
				t.Fatalf("%s: %d connections", c.name, want)
			}
		}
		if want < c.low || want > c.high {
			t.Errorf("%s: %d connections, want %d to %d", c.name, want, c.low, c.high)
		}
		if c.name == "others share a short queue" && seconds > 30 {
			t.Errorf("%s: more than one connection for %d of 90 s", c.name, seconds)
		}
	}
}
