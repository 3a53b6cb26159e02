package netsim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// packetLog is what one endpoint received: number and time since the start.
type packetLog struct {
	number []int
	at     []time.Duration
}

// collect reads numbered packets from c until the test's network is closed.
func collect(c *Conn, start time.Time) (log *packetLog, done chan struct{}) {
	log, done = &packetLog{}, make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 2000)
		for {
			n, _, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if n < 4 {
				continue
			}
			log.number = append(log.number, int(binary.BigEndian.Uint32(b)))
			log.at = append(log.at, time.Since(start))
		}
	}()
	return log, done
}

func numbered(i, size int) []byte {
	b := make([]byte, size)
	binary.BigEndian.PutUint32(b, uint32(i))
	return b
}

func TestRateAndDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(t)
		link := n.Link(Rate(8*Mbit), Delay(20*time.Millisecond))
		server, client := n.Listen(), link.Listen()
		log, done := collect(server, time.Now())
		for i := range 50 {
			client.WriteTo(numbered(i, 1000), server.LocalAddr())
		}
		time.Sleep(time.Second)
		server.Close()
		<-done
		if len(log.at) != 50 {
			t.Fatalf("received %d packets, want 50", len(log.at))
		}
		for i, at := range log.at { // 1000 bytes at 8 Mbit/s are a millisecond
			if want := 20*time.Millisecond + time.Duration(i+1)*time.Millisecond; at != want || log.number[i] != i {
				t.Errorf("packet %d arrived at %v as number %d, want %v", log.number[i], at, i, want)
			}
		}
	})
}

func TestQueueOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(t)
		link := n.Link(Rate(8*Mbit), Queue(10_000))
		server, client := n.Listen(), link.Listen()
		log, done := collect(server, time.Now())
		for i := range 30 {
			client.WriteTo(numbered(i, 1000), server.LocalAddr())
		}
		time.Sleep(time.Second)
		server.Close()
		<-done
		if len(log.number) != 10 {
			t.Errorf("%d packets passed, want the 10 that had room", len(log.number))
		}
		up, down := link.Stats()
		want := Stats{
			SentPackets: 30, SentBytes: 30_000, DeliveredPackets: 10, DeliveredBytes: 10_000,
			DroppedPackets: 20, DroppedBytes: 20_000, Overflowed: 20,
		}
		if up != want {
			t.Errorf("up = %+v, want %+v", up, want)
		}
		if down != (Stats{}) {
			t.Errorf("down = %+v, want nothing", down)
		}
	})
}

// TestDefaultQueue sends at once what takes far longer than 100 ms.
func TestDefaultQueue(t *testing.T) {
	for _, c := range []struct {
		rate int64
		want int // packets of 1000 bytes that have room
	}{{8 * Mbit, 100}, {Mbit, 65}} {
		synctest.Test(t, func(t *testing.T) {
			n := New(t)
			link := n.Link(Rate(c.rate))
			server, client := n.Listen(), link.Listen()
			log, done := collect(server, time.Now())
			for i := range 300 {
				client.WriteTo(numbered(i, 1000), server.LocalAddr())
			}
			time.Sleep(2 * time.Second)
			server.Close()
			<-done
			if len(log.number) != c.want {
				t.Errorf("at %d bit/s %d packets had room, want %d", c.rate, len(log.number), c.want)
			}
		})
	}
}

func TestDirectionsDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(t)
		link := n.Link(Delay(time.Second), Up(Delay(30*time.Millisecond)), Down(Delay(10*time.Millisecond)))
		server, client := n.Listen(), link.Listen()
		start := time.Now()
		client.WriteTo([]byte("ping"), server.LocalAddr())
		b := make([]byte, 10)
		m, from, err := server.ReadFrom(b)
		if err != nil || string(b[:m]) != "ping" || from.String() != client.LocalAddr().String() {
			t.Fatalf("ReadFrom = %q, %v, %v; want ping from %v", b[:m], from, err, client.LocalAddr())
		}
		if d := time.Since(start); d != 30*time.Millisecond {
			t.Errorf("up took %v, want 30ms", d)
		}
		server.WriteTo([]byte("pong"), from)
		if m, _, err = client.ReadFrom(b); err != nil || string(b[:m]) != "pong" {
			t.Fatalf("ReadFrom = %q, %v, want pong", b[:m], err)
		}
		if d := time.Since(start); d != 40*time.Millisecond {
			t.Errorf("both ways took %v, want 40ms", d)
		}
	})
}

func TestJitterKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(t, Seed(3))
		link := n.Link(Delay(20*time.Millisecond), Jitter(10*time.Millisecond))
		server, client := n.Listen(), link.Listen()
		start := time.Now()
		log, done := collect(server, start)
		for i := range 200 {
			client.WriteTo(numbered(i, 100), server.LocalAddr())
			time.Sleep(3 * time.Millisecond)
		}
		time.Sleep(time.Second)
		server.Close()
		<-done
		if len(log.at) != 200 {
			t.Fatalf("received %d packets, want 200", len(log.at))
		}
		low, high := time.Hour, time.Duration(0)
		for i, at := range log.at {
			if log.number[i] != i {
				t.Fatalf("packet %d arrived in place %d", log.number[i], i)
			}
			took := at - time.Duration(i)*3*time.Millisecond
			low, high = min(low, took), max(high, took)
		}
		if low < 20*time.Millisecond || low > 22*time.Millisecond || high < 27*time.Millisecond || high > 30*time.Millisecond {
			t.Errorf("packets took %v to %v, want about 20ms to 30ms", low, high)
		}
	})
}

