package relay_test

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
)

// bonded runs a test in each draft that matters, with a relay and a bond of n
// members, before anybody has subscribed.
func bonded(t *testing.T, n int, test func(t *testing.T, r *relay.Relay, members []*bondMember, b *bond.Joined)) {
	for _, v := range []moqt.Version{moqt.Draft16, moqt.Draft18, moqt.Draft21, moqt.Draft22} {
		t.Run(v.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRelay(t, relay.Config{})
				members, b := newBond(t, r, v, n)
				test(t, r, members, b)
			})
		})
	}
}

// TestBondStripes cuts objects in chunks that go over two members by turns.
func TestBondStripes(t *testing.T) {
	bonded(t, 2, func(t *testing.T, r *relay.Relay, m []*bondMember, _ *bond.Joined) {
		c := watch(t, r)
		synctest.Wait()
		const n = 20
		for i := range uint64(n) {
			payload := random(1, i, 300+int(i)*5_000)
			var parts [2][][2]int
			for j, p := range cut(0, len(payload)) {
				parts[j%2] = append(parts[j%2], p)
			}
			for k := range m {
				if len(parts[k]) > 0 {
					m[k].send(piece(1, i, payload), payload, parts[k]...).Close()
				}
			}
		}
		m[0].end(1, n)
		synctest.Wait()
		c.wants(t, locations(1, n)...)
		if s := r.State().Bonds[0]; s.Members[0].Alone+s.Members[1].Alone != 1 {
			t.Errorf("%d and %d objects came by one member alone, want the first, of one chunk", s.Members[0].Alone, s.Members[1].Alone)
		}
		time.Sleep(20 * time.Millisecond) // acknowledgements
		for i := range m {
			sent := m[i].Sent()
			if got, done := m[i].acknowledged(uint64(i)); got != sent {
				t.Errorf("member %d has sent %d chunks, of which %d are acknowledged; done: %v", i, sent, got, done)
			}
		}
		// All are told done, to one or the other.
		_, done := m[0].acknowledged(0)
		_, more := m[1].acknowledged(0)
		for i := range uint64(n + 1) {
			if o := (bond.Object{Alias: bondAlias, Group: 1, Object: i}); !slices.Contains(append(done, more...), o) {
				t.Errorf("object %d was not told done", i)
			}
		}
	})
}

// TestBondLosesMember ends the connection that has sent one half of an object, and
// with it the subscription that the relay made first.
func TestBondLosesMember(t *testing.T) {
	bonded(t, 3, func(t *testing.T, r *relay.Relay, m []*bondMember, _ *bond.Joined) {
		c := watch(t, r)
		synctest.Wait()
		payload := random(1, 0, 100_000)
		m[1].send(piece(1, 0, payload), payload, cut(0, 30_000)...)
		m[0].send(piece(1, 0, payload), payload, cut(30_000, 60_000)...)
		synctest.Wait()
		m[0].sess.Close()
		m[1].sess.Close()
		time.Sleep(time.Second)
		m[2].send(piece(1, 0, payload), payload, cut(60_000, 100_000)...).Close()
		for i := range uint64(10) {
			b := random(1, 1+i, 10_000)
			m[2].whole(piece(1, 1+i, b), b)
		}
		m[2].end(1, 11)
		synctest.Wait()
		c.wants(t, locations(1, 11)...)
	})
}

// TestBondCopies sends all objects over both members, cut at other places.
func TestBondCopies(t *testing.T) {
	bonded(t, 2, func(t *testing.T, r *relay.Relay, m []*bondMember, _ *bond.Joined) {
		c := watch(t, r)
		synctest.Wait()
		for i := range uint64(10) {
			b := random(1, i, 20_000)
			m[0].whole(piece(1, i, b), b)
			if i >= 5 {
				synctest.Wait() // these would be whole without the other
			}
			m[1].send(piece(1, i, b), b, append(cut(10_001, 20_000), cut(0, 10_001)...)...).Close()
		}
		synctest.Wait()
		c.wants(t, locations(1, 10)...)
		if s := r.State().Bonds; len(s) != 1 || s[0].Bytes != 200_000 || s[0].Duplicate != 200_000 || s[0].Objects != 10 || s[0].Held != 0 {
			t.Errorf("the bond is %+v, want 200,000 bytes, and as many duplicates", s)
		}
		if alone := r.State().Bonds[0].Members[0].Alone; alone < 5 {
			t.Errorf("the first member has brought %d objects alone, want 5 and more", alone)
		}
	})
}

