package bench

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// TwinConfig is tracks that have two publishers, one of which dies without a
// word in the middle of a group.
type TwinConfig struct {
	Relay           Relay
	Kills           int // one for each track
	AtOnce          int // tracks
	Rate, Size      int // of a track
	GroupSize       int // objects
	Objects         int // of a track
	SubscribersEach int
}

// TwinResult is what the subscribers saw.
type TwinResult struct {
	TwinConfig
	Missing, Doubled int           // objects
	P99              time.Duration // age of an object
}

// Print writes the result as a Go benchmark line.
func (r *TwinResult) Print(w io.Writer) {
	WriteLine(w, fmt.Sprintf("Twin/size=%d/rate=%d", r.Size, r.Rate), r.Kills,
		Metric{float64(r.Missing), "missing"}, Metric{float64(r.Doubled), "doubled"}, Metric{ms(r.P99), "p99-ms"})
}

// Twins runs the load.
func Twins(ctx context.Context, c TwinConfig) (*TwinResult, error) {
	s, err := newStage(ctx, c.Relay)
	if err != nil {
		return nil, err
	}
	defer s.close()
	r := &TwinResult{TwinConfig: c}
	var mu sync.Mutex
	var ages []time.Duration
	err = InParallel(c.Kills, c.AtOnce, func(i int) error {
		tallies, err := s.twin(ctx, moqt.NS("bench", "twin").Track(fmt.Sprint(i)), c)
		if err != nil {
			return fmt.Errorf("track %d: %w", i, err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, t := range tallies {
			r.Missing += t.lost()
			r.Doubled += t.doubled
			ages = append(ages, t.ages...)
		}
		return nil
	})
	r.P99 = quantile(ages, 0.99)
	return r, err
}

// twin runs one track and kills one of its publishers.
func (s *stage) twin(ctx context.Context, track moqt.TrackName, c TwinConfig) ([]*tally, error) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	log := &fan{ServeConfig: ServeConfig{Size: c.Size, Rate: c.Rate, GroupSize: c.GroupSize, Objects: c.Objects}, began: make(chan struct{})}
	var twins [2]*mortal
	for i := range twins {
		m, err := newMortal(ctx, s.url, track)
		if err != nil {
			return nil, err
		}
		defer m.kill()
		twins[i] = m
	}
	var tallies []*tally
	for range c.SubscribersEach {
		f, err := subscribe(ctx, s.d, s.url, track)
		if err != nil {
			return nil, err
		}
		defer f.close()
		t := newTally(c.Objects)
		tallies = append(tallies, t)
		wg.Go(func() { receive(ctx, f, c.Size, t) })
	}
	for _, m := range twins {
		if err := awaitForward(ctx, m.w); err != nil {
			return nil, err
		}
		wg.Go(func() { log.serve(ctx, &trackSink{w: m.w}) })
	}
	wg.Go(func() { log.publish(ctx) })
	close(log.began)
	// Somewhere in the middle half of the track, in the middle of a group.
	length := time.Duration(c.Objects) * time.Second / time.Duration(c.Rate)
	if err := pause(ctx, length/4+rand.N(length/2)); err != nil {
		return nil, err
	}
	twins[rand.N(2)].kill()
	late := time.After(length + 10*time.Second)
	for _, t := range tallies {
		select {
		case <-t.full:
		case <-late:
			return tallies, nil // with what is missing
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	// What comes twice comes late.
	return tallies, pause(ctx, 100*time.Millisecond)
}

// mortal is a publisher that can die as a process does that is killed: from one
// moment on nothing more comes of it.
type mortal struct {
	pc   net.PacketConn
	sess *transport.Session
	w    *transport.TrackWriter
	once sync.Once
}

func newMortal(ctx context.Context, url string, track moqt.TrackName) (*mortal, error) {
	m := &mortal{}
	d := newDialer()
	d.ListenPacket = func(context.Context) (net.PacketConn, error) {
		pc, err := net.ListenUDP("udp", nil)
		m.pc = pc
		return pc, err
	}
	var err error
	if m.sess, err = d.Dial(ctx, url); err != nil {
		return nil, err
	}
	if m.w, err = m.sess.Publish(ctx, track, nil); err != nil {
		m.kill()
		return nil, err
	}
	return m, nil
}

func (m *mortal) kill() {
	m.once.Do(func() {
		m.pc.Close()
		m.sess.Close()
	})
}

// trackSink is [sink] for a track.
type trackSink struct {
	w     *transport.TrackWriter
	g     *transport.SubgroupWriter
	count uint64
}

func (s *trackSink) group(ctx context.Context) (err error) {
	if s.g != nil {
		s.g.Close()
	}
	s.g, err = s.w.OpenGroup(ctx, s.count)
	s.count++
	return err
}

func (s *trackSink) write(p []byte) error { _, err := s.g.Write(p); return err }
func (s *trackSink) close() error         { return s.g.Close() }
