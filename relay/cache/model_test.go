package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// The model: a track is written down beforehand, and several sources publish
// copies of it with joins in the middle, resets and stalls. The last source to
// start has all of it. However they meet, every reader must get every object
// once, whole and equal, and nothing on a stream that may not be there.

// script is a track: by group and subgroup, the objects.
type script struct {
	groups   uint64
	subs     uint64
	objects  map[[2]uint64][]moqt.Object // ids with gaps, by (group, subgroup)
	byID     map[moqt.Location]int       // place in its subgroup
	lastOf   map[uint64]uint64           // largest object id of a group
	subgroup map[moqt.Location]uint64
}

func newScript(rnd *rand.Rand) *script {
	s := &script{
		groups: 1 + rnd.Uint64N(4), subs: 1 + rnd.Uint64N(2),
		objects: map[[2]uint64][]moqt.Object{}, byID: map[moqt.Location]int{},
		lastOf: map[uint64]uint64{}, subgroup: map[moqt.Location]uint64{},
	}
	for g := range s.groups {
		id := rnd.Uint64N(2)
		for range s.subs + rnd.Uint64N(20) {
			key := [2]uint64{g, id % s.subs}
			if len(s.objects[key]) == 0 && rnd.IntN(3) > 0 {
				key[1] = id % s.subs
			}
			o := moqt.Object{Location: loc(g, id), Payload: make([]byte, rnd.IntN(60))}
			if rnd.IntN(8) == 0 {
				o.Payload = make([]byte, 20<<10+rnd.IntN(20<<10))
			}
			for i := range o.Payload {
				o.Payload[i] = byte(rnd.Uint32())
			}
			s.byID[o.Location] = len(s.objects[key])
			s.subgroup[o.Location] = key[1]
			s.objects[key] = append(s.objects[key], o)
			s.lastOf[g] = id
			id++
			if rnd.IntN(6) == 0 {
				id += rnd.Uint64N(5)
			}
		}
	}
	return s
}

// publish writes the whole script as one source does, or, if ragged, parts.
func (s *script) publish(t *testing.T, tr *Track, seed uint64, ragged bool) {
	rnd := rand.New(rand.NewPCG(seed, 99))
	src := tr.Source(nil)
	defer src.Close()
	pace := time.Duration(rnd.IntN(30)) * time.Millisecond
	var streams sync.WaitGroup
	for g := range s.groups {
		for sub := range s.subs {
			seed := rnd.Uint64()
			streams.Go(func() { s.stream(t, src, g, sub, rand.New(rand.NewPCG(seed, 1)), pace, ragged) })
		}
		time.Sleep(pace * 3)
		if ragged && rnd.IntN(10) == 0 {
			break // the session dies, with streams open
		}
	}
	if !ragged || rnd.IntN(2) == 0 {
		streams.Wait()
	}
	src.Close()
	streams.Wait()
}

// stream writes one subgroup of the script.
func (s *script) stream(t *testing.T, src *Source, g, sub uint64, rnd *rand.Rand, pace time.Duration, ragged bool) {
	objects := s.objects[[2]uint64{g, sub}]
	begin := 0
	if ragged && rnd.IntN(2) == 0 {
		begin = rnd.IntN(len(objects) + 1)
	}
	last := len(objects) > 0 && objects[len(objects)-1].Object == s.lastOf[g]
	w, err := src.Open(moqt.Subgroup{Group: g, ID: sub, First: begin == 0, EndOfGroup: last})
	closed := func(err error) bool {
		if err != nil && !(ragged && errors.Is(err, ErrClosed)) {
			t.Errorf("group %d subgroup %d: %v", g, sub, err)
		}
		return err != nil
	}
	if closed(err) {
		return
	}
	for _, o := range objects[begin:] {
		time.Sleep(time.Duration(rnd.IntN(int(2*pace) + 1)))
		if ragged && rnd.IntN(12) == 0 {
			w.Abort()
			return
		}
		if rnd.IntN(2) == 0 {
			o.Payload = bytes.Clone(o.Payload)
			if _, err := w.Append(o); closed(err) {
				return
			}
			continue
		}
		p := o.Payload
		o.Payload = nil
		if closed(w.Start(o, int64(len(p)))) {
			return
		}
		for len(p) > 0 {
			n := 1 + rnd.IntN(len(p))
			if _, err := w.Extend(p[:n]); closed(err) {
				return
			}
			p = p[n:]
			time.Sleep(time.Duration(rnd.IntN(int(pace) + 1)))
			if ragged && len(p) > 0 && rnd.IntN(20) == 0 {
				w.Abort()
				return
			}
		}
	}
	closed(w.Close())
}

// subscriber reads a track and checks what it gets.
type subscriber struct {
	t      *testing.T
	script *script
	lossy  bool // ErrGap and ErrEvicted may happen

	mu   sync.Mutex
	seen map[moqt.Location]int
}

func (s *subscriber) run(tr *Track, from moqt.Location) {
	r := tr.Reader(from, LastGroup)
	var streams sync.WaitGroup
	for {
		c, err := r.Next(context.Background())
		if err != nil {
			if err != io.EOF {
				s.t.Errorf("Reader.Next() = %v", err)
			}
			break
		}
		streams.Go(func() { s.stream(c, from) })
	}
	streams.Wait()
}