// TestBondOfPublished has members offer the track by PUBLISH.
func TestBondOfPublished(t *testing.T) {
	bonded(t, 2, func(t *testing.T, r *relay.Relay, m []*bondMember, _ *bond.Joined) {
		name := moqt.NS("live", "other").Track("video")
		for _, m := range m {
			if _, err := m.sess.Publish(t.Context(), name, &transport.PublishOptions{Alias: bondAlias + 1}); err != nil {
				t.Fatal(err)
			}
		}
		tr, err := connect(t, r, nil).Subscribe(t.Context(), name, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := collect(tr)
		synctest.Wait()
		for i := range uint64(4) {
			b := random(1, i, 9_000)
			h := piece(1, i, b)
			h.Alias = bondAlias + 1
			if i == 2 {
				m[0].sess.Close()
			}
			m[1].whole(h, b)
		}
		synctest.Wait()
		c.wants(t, locations(1, 4)...)
		tr.Close()
	})
}

// TestBondAndOrdinaryStreams sends some objects of a subgroup in chunks and some on
// ordinary streams, and one by halves on both.
func TestBondAndOrdinaryStreams(t *testing.T) {
	bonded(t, 2, func(t *testing.T, r *relay.Relay, m []*bondMember, _ *bond.Joined) {
		c := watch(t, r)
		synctest.Wait()
		m[0].mu.Lock()
		w := m[0].writers[0]
		m[0].mu.Unlock()
		sg, err := w.OpenSubgroup(t.Context(), moqt.Subgroup{Group: 1, DefaultPriority: true, First: true, EndOfGroup: true})
		if err != nil {
			t.Fatal(err)
		}
		size := func(id uint64) int { return 30_000 }
		ordinary := func(id uint64) {
			sg.WriteObject(moqt.Object{Location: moqt.Location{Group: 1, Object: id}, Payload: random(1, id, size(id))})
			synctest.Wait()
		}
		chunks := func(id uint64, ranges ...[2]int) {
			b := random(1, id, size(id))
			m[1].send(piece(1, id, b), b, ranges...)
			synctest.Wait()
		}
		ordinary(0)
		ordinary(1)
		chunks(2, cut(0, 30_000)...)
		chunks(3, cut(0, 10_000)...)
		ordinary(3) // the rest of it
		chunks(4, cut(0, 30_000)...)
		chunks(6, cut(0, 30_000)...) // waits for
		ordinary(5)
		chunks(7, cut(0, 30_000)...)
		m[1].end(1, 8)
		synctest.Wait()
		c.wants(t, locations(1, 8)...)
		if s := r.State().Bonds[0]; s.Lost != 0 || s.Held != 0 {
			t.Errorf("%d objects were lost, %d bytes are held", s.Lost, s.Held)
		}
	})
}

// TestBondGivesUp never sends the end of one object. Its stream downstream is reset,
// what follows goes on, and the object is not said not to exist.
func TestBondGivesUp(t *testing.T) {
	bonded(t, 2, func(t *testing.T, r *relay.Relay, m []*bondMember, _ *bond.Joined) {
		tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		synctest.Wait()
		for i := range uint64(4) {
			b := random(1, i, 20_000)
			if i == 1 {
				m[0].send(piece(1, i, b), b, cut(0, 10_000)...)
				continue
			}
			m[i%2].whole(piece(1, i, b), b)
		}
		first, err := tr.AcceptSubgroup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if o, err := first.ReadObject(); err != nil || o.Location.Object != 0 {
			t.Fatalf("object %v, %v", o.Location, err)
		}
		began := time.Now()
		second, err := tr.AcceptSubgroup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if late := time.Since(began); late < 2*time.Second || late > 2500*time.Millisecond {
			t.Errorf("what follows came after %v, want a bit more than 2 s", late)
		}
		for i := uint64(2); i < 4; i++ {
			if o, err := second.ReadObject(); err != nil || o.Location.Object != i || !bytes.Equal(o.Payload, random(1, i, 20_000)) {
				t.Errorf("object %v, %v, want %d", o.Location, err, i)
			}
		}
		if o, err := first.ReadObject(); !errors.As(err, new(*transport.StreamError)) {
			t.Errorf("object 1 ends with %v, %v, want a reset", o.Location, err)
		}
		if second.Header().First {
			t.Error("the second stream says that it has the first object of the subgroup")
		}
	})
}

// TestBondGone ends all connections of a bond. When one is back in time it goes on
// in the middle of an object, and the subscriber has seen nothing.
func TestBondGone(t *testing.T) {
	bonded(t, 2, func(t *testing.T, r *relay.Relay, m []*bondMember, b *bond.Joined) {
		c := watch(t, r)
		synctest.Wait()
		payload := random(1, 0, 40_000)
		m[0].send(piece(1, 0, payload), payload, cut(0, 20_000)...)
		synctest.Wait()
		m[0].sess.Close()
		m[1].sess.Close()
		time.Sleep(1500 * time.Millisecond)
		back := plug(t, r, m[0].sess.Version(), 7)
		back.join(b)
		synctest.Wait()
		back.send(piece(1, 0, payload), payload, cut(20_000, 40_000)...)
		back.end(1, 1)
		synctest.Wait()
		c.wants(t, locations(1, 1)...)
		back.sess.Close()
		time.Sleep(9 * time.Second) // subscribers wait as long as the bond does
		if len(r.State().Bonds) != 1 {
			t.Error("the bond did not wait for members")
		}
		select {
		case <-c.done:
			t.Errorf("the subscription has ended with %v", c.err)
		default:
		}
		time.Sleep(2 * time.Second)
		if n := len(r.State().Bonds); n != 0 {
			t.Errorf("%d bonds are left", n)
		}
		<-c.done
		late := plug(t, r, m[0].sess.Version(), 8)
		if a, ok := late.ask(late.proof(b)).(*bond.Refused); !ok || a.Code != moqt.RequestUnauthorized {
			t.Errorf("a join of the bond that is over gave %+v", a)
		}
	})
}

// TestBondFlaps has a member come and go a hundred times, in the middle of objects
// that another completes.
func TestBondFlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		m, b := newBond(t, r, moqt.Draft18, 1)
		c := watch(t, r)
		synctest.Wait()
		goroutines := 0
		const n = 100
		for i := range uint64(n) {
			flap := plug(t, r, moqt.Draft18, 1+i)
			flap.join(b)
			payload := random(1, i, 30_000)
			flap.send(piece(1, i, payload), payload, cut(0, 15_000)...)
			synctest.Wait()
			flap.sess.Close()
			m[0].send(piece(1, i, payload), payload, cut(15_000, 30_000)...).Close()
			time.Sleep(200 * time.Millisecond)
			synctest.Wait()
			if i == 4 {
				goroutines = runtime.NumGoroutine()
			}
		}
		if now := runtime.NumGoroutine(); now > goroutines+10 {
			t.Errorf("%d goroutines after %d flaps, %d after 5", now, n, goroutines)
		}
		c.wants(t, locations(1, n)...)
		if s := r.State(); s.Bonds[0].Held != 0 || len(s.Bonds[0].Members) != 1 || len(s.Sessions) != 2 {
			t.Errorf("%+v and %d sessions are left", s.Bonds, len(s.Sessions))
		}
	})
}

