package relay_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/bond/bondtest"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// bondAlias is the alias of track on all connections of a test's bond.
const bondAlias = 9

// bondMember is a connection of a publisher that speaks the bond extension. It
// accepts subscriptions to track, and sends what the test wants.
type bondMember struct {
	*bondtest.Member
	t       testing.TB
	r       *relay.Relay
	sess    *transport.Session
	control transport.SendStream // its bond stream
	deaf    atomic.Bool          // it reads nothing of its bond stream

	mu         sync.Mutex
	writers    []*transport.TrackWriter
	acks       []*bond.Ack
	subscribed int
	fetched    int
	largest    uint64 // object of group 1, if not 0
	fetchWait  time.Duration
}

// plug opens a session with r that offers bonds, in draft v, and publishes track on
// it. It has not joined.
func plug(t testing.TB, r *relay.Relay, v moqt.Version, number uint64) *bondMember {
	t.Helper()
	return plugWith(t, r, v, number, plugOptions{})
}

type plugOptions struct {
	tokens []transport.Token
	other  bool // it has not the track
	window int  // bytes of a stream that may be unread; 0 is the default
}

// plugWith is plug with options.
func plugWith(t testing.TB, r *relay.Relay, v moqt.Version, number uint64, o plugOptions) *bondMember {
	t.Helper()
	m := &bondMember{Member: bondtest.New(number), t: t, r: r}
	m.Heard = m.hear
	client, server := transporttest.Pipe(t, &transporttest.PipeOptions{Version: v, Window: o.window})
	var wg sync.WaitGroup
	wg.Go(func() {
		s, err := transport.NewSession(t.Context(), server, &transport.Config{Extensions: r.Extensions()})
		if err != nil {
			t.Error(err)
			return
		}
		r.ServeSession(t.Context(), s)
	})
	var err error
	m.sess, err = transport.NewSession(t.Context(), client, &transport.Config{Tokens: o.tokens, Extensions: []transport.Extension{m.Extension()}})
	if err != nil {
		t.Fatal(err)
	}
	m.Session = m.sess
	t.Cleanup(func() {
		m.sess.Close()
		wg.Wait()
	})
	if !o.other {
		if _, err := m.sess.Announce(t.Context(), track.Namespace); err != nil {
			t.Fatal(err)
		}
	}
	go m.serve()
	return m
}