// stream reads one cursor as a sink would.
func (s *subscriber) stream(c *Cursor, from moqt.Location) {
	h := c.Header()
	objects := s.script.objects[[2]uint64{h.Group, h.ID}]
	at := -1
	for {
		o, err := c.Next(context.Background())
		switch {
		case errors.Is(err, ErrGap) && s.lossy:
			h, at = c.Header(), -1
			continue
		case err == io.EOF:
			if at != len(objects)-1 && !(at < 0 && objects[len(objects)-1].Location.Less(from)) {
				s.t.Errorf("group %d subgroup %d: EOF after place %d of %d", h.Group, h.ID, at, len(objects))
			}
			return
		case errors.Is(err, ErrReset), errors.Is(err, ErrEvicted) && s.lossy:
			return
		case err != nil:
			s.t.Errorf("Cursor.Next() = %v", err)
			return
		}
		l := o.Meta.Location
		place, ok := s.script.byID[l]
		switch {
		case !ok || s.script.subgroup[l] != h.ID || l.Group != h.Group:
			s.t.Errorf("object %v on the stream of %d/%d", l, h.Group, h.ID)
			return
		case l.Less(from):
			s.t.Errorf("object %v is before the start, %v", l, from)
		case at >= 0 && place != at+1:
			s.t.Errorf("group %d subgroup %d: place %d after %d: not the next object", h.Group, h.ID, place, at)
		case at < 0 && h.First && place != 0:
			s.t.Errorf("group %d subgroup %d: First = %v at place %d", h.Group, h.ID, h.First, place)
		}
		at = place
		var got []byte
		for done := false; !done; {
			var p []byte
			p, done, err = o.Bytes(context.Background(), int64(len(got)))
			if err != nil {
				break
			}
			got = append(got, p...)
		}
		want := objects[place].Payload
		if !bytes.HasPrefix(want, got) {
			s.t.Errorf("object %v: wrong bytes", l)
		}
		if err != nil {
			if !errors.Is(err, ErrReset) && !s.lossy {
				s.t.Errorf("object %v: %v", l, err)
			}
			return
		}
		if len(got) != len(want) {
			s.t.Errorf("object %v: %d bytes, want %d", l, len(got), len(want))
		}
		s.mu.Lock()
		if s.seen[l]++; s.seen[l] > 1 {
			s.t.Errorf("object %v comes twice", l)
		}
		s.mu.Unlock()
	}
}

func TestModel(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { model(t, seed, Options{MaxAge: time.Hour}) })
		})
	}
}

// With bounds too tight for the track, what is read must still be right.
func TestModelThatEvicts(t *testing.T) {
	for seed := range uint64(200) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				model(t, seed, Options{MaxAge: 100 * time.Millisecond, MaxObjects: 16, MaxBytes: 60 << 10, MaxGroups: 2})
			})
		})
	}
}

func model(t *testing.T, seed uint64, opts Options) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	script := newScript(rnd)
	opts.Budget = NewBudget(1 << 30)
	tr := NewTrack(opts)
	lossy := opts.MaxGroups > 0

	var sources, readers sync.WaitGroup
	var subs []*subscriber
	var starts []moqt.Location
	for i := range 1 + rnd.IntN(4) {
		var from moqt.Location
		if i > 0 {
			from = loc(rnd.Uint64N(script.groups), rnd.Uint64N(8))
		}
		after := time.Duration(rnd.IntN(300)) * time.Millisecond
		s := &subscriber{t: t, script: script, lossy: lossy, seen: map[moqt.Location]int{}}
		subs, starts = append(subs, s), append(starts, from)
		readers.Go(func() {
			time.Sleep(after)
			s.run(tr, from)
		})
	}
	n := rnd.IntN(4)
	for i := range n {
		seed, after := rnd.Uint64(), time.Duration(rnd.IntN(200))*time.Millisecond
		sources.Go(func() {
			time.Sleep(after)
			script.publish(t, tr, seed, true)
		})
		if i == n-1 {
			time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
		}
	}
	script.publish(t, tr, rnd.Uint64(), false)
	sources.Wait()
	time.Sleep(10 * time.Second) // holds and graces are over
	checkBytes(t, tr)
	if !lossy {
		for key, objects := range script.objects {
			from, to := objects[0].Location, objects[len(objects)-1].Location
			r := tr.Range(from, to, moqt.Ascending)
			for step, ok := r.Next(); ok; step, ok = r.Next() {
				if step.Object == nil {
					if _, there := script.byID[step.Gap.From]; there {
						t.Errorf("Range of group %d has gap %+v, which begins with an object", key[0], *step.Gap)
					}
				}
			}
		}
	}
	tr.End()
	readers.Wait()
	for i, s := range subs {
		for l := range script.byID {
			if got := s.seen[l]; got == 0 && !l.Less(starts[i]) && !lossy {
				t.Errorf("reader %d from %v: object %v is missing", i, starts[i], l)
			}
		}
	}
	tr.Close()
	if tr.Bytes() != 0 || opts.Budget.Used() != 0 {
		t.Errorf("after Close: Bytes() = %d, Used() = %d, want 0", tr.Bytes(), opts.Budget.Used())
	}
}