// TestBondTrackEnds ends the track on all members while an object is on its way.
func TestBondTrackEnds(t *testing.T) {
	bonded(t, 2, func(t *testing.T, r *relay.Relay, m []*bondMember, _ *bond.Joined) {
		c := watch(t, r)
		synctest.Wait()
		payload := random(1, 0, 40_000)
		m[0].send(piece(1, 0, payload), payload, cut(0, 20_000)...)
		synctest.Wait()
		for _, m := range m {
			m.mu.Lock()
			m.writers[0].Close()
			m.mu.Unlock()
		}
		time.Sleep(300 * time.Millisecond)
		m[1].send(piece(1, 0, payload), payload, cut(20_000, 40_000)...)
		m[1].end(1, 1)
		<-c.done
		c.wants(t, locations(1, 1)...)
		if c.err != nil {
			t.Errorf("the track ended with %v", c.err)
		}
	})
}

// TestBondStuckMember has a member that reads nothing of what the relay tells it:
// neither the others nor its own chunks wait for that.
func TestBondStuckMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		m, _ := newBond(t, r, moqt.Draft18, 2)
		m[0].deaf.Store(true)
		c := watch(t, r)
		synctest.Wait()
		const n = 16_000 // whose acknowledgements are more than a pipe holds
		for i := range uint64(n) {
			b := random(1, i, 200)
			m[0].whole(piece(1, i, b), b)
			if i%20 == 0 { // in whatever order they arrive, an acknowledgement has room for them
				time.Sleep(1200 * time.Microsecond)
			}
		}
		time.Sleep(time.Second)
		c.wants(t, locations(1, n)...)
		if got, _ := m[1].acknowledged(0); got != n {
			t.Errorf("%d chunks of the member that reads nothing are acknowledged to the other, want %d", got, n)
		}
		m[0].deaf.Store(false)
	})
}

