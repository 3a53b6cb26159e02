package multipath

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// sender carries units to the relay. Its methods are called by one goroutine.
type sender interface {
	// plug adds a link; unplug tells that one is gone.
	plug(ctx context.Context, name string, spec *Link, l link) error
	unplug(name string)
	// ready waits until units can be sent: the relay wants the tracks.
	ready(ctx context.Context) error
	// send does not block.
	send(u *unit)
	// advice returns what the encoder should make at most, bits/s, or 0. It may be
	// called by any goroutine.
	advice() int64
	// copied returns the bytes that were sent first, and again.
	copied() (first, again int64)
	close()
}

// names are those of the tracks.
var names = [tracks]moqt.TrackName{
	video: moqt.NS("bench").Track("video"),
	audio: moqt.NS("bench").Track("audio"),
}

// grace is how long to wait for what is late when the load is over.
const grace = 3 * time.Second

// stage is a scenario in progress.
type stage struct {
	*Scenario
	ground ground
	traces Traces
	sender sender
	book   book
	ahead  int     // bytes of bulk that may be under way or wait
	links  []link  // nil where none is plugged in
	up     []int64 // bytes that went up links that are gone
	rival  rival   // nil if there is none
	seed   uint64
	held   heldSamples
	wg     sync.WaitGroup
}

// run plays s on g with a sender, and returns what became of the load.
func (s *Scenario) run(ctx context.Context, g ground, traces Traces, snd sender, seed uint64) (*Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Length+grace+s.Settle+runSlack)
	defer cancel()
	st := &stage{Scenario: s, ground: g, traces: traces, sender: snd, links: make([]link, len(s.Links)), up: make([]int64, len(s.Links)), seed: seed}
	defer st.wg.Wait()
	defer cancel()
	defer snd.close()
	for i := range s.Links {
		if !s.Links[i].Later {
			if err := st.do(ctx, Step{Link: i, Do: Plug}); err != nil {
				return nil, err
			}
		}
	}
	st.ahead = s.bulkAhead()
	if c, ok := snd.(collector); ok {
		st.ahead = c.collect(&st.book)
	} else if err := st.subscribe(ctx); err != nil {
		return nil, err
	}
	if err := snd.ready(ctx); err != nil {
		return nil, err
	}
	switch {
	case s.Settle > 0:
		return st.counted(ctx)
	case s.Rival:
		return st.contested(ctx)
	}
	return st.play(ctx)
}

// runSlack is what a run may take beside its load, to connect and to end.
const runSlack = 2 * time.Minute

// collector is a sender that has its own other end. It tells how many bytes of
// bulk may wait for it.
type collector interface{ collect(*book) (ahead int) }