// hear takes note of what the relay acknowledges.
func (m *bondMember) hear(ack *bond.Ack) {
	for m.deaf.Load() && m.sess.Context().Err() == nil {
		time.Sleep(time.Second)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acks = append(m.acks, ack)
}

func (m *bondMember) serve() {
	for {
		req, err := m.sess.Accept(context.Background())
		if err != nil {
			return
		}
		m.mu.Lock()
		switch req := req.(type) {
		case *transport.SubscribeRequest:
			m.subscribed++
			o := &transport.PublishOptions{Alias: bondAlias}
			if at := m.largest; at > 0 {
				o.Largest = func() (moqt.Location, bool) { return moqt.Location{Group: 1, Object: at}, true }
			}
			if w, err := req.Accept(o); err == nil {
				m.writers = append(m.writers, w)
			}
		case *transport.FetchRequest:
			m.fetched++
			if m.largest == 0 {
				req.Reject(moqt.RequestNotSupported, "no")
				break
			}
			go m.answerFetch(req, m.largest, m.fetchWait)
		default:
			req.Reject(moqt.RequestNotSupported, "no")
		}
		m.mu.Unlock()
	}
}

// answerFetch sends all of group 1, a while later.
func (m *bondMember) answerFetch(req *transport.FetchRequest, largest uint64, wait time.Duration) {
	time.Sleep(wait)
	w, err := req.Accept(transport.FetchInfo{End: req.Range.End})
	if err != nil {
		return
	}
	defer w.Close()
	for i := range largest + 1 {
		w.WriteObject(moqt.Object{Location: moqt.Location{Group: 1, Object: i}, Priority: moqt.DefaultPriority, Payload: random(1, i, 700)})
	}
}

// ask sends BOND_JOIN and returns the answer.
func (m *bondMember) ask(j *bond.Join) (answer bond.Message) {
	m.t.Helper()
	var err error
	if m.control, answer, err = m.Ask(m.t.Context(), j); err != nil && m.sess.Context().Err() == nil {
		m.t.Errorf("BOND_JOIN was not answered: %v", err)
	}
	return answer
}

// open opens a stream of the extension and writes b to it.
func (m *bondMember) open(typ uint64, b []byte) transport.SendStream {
	m.t.Helper()
	return m.check(m.Open(m.t.Context(), typ, b))
}

// check wants a stream, unless the session is over.
func (m *bondMember) check(st transport.SendStream, err error) transport.SendStream {
	m.t.Helper()
	if err != nil && m.sess.Context().Err() == nil {
		m.t.Error(err)
	}
	return st
}

// found makes the bond.
func (m *bondMember) found() *bond.Joined {
	m.t.Helper()
	joined, ok := m.ask(&bond.Join{Member: m.Number, Path: "wlan0"}).(*bond.Joined)
	if !ok {
		m.t.Fatal("no bond was made")
	}
	return joined
}

// join joins it.
func (m *bondMember) join(b *bond.Joined) {
	m.t.Helper()
	if joined, ok := m.ask(m.proof(b)).(*bond.Joined); !ok || joined.Bond != b.Bond || joined.Secret != (bond.Secret{}) {
		m.t.Fatalf("joined with %+v", joined)
	}
}

// proof is the join that the bond's secret makes.
func (m *bondMember) proof(b *bond.Joined) *bond.Join {
	m.t.Helper()
	j, err := m.Proof(b)
	if err != nil {
		m.t.Fatal(err)
	}
	return j
}

// newBond returns n members of a new bond.
func newBond(t testing.TB, r *relay.Relay, v moqt.Version, n int) ([]*bondMember, *bond.Joined) {
	t.Helper()
	first := plug(t, r, v, 0)
	b := first.found()
	members := []*bondMember{first}
	for i := range n - 1 {
		m := plug(t, r, v, uint64(i+1))
		m.join(b)
		members = append(members, m)
	}
	return members, b
}

// piece is the header of an object of the test's track, which has groups of one
// subgroup.
func piece(group, object uint64, payload []byte) *bond.Header {
	h := &bond.Header{Object: bond.Object{Alias: bondAlias, Group: group, Object: object}, Priority: moqt.DefaultPriority, Size: int64(len(payload))}
	if object > 0 {
		h.Previous = 1
	}
	return h
}

// send sends chunks of payload, from each first of ranges to its second, on one
// stream.
func (m *bondMember) send(h *bond.Header, payload []byte, ranges ...[2]int) transport.SendStream {
	m.t.Helper()
	return m.check(m.Send(m.t.Context(), h, payload, ranges...))
}

// whole sends an object in chunks of some kilobytes and ends the stream.
func (m *bondMember) whole(h *bond.Header, payload []byte) {
	m.t.Helper()
	m.send(h, payload, cut(0, len(payload))...).Close()
}

// ordinary sends the first object of a group on an ordinary stream.
func (m *bondMember) ordinary(t *testing.T, group uint64, payload []byte) {
	t.Helper()
	m.mu.Lock()
	w := m.writers[0]
	m.mu.Unlock()
	sg, err := w.OpenSubgroup(t.Context(), moqt.Subgroup{Group: group, DefaultPriority: true, First: true, EndOfGroup: true})
	if err == nil {
		err = sg.WriteObject(moqt.Object{Location: moqt.Location{Group: group}, Payload: payload})
	}
	if err != nil {
		t.Error(err)
	}
}

// end tells the end of a group of n objects.
func (m *bondMember) end(group, n uint64) {
	m.t.Helper()
	h := piece(group, n, nil)
	h.End, h.Last = true, true
	m.send(h, nil, [2]int{}).Close()
}

// cut returns ranges of 4 kB.
func cut(from, to int) (ranges [][2]int) {
	if from == to {
		return [][2]int{{from, to}}
	}
	for ; from < to; from += 4 << 10 {
		ranges = append(ranges, [2]int{from, min(to, from+4<<10)})
	}
	return ranges
}

// acknowledged returns the sequences of member number that m was told of, and the
// objects told done.
func (m *bondMember) acknowledged(number uint64) (n uint64, done []bond.Object) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.acks {
		if a.Member == number {
			n = 0
			for _, r := range a.Ranges {
				n += r.Last - r.First + 1
			}
		}
		done = append(done, a.Done...)
	}
	return n, done
}

// random returns n bytes that are those of a location every time.
func random(group, object uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(group), byte(object), byte(object >> 8)})
	b := make([]byte, n)
	r.Read(b)
	return b
}

// watch subscribes to track.
func watch(t *testing.T, r *relay.Relay) *collector {
	t.Helper()
	tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return collect(tr)
}

// wants checks that the collector has these objects, each once, with the bytes that
// random gives.
func (c *collector) wants(t *testing.T, want ...moqt.Location) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var got []moqt.Location
	for _, o := range c.got {
		got = append(got, o.Location)
		if !bytes.Equal(o.Payload, random(o.Group, o.Location.Object, len(o.Payload))) {
			t.Errorf("object %v has other bytes", o.Location)
		}
	}
	slices.SortFunc(got, moqt.Location.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("the subscriber has %v, want %v", got, want)
	}
}

// group returns the locations of n objects of a group.
func locations(group, n uint64) (l []moqt.Location) {
	for i := range n {
		l = append(l, moqt.Location{Group: group, Object: i})
	}
	return l
}
