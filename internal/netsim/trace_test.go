package netsim

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func mustTrace(t *testing.T, tr *Trace, err error) *Trace {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestReplaySendsByTheChances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Two chances at 10 ms, one at 30 ms, then the same 40 ms later.
		tr, err := Mahimahi(strings.NewReader("10\n10\n30\n40\n"))
		mustTrace(t, tr, err)
		n := New(t)
		link := n.Link(Delay(5*time.Millisecond), Replay(tr, 0))
		server, client := n.Listen(), link.Listen()
		log, done := collect(server, time.Now())
		for i := range 6 {
			client.WriteTo(numbered(i, TracePacket-traceHeaders), server.LocalAddr())
		}
		time.Sleep(time.Second)
		server.Close()
		<-done
		want := []time.Duration{15, 15, 35, 45, 55, 55}
		if len(log.at) != len(want) {
			t.Fatalf("received %d packets, want %d", len(log.at), len(want))
		}
		for i, w := range want {
			if log.at[i] != w*time.Millisecond {
				t.Errorf("packet %d arrived at %v, want %v", i, log.at[i], w*time.Millisecond)
			}
		}
	})
}

func TestReplayLosesUnusedChances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, err := Mahimahi(strings.NewReader("1\n2\n3\n4\n5\n100\n"))
		mustTrace(t, tr, err)
		n := New(t)
		link := n.Link(Replay(tr, 0))
		server, client := n.Listen(), link.Listen()
		log, done := collect(server, time.Now())
		time.Sleep(4500 * time.Microsecond)
		client.WriteTo(numbered(0, TracePacket/2-traceHeaders), server.LocalAddr())
		client.WriteTo(numbered(1, TracePacket/2-traceHeaders), server.LocalAddr()) // shares the chance
		client.WriteTo(numbered(2, 100), server.LocalAddr())
		time.Sleep(time.Second)
		server.Close()
		<-done
		want := []time.Duration{5, 5, 100}
		for i, w := range want {
			if len(log.at) != len(want) || log.at[i] != w*time.Millisecond {
				t.Fatalf("packets arrived at %v, want %v (ms)", log.at, want)
			}
		}
	})
}

func TestReplayDropsWhatFindsNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, err := Mahimahi(strings.NewReader("10\n20\n30\n40\n"))
		mustTrace(t, tr, err)
		n := New(t)
		link := n.Link(Replay(tr, 0), Queue(3000))
		server, client := n.Listen(), link.Listen()
		log, done := collect(server, time.Now())
		for i := range 10 {
			client.WriteTo(numbered(i, 1000), server.LocalAddr())
		}
		time.Sleep(time.Second)
		up, _ := link.Stats()
		server.Close()
		<-done
		if len(log.at) != 3 || up.Overflowed != 7 {
			t.Errorf("%d arrived and %d overflowed, want 3 and 7", len(log.at), up.Overflowed)
		}
	})
}

func TestRateCSV(t *testing.T) {
	tr, err := RateCSV(strings.NewReader("t_s,rate_mbps,mode\n0,1.2,LTE\n1,0,LTE\n2,12,5G\n"))
	mustTrace(t, tr, err)
	if tr.Length() != 3*time.Second {
		t.Errorf("it lasts %v, want 3 s", tr.Length())
	}
	for _, c := range []struct {
		from, to time.Duration
		want     int64 // chances
	}{
		{0, time.Second, 99}, // the hundredth is full at the end of the second
		{0, time.Second + 1, 100},
		{time.Second + 1, 2 * time.Second, 0},
		{2 * time.Second, 3*time.Second + 1, 1000},
		{3 * time.Second, 6 * time.Second, 1100},
	} {
		if got := tr.Bytes(c.from, c.to) / TracePacket; got < c.want-1 || got > c.want+1 {
			t.Errorf("%d chances from %v to %v, want %d", got, c.from, c.to, c.want)
		}
	}
	if mean := tr.Mean(); mean != 4_400_000 {
		t.Errorf("the mean is %d bit/s, want 4400000", mean)
	}
}

// TestRateCSVCarries has seconds in which one chance and a half become full.
func TestRateCSVCarries(t *testing.T) {
	tr, err := RateCSV(strings.NewReader("t,r\n" + strings.Repeat("0,0.018\n", 10)))
	mustTrace(t, tr, err)
	if n := tr.Bytes(0, 10*time.Second) / TracePacket; n < 14 || n > 15 { // the last is full at the end
		t.Errorf("%d chances in 10 s, want 15", n)
	}
	if tr.Mean() != 18_000 {
		t.Errorf("the mean is %d bit/s, want 18000", tr.Mean())
	}
}

func TestReplayDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		delays, err := ReadDelays(strings.NewReader("10\n30\n"), 100*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		n := New(t)
		link := n.Link(ReplayDelay(delays, 0))
		server, client := n.Listen(), link.Listen()
		log, done := collect(server, time.Now())
		for i := range 3 {
			client.WriteTo(numbered(i, 100), server.LocalAddr())
			time.Sleep(100 * time.Millisecond)
		}
		server.Close()
		<-done
		want := []time.Duration{10, 130, 210}
		for i, w := range want {
			if len(log.at) != len(want) || log.at[i] != w*time.Millisecond {
				t.Fatalf("packets arrived at %v, want %v (ms)", log.at, want)
			}
		}
	})
}

func TestBadTraces(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "not a number": "1\nx\n", "descending": "5\n4\n", "negative": "-1\n", "no time": "0\n0\n",
	} {
		if tr, err := Mahimahi(strings.NewReader(text)); err == nil {
			t.Errorf("mahimahi, %s: read as %v", name, tr)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "heading alone": "t_s,rate_mbps\n", "no column": "t\n0\n", "not a rate": "t,r\n0,x\n", "negative": "t,r\n0,-1\n", "NaN": "t,r\n0,1.2\n1,NaN\n2,1.2\n", "outage alone": "t,r\n0,0\n",
	} {
		if tr, err := RateCSV(strings.NewReader(text)); err == nil {
			t.Errorf("csv, %s: read as %v", name, tr)
		}
	}
	for _, text := range []string{"x", "", "-1", "60001", "NaN"} {
		if d, err := ReadDelays(strings.NewReader(text), time.Second); err == nil {
			t.Errorf("delays %q: read as %v", text, d)
		}
	}
	if d, err := ReadDelays(strings.NewReader("1"), 0); err == nil {
		t.Errorf("delays for no time each: read as %v", d)
	}
}