// play sends the load and takes the steps.
func (st *stage) play(ctx context.Context) (*Outcome, error) {
	began := time.Now()
	units := make(chan *unit)
	loaded := make(chan error, 1)
	send := func(u *unit) {
		select {
		case units <- u:
		case <-ctx.Done():
		}
	}
	st.wg.Go(func() {
		src := newSource(st.seed)
		if st.Load.Bitrate > 0 {
			loaded <- src.live(ctx, st.Load, st.Length, st.sender.advice, send)
			return
		}
		loaded <- src.bulk(ctx, &st.book, st.ahead, st.Length, send)
	})
	st.wg.Go(func() { st.sample(ctx, began) })
	attack := st.attack(ctx)
	begin, end := time.NewTimer(st.From), time.NewTimer(st.Length+grace)
	defer begin.Stop()
	defer end.Stop()
	var before, after meters
	for steps := st.Steps; ; {
		var due <-chan time.Time
		if len(steps) > 0 {
			timer := time.NewTimer(time.Until(began.Add(steps[0].At)))
			defer timer.Stop()
			due = timer.C
		}
		for stepped := false; !stepped; {
			select {
			case u := <-units:
				st.book.make(u)
				st.sender.send(u)
				attack.sent(u)
			case <-due:
				if err := st.do(ctx, steps[0]); err != nil {
					return nil, err
				}
				steps, stepped = steps[1:], true
			case <-begin.C:
				before = st.read(ctx)
			case err := <-loaded:
				if err != nil {
					return nil, err
				}
				after = st.read(ctx)
			case <-end.C:
				o := st.book.outcome(st.Scenario, began)
				st.meter(o, before, after)
				return o, attack.end(o)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
}

// do takes a step.
func (st *stage) do(ctx context.Context, step Step) error {
	spec, l := &st.Links[step.Link], st.links[step.Link]
	switch step.Do {
	case Cut:
		l.Cut()
	case Restore:
		l.Restore()
	case Unplug:
		st.up[step.Link] += l.sent()
		st.links[step.Link] = nil
		l.unplug()
		st.sender.unplug(spec.Name)
	case Plug:
		opts, err := spec.options(st.traces)
		if err != nil {
			return err
		}
		if l, err = st.ground.plug(ctx, spec.Name, opts); err != nil {
			return err
		}
		st.links[step.Link] = l
		if err := st.sender.plug(ctx, spec.Name, spec, l); err != nil {
			return fmt.Errorf("path %s: %w", spec.Name, err)
		}
	}
	return nil
}

// meters are counters at one moment.
type meters struct {
	up           []int64 // bytes that went up each link
	first, again int64
	cpu          time.Duration
	rival        int64 // bytes of theirs that have come
	at           time.Time
}

func (st *stage) read(ctx context.Context) meters {
	m := meters{cpu: st.ground.cpu(), at: time.Now()}
	m.first, m.again = st.sender.copied()
	if st.rival != nil {
		m.rival = st.rival.received()
	}
	for i, l := range st.links {
		n := st.up[i]
		if l != nil {
			n += l.sent()
		}
		m.up = append(m.up, n)
	}
	return m
}

// meter puts into o what two readings tell.
func (st *stage) meter(o *Outcome, before, after meters) {
	if len(before.up) == 0 || len(after.up) == 0 {
		return
	}
	share := func(part, all int64) float64 { return 100 * float64(part) / float64(max(1, all)) }
	o.Copies = share(after.again-before.again, after.first-before.first)
	payload := int64(o.Goodput / 8 * (st.Length - st.From).Seconds())
	var wire, backup int64
	for i := range after.up {
		n := after.up[i] - before.up[i]
		wire += n
		if st.Links[i].Cost > 0 {
			backup += n
		}
	}
	o.Wire, o.Backup = share(wire, payload), share(backup, payload)
	o.Kept = rate(before, after)
	o.Held, o.HeldMost = st.held.result()
	if mbit := float64(payload) * 8 / 1e6; mbit > 0 {
		o.CPU = time.Duration(float64(after.cpu-before.cpu) / mbit)
	}
}

// subscribe takes the tracks from the relay, at its own host.
func (st *stage) subscribe(ctx context.Context) error {
	sess, err := st.ground.near(ctx)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { sess.Close() })
	for track := range st.Load.tracks() {
		tr, err := sess.Subscribe(ctx, names[track], nil)
		if err != nil {
			return err
		}
		st.wg.Go(func() { st.receive(ctx, tr, track) })
	}
	return nil
}

func (st *stage) receive(ctx context.Context, tr *transport.TrackReader, track int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		sg, err := tr.AcceptSubgroup(ctx)
		if err != nil {
			return
		}
		wg.Go(func() {
			for {
				obj, r, err := sg.NextObject()
				if err != nil {
					return
				}
				sum := crc32.NewIEEE()
				if _, err := io.Copy(sum, r); err != nil {
					return
				}
				st.book.take(track, st.number(track, obj.Location), sum.Sum32())
			}
		})
	}
}

// number returns which object of its track is at l.
func (s *Scenario) number(track int, l moqt.Location) int {
	size := uint64(gop)
	switch {
	case track == audio:
		size = audioGop
	case s.Load.Bitrate == 0:
		size = bulkGop
	}
	return int(l.Group*size + l.Object)
}