func TestLossRate(t *testing.T) {
	const packets = 20_000
	for _, tt := range []struct {
		name      string
		opt       Option
		rate, run float64 // share lost, mean length of a run of losses
	}{
		{"bernoulli 1%", Loss(0.01), 0.01, 1.01},
		{"bernoulli 20%", Loss(0.2), 0.2, 1.25},
		{"bursts of 8, 5%", BurstLoss(0.05, 8), 0.05, 8},
		{"all", Loss(1), 1, packets},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := New(t, Seed(11))
				link := n.Link(Up(tt.opt))
				server, client := n.Listen(), link.Listen()
				log, done := collect(server, time.Now())
				for i := range packets {
					client.WriteTo(numbered(i, 10), server.LocalAddr())
				}
				synctest.Wait()
				server.Close()
				<-done
				lost, runs, next := 0, 0, 0
				for _, i := range append(log.number, packets) {
					if i > next {
						lost += i - next
						runs++
					}
					next = i + 1
				}
				if rate := float64(lost) / packets; math.Abs(rate-tt.rate) > 0.2*tt.rate {
					t.Errorf("lost %.4f of the packets, want about %.4f", rate, tt.rate)
				}
				if run := float64(lost) / float64(runs); math.Abs(run-tt.run) > 0.2*tt.run {
					t.Errorf("losses come in runs of %.2f, want about %.2f", run, tt.run)
				}
				if up, _ := link.Stats(); int(up.Lost) != lost || up.SentPackets != packets {
					t.Errorf("stats = %+v, want %d of %d lost", up, lost, packets)
				}
			})
		})
	}
}

func TestSameSeedSameLosses(t *testing.T) {
	pattern := func(seed uint64) string {
		var lost string
		synctest.Test(t, func(t *testing.T) {
			n := New(t, Seed(seed))
			server, client := n.Listen(), n.Link(BurstLoss(0.1, 3)).Listen()
			log, done := collect(server, time.Now())
			for i := range 500 {
				client.WriteTo(numbered(i, 10), server.LocalAddr())
			}
			synctest.Wait()
			server.Close()
			<-done
			lost = fmt.Sprint(log.number)
		})
		return lost
	}
	if a, b := pattern(5), pattern(5); a != b {
		t.Errorf("seed 5 delivered %s, then %s", a, b)
	}
	if a, b := pattern(5), pattern(6); a == b {
		t.Error("seeds 5 and 6 lose the same packets")
	}
}

func TestBlackout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(t)
		link := n.Link(Delay(10 * time.Millisecond))
		server, client := n.Listen(), link.Listen()
		log, done := collect(server, time.Now())
		for i := range 100 { // at 0, 10, … ms
			if i == 30 {
				link.Blackout(200 * time.Millisecond)
			}
			client.WriteTo(numbered(i, 100), server.LocalAddr())
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Millisecond) // packet 99 has arrived
		link.Cut()
		client.WriteTo(numbered(100, 100), server.LocalAddr())
		link.Restore()
		client.WriteTo(numbered(101, 100), server.LocalAddr())
		time.Sleep(time.Second)
		server.Close()
		<-done
		var lost []int
		next := 0
		for _, i := range log.number {
			for ; next < i; next++ {
				lost = append(lost, next)
			}
			next = i + 1
		}
		// Packets 29 and 50 arrive, or are sent, in the instants in which the
		// blackout begins and ends.
		if len(lost) < 20 || len(lost) > 23 || lost[0] < 29 || lost[len(lost)-2] > 50 || lost[len(lost)-1] != 100 {
			t.Errorf("lost %v, want those of 300 to 500 ms, and 100", lost)
		}
		if up, _ := link.Stats(); int(up.Dark) != len(lost) {
			t.Errorf("stats = %+v, want %d in the dark", up, len(lost))
		}
	})
}

func TestSetChangesRunningLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(t)
		link := n.Link(Rate(8*Mbit), Delay(5*time.Millisecond))
		server, client := n.Listen(), link.Listen()
		b := make([]byte, 2000)
		for _, tt := range []struct {
			opt  Option
			want time.Duration
		}{
			{Delay(5 * time.Millisecond), 6 * time.Millisecond},
			{Rate(800 * Kbit), 15 * time.Millisecond}, // the delay stays
			{Delay(0), 10 * time.Millisecond},
		} {
			link.Set(tt.opt)
			start := time.Now()
			client.WriteTo(numbered(0, 1000), server.LocalAddr())
			server.ReadFrom(b)
			if d := time.Since(start); d != tt.want {
				t.Errorf("1000 bytes took %v, want %v", d, tt.want)
			}
		}
	})
}