// TestBondAcknowledges counts chunks and time.
func TestBondAcknowledges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		m, _ := newBond(t, r, moqt.Draft18, 1)
		watch(t, r)
		synctest.Wait()
		payload := random(1, 0, 40_960)
		for _, step := range []struct {
			chunks int
			after  time.Duration
			want   uint64
		}{
			{1, time.Millisecond, 0}, {0, time.Millisecond, 1}, // in 2 ms
			{7, 0, 1}, {1, 0, 9}, // eight at once
			{1, 2 * time.Millisecond, 10},
		} {
			at := int(m[0].Sent()) * 4096
			if step.chunks > 0 {
				m[0].send(piece(1, 0, payload), payload, cut(at, at+4096*step.chunks)...).Close()
			}
			time.Sleep(step.after)
			synctest.Wait()
			if got, _ := m[0].acknowledged(0); got != step.want {
				t.Errorf("after %+v %d chunks are acknowledged", step, got)
			}
		}
		m[0].mu.Lock()
		defer m[0].mu.Unlock()
		last := m[0].acks[len(m[0].acks)-1]
		if since := last.Received - m[0].acks[0].Received; since != 2*time.Millisecond {
			t.Errorf("the last chunk was received %v after the first, by the relay's clock", since)
		}
	})
}

// TestBondSpacesAcknowledgements has chunks come one after another for a second:
// the first few are acknowledged after 2 ms each, and then those of 10 ms together.
// After a pause it is as in the beginning.
func TestBondSpacesAcknowledgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		m, _ := newBond(t, r, moqt.Draft18, 1)
		watch(t, r)
		synctest.Wait()
		acks := func() int {
			m[0].mu.Lock()
			defer m[0].mu.Unlock()
			return len(m[0].acks)
		}
		payload := random(1, 0, 1<<20)
		send := func(d time.Duration) int {
			before := acks()
			for range d / (5 * time.Millisecond) {
				at := int(m[0].Sent()) * 1024
				m[0].send(piece(1, 0, payload), payload, cut(at, at+1024)...).Close()
				time.Sleep(5 * time.Millisecond)
			}
			synctest.Wait()
			return acks() - before
		}
		for _, step := range []struct {
			lasts, least, most int
		}{{100, 19, 20}, {900, 90, 102}, {-1000, 0, 0}, {100, 19, 20}} {
			d := time.Duration(step.lasts) * time.Millisecond
			if d < 0 {
				time.Sleep(-d)
				continue
			}
			if n := send(d); n < step.least || n > step.most {
				t.Errorf("%d acknowledgements in %v, want %d to %d", n, d, step.least, step.most)
			}
		}
	})
}

// TestBondHead has the head of the running group fetched from one member, while
// objects come in chunks: they wait, and the next viewer has the group in one piece.
func TestBondHead(t *testing.T) {
	bonded(t, 3, func(t *testing.T, r *relay.Relay, m []*bondMember, _ *bond.Joined) {
		for _, m := range m {
			m.mu.Lock()
			m.largest, m.fetchWait = 4, 500*time.Millisecond
			m.mu.Unlock()
		}
		watch(t, r)
		synctest.Wait()
		for i := range uint64(3) {
			b := random(1, 5+i, 6_000)
			h := piece(1, 5+i, b)
			h.Begins = i == 0
			m[i].whole(h, b)
		}
		time.Sleep(time.Second)
		tr, f, err := connect(t, r, nil).Join(t.Context(), track, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		defer f.Close()
		for i := range uint64(8) {
			if o, err := f.ReadObject(t.Context()); err != nil || o.Location != (moqt.Location{Group: 1, Object: i}) || !bytes.Equal(o.Payload, random(1, i, len(o.Payload))) {
				t.Fatalf("object %d of the group: %v, %v", i, o.Location, err)
			}
		}
		fetched := 0
		for _, m := range m {
			m.mu.Lock()
			fetched += m.fetched
			m.mu.Unlock()
		}
		if fetched != 1 {
			t.Errorf("%d fetches were sent to the members, want 1", fetched)
		}
	})
}
