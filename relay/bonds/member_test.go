package bonds

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
)

// TestChunksAfterTheMember has chunks of a member arrive that is one no more: its
// bond stream has ended, and its session is about to.
func TestChunksAfterTheMember(t *testing.T) {
	r := New(Config{}, nil)
	defer r.Close()
	b, _ := r.make(nil, network(""))
	m := &member{b: b}
	m.out.init()
	m.stop()
	for i := range uint64(3 * ackChunks) {
		m.acknowledge(i, time.Now())
	}
	if len(m.out.acks) > 0 {
		t.Errorf("%d acknowledgements wait for a member that has left", len(m.out.acks))
	}
}

// TestMemberNumbers lets no number be used twice, however many others were.
func TestMemberNumbers(t *testing.T) {
	r := New(Config{MaxMembers: 1000}, nil)
	defer r.Close()
	b, _ := r.make(nil, network(""))
	enter := func(number uint64) bool { return b.enter(&member{b: b, number: number}) == nil }
	for i := range uint64(100) { // with gaps between
		if !enter(2 * i) {
			t.Fatalf("number %d is refused", 2*i)
		}
	}
	for i := range uint64(100) {
		if enter(2 * i) {
			t.Errorf("number %d is taken twice", 2*i)
		}
	}
	if !enter(199) {
		t.Error("the next number is refused")
	}
}

// TestBondsOfAnAddress leaves bonds to others than those who ask for very many.
func TestBondsOfAnAddress(t *testing.T) {
	r := New(Config{MaxBonds: 10, MaxAddressBonds: 4}, nil)
	defer r.Close()
	for _, step := range []struct {
		from string
		want int
	}{{"192.0.2.1:1", 4}, {"192.0.2.1:2", 0}, {"[2001:db8::1]:1", 4}, {"[2001:db8::2]:1", 0}, {"192.0.2.2:1", 2}} {
		for i := range 5 {
			_, no := r.make(nil, network(step.from))
			if made := no == nil; made != (i < step.want) || !made && no.Code != moqt.RequestExcessiveLoad {
				t.Errorf("bond %d of %s: %v, want %d", i, step.from, no, step.want)
			}
		}
	}
}

// silent is a track that nobody looks at.
type silent struct{ closed bool }

func (*silent) Open(*bond.Header) (bond.SubgroupWriter, error) { return nil, nil }
func (*silent) Has(uint64, uint64) bool                        { return false }
func (s *silent) Close()                                       { s.closed = true }

// TestTracksOfABond publishes very many tracks, one after another and at once.
func TestTracksOfABond(t *testing.T) {
	r := New(Config{}, nil)
	b, _ := r.make(nil, network(""))
	r.sessions[nil] = &seat{member: &member{b: b}}
	tracks := make(map[uint64]*silent)
	publish := func(alias uint64) *Publication {
		return r.Publish(nil, alias, alias, func() Track {
			tracks[alias] = &silent{}
			return tracks[alias]
		})
	}
	for i := range uint64(3 * maxTracks) {
		publish(i).Close()
	}
	if len(b.tracks) != maxTracks {
		t.Errorf("%d tracks are known, want %d", len(b.tracks), maxTracks)
	}
	for i := range uint64(maxTracks) {
		if publish(10_000+i) == nil {
			t.Fatalf("track %d is refused, though nobody publishes the others", i)
		}
	}
	if publish(1) != nil {
		t.Error("one more than fit is taken")
	}
	r.Close()
	for alias, s := range tracks {
		if !s.closed {
			t.Errorf("track %d is not closed", alias)
		}
	}
}

// TestDrain waits for what is on its way of a track, and not for what does not come.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Config{}, nil)
		defer r.Close()
		b, _ := r.make(nil, network(""))
		m := &member{b: b, number: 1}
		r.sessions[nil] = &seat{member: m}
		p := r.Publish(nil, 1, "track", func() Track { return &silent{} })
		h := &bond.Header{Object: bond.Object{Alias: 1}, Size: 2}
		take := func(off int64) {
			if err := b.take(m, h, bond.Chunk{Offset: off, Bytes: []byte("a")}, time.Now()); err != nil {
				t.Error(err)
			}
		}
		for _, comes := range []time.Duration{500 * time.Millisecond, time.Hour} {
			h.Group++
			take(0)
			began := time.Now()
			if comes < time.Hour {
				time.AfterFunc(comes, func() { take(1) })
			}
			p.Drain(t.Context())
			least := min(comes, r.cfg.Hold)
			if took := time.Since(began); took < least || took > least+20*time.Millisecond {
				t.Errorf("the rest comes after %v: Drain took %v", comes, took)
			}
		}
	})
}