func TestMTU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(t)
		link := n.Link(MTU(1200))
		server, client := n.Listen(), link.Listen()
		client.WriteTo(make([]byte, 1201), server.LocalAddr())
		client.WriteTo(make([]byte, 1200), server.LocalAddr())
		b := make([]byte, 2000)
		if m, _, err := server.ReadFrom(b); m != 1200 || err != nil {
			t.Errorf("ReadFrom = %d, %v, want 1200", m, err)
		}
		if up, _ := link.Stats(); up.TooLarge != 1 {
			t.Errorf("stats = %+v, want one too large", up)
		}
	})
}

// One server socket is reached over several links at once, and each answer goes
// back over the link it belongs to.
func TestSeveralLinksToOneServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(t)
		server := n.Listen()
		go func() {
			b := make([]byte, 100)
			for {
				m, from, err := server.ReadFrom(b)
				if err != nil {
					return
				}
				server.WriteTo(b[:m], from)
			}
		}()
		delays := []time.Duration{10, 25, 40, 80}
		var clients []*Conn
		var links []*Link
		for _, d := range delays {
			l := n.Link(Delay(d * time.Millisecond))
			links, clients = append(links, l), append(clients, l.Listen())
		}
		for i, c := range clients {
			start := time.Now()
			c.WriteTo(numbered(i, 10), server.LocalAddr())
			b := make([]byte, 100)
			m, _, err := c.ReadFrom(b)
			if err != nil || !bytes.Equal(b[:m], numbered(i, 10)) {
				t.Errorf("link %d: ReadFrom = %x, %v, want its own packet", i, b[:m], err)
			}
			if d := time.Since(start); d != 2*delays[i]*time.Millisecond {
				t.Errorf("link %d: echo took %v, want %v", i, d, 2*delays[i]*time.Millisecond)
			}
			if up, down := links[i].Stats(); up.DeliveredPackets != 1 || down.DeliveredPackets != 1 {
				t.Errorf("link %d: stats = %+v, %+v, want a packet each way", i, up, down)
			}
		}
		// Two endpoints behind links of their own.
		clients[0].WriteTo(numbered(9, 10), clients[1].LocalAddr())
		start := time.Now()
		clients[1].ReadFrom(make([]byte, 10))
		if d := time.Since(start); d != 35*time.Millisecond {
			t.Errorf("from link 0 to link 1 took %v, want 35ms", d)
		}
		clients[0].WriteTo(numbered(9, 10), &net.UDPAddr{IP: net.IPv4(10, 9, 9, 9), Port: 1})
		time.Sleep(time.Second)
		if n.Stray() != 1 {
			t.Errorf("Stray() = %d, want 1", n.Stray())
		}
	})
}

// After a NAT has forgotten an endpoint, it is heard from another port, reached there
// and not where it was.
func TestRebind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(t)
		link := n.Link(Delay(10 * time.Millisecond))
		server, client := n.Listen(), link.Listen()
		home := client.LocalAddr().String()
		b := make([]byte, 10)
		heardFrom := func() net.Addr {
			client.WriteTo([]byte("hello"), server.LocalAddr())
			_, from, err := server.ReadFrom(b)
			if err != nil {
				t.Fatal(err)
			}
			return from
		}
		before := heardFrom()
		for range 2 {
			link.Rebind()
			after := heardFrom()
			if after.String() == before.String() || client.LocalAddr().String() != home {
				t.Errorf("heard from %v after %v, by an endpoint that calls itself %v and was %v", after, before, client.LocalAddr(), home)
			}
			server.WriteTo([]byte("old"), before)
			server.WriteTo([]byte("new"), after)
			if m, _, err := client.ReadFrom(b); err != nil || string(b[:m]) != "new" {
				t.Errorf("ReadFrom = %q, %v, want what was sent to the new port", b[:m], err)
			}
			before = after
		}
		if n.Stray() != 2 {
			t.Errorf("%d packets went astray, want the 2 to old ports", n.Stray())
		}
		client.Close()
		link.Rebind() // with nobody behind it
	})
}

func TestDeadlineAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(t)
		c, b := n.Listen(), make([]byte, 10)
		start := time.Now()
		c.SetReadDeadline(start.Add(time.Second))
		if _, _, err := c.ReadFrom(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("ReadFrom = %v, want a deadline exceeded", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("ReadFrom took %v, want 1s", d)
		}
		read := func() chan error {
			done := make(chan error, 1)
			go func() { _, _, err := c.ReadFrom(b); done <- err }()
			synctest.Wait()
			return done
		}
		c.SetReadDeadline(time.Time{})
		done := read()
		c.SetReadDeadline(time.Now())
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("waiting ReadFrom = %v, want a deadline exceeded", err)
		}
		c.SetReadDeadline(time.Time{})
		done = read()
		if err := c.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("waiting ReadFrom = %v, want closed", err)
		}
		if _, err := c.WriteTo(b, c.LocalAddr()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("WriteTo = %v, want closed", err)
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close = %v, want closed", err)
		}
	})
}
