package bond

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// testRelay is the other end of a bond: it takes joins, puts objects together and
// acknowledges, and nothing else.
type testRelay struct {
	t      *testing.T
	net    *netsim.Network
	url    string
	client *tls.Config
	server *tls.Config
	l      *transport.Listener
	wg     sync.WaitGroup
	cancel context.CancelFunc
	began  time.Time

	// What a test may change before there is a connection.
	answer  func(*bond.Join) bond.Message // in place of the right one, if it returns one
	without bool                          // it does not know the extension
	stops   map[bond.Object]bool          // whose streams it stops
	full    map[uint64]bool               // members for whose chunks it has no room
	largest int64                         // bytes that it takes of an object; 0 is the most there may be
	name    string                        // MOQT_IMPLEMENTATION
	ack     func(*bond.Ack)               // changes what is sent
	mute    func() bool                   // the join has no answer
	again   []byte                        // is sent behind the answer

	mu      sync.Mutex // guards what follows
	id      bond.ID
	secret  bond.Secret
	members map[uint64]*relayMember
	joins   []*bond.Join
	objects map[bond.Object]*arrived
	gone    map[bond.Object]bool // that it was told not to wait for
	order   []bond.Object        // as they became whole
	done    []bond.Object
	bytes   int64 // of payload, copies too
}

type relayMember struct {
	number  uint64
	sess    *transport.Session
	st      transport.SendStream
	tracker bond.Tracker
}

// arrived is an object, or what there is of it.
type arrived struct {
	header  bond.Header
	have    spans
	payload []byte
	at      time.Time // when it was whole
}

func newTestRelay(t *testing.T, net *netsim.Network) *testRelay {
	r := &testRelay{t: t, net: net, began: time.Now(), members: make(map[uint64]*relayMember), objects: make(map[bond.Object]*arrived), gone: make(map[bond.Object]bool)}
	r.server, r.client = transporttest.TLS(t)
	r.name = "tributary/test"
	r.start()
	t.Cleanup(r.stop)
	return r
}

func (r *testRelay) start() {
	pc := r.net.Listen()
	l, err := transport.Listen(pc, r.server, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.l = l
	if r.url == "" {
		r.url = "moqt://" + l.Addr().String()
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.wg.Go(func() {
		for {
			conn, err := l.Accept(ctx)
			if err != nil {
				return
			}
			r.wg.Go(func() { r.serve(ctx, conn) })
		}
	})
	r.wg.Go(func() { r.acknowledge(ctx) })
}

func (r *testRelay) stop() {
	r.cancel()
	r.l.Close()
	r.wg.Wait()
}

func (r *testRelay) serve(ctx context.Context, conn transport.Conn) {
	cfg := &transport.Config{Implementation: r.name}
	if !r.without {
		cfg.Extensions = []transport.Extension{{
			Option: bond.OfferOption(), Agree: bond.Offered, Streams: []uint64{bond.StreamType, bond.ChunkType}, Serve: r.stream,
		}}
	}
	sess, err := transport.NewSession(ctx, conn, cfg)
	if err != nil {
		conn.CloseWithError(moqt.SessionInternalError, "")
		return
	}
	defer sess.Close()
	for {
		req, err := sess.Accept(ctx)
		if err != nil {
			return
		}
		if a, ok := req.(*transport.AnnounceRequest); ok {
			a.Accept()
		}
	}
}

func (r *testRelay) stream(sess *transport.Session, typ uint64, st transport.ReceiveStream) error {
	if typ == bond.ChunkType {
		return r.chunks(sess, st)
	}
	m, err := bond.ReadMessage(bufio.NewReader(st))
	if err != nil {
		return err
	}
	join := m.(*bond.Join)
	out, err := sess.OpenExtensionStream(sess.Context(), bond.StreamType)
	if err != nil {
		return nil
	}
	r.mu.Lock()
	mute := r.mute != nil && r.mute()
	r.mu.Unlock()
	if !mute {
		out.Write(bond.AppendMessage(nil, r.join(join, sess, out)))
	}
	r.mu.Lock()
	again := r.again
	r.again = nil
	r.mu.Unlock()
	if again != nil {
		out.Write(again)
	}
	<-sess.Context().Done()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.members, join.Member)
	return nil
}

func (r *testRelay) join(j *bond.Join, sess *transport.Session, st transport.SendStream) bond.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.joins = append(r.joins, j)
	if r.answer != nil {
		if m := r.answer(j); m != nil {
			return m
		}
	}
	joined := &bond.Joined{MaxMembers: 32, MaxObject: cmp.Or(r.largest, bond.MaxObject), MaxHeld: 32 << 20, Hold: 2 * time.Second}
	if j.Proof == nil {
		r.id, r.secret = bond.NewBond()
		joined.Secret = r.secret
	} else {
		exporter, err := sess.ExportKeyingMaterial(bond.ExporterLabel, nil, bond.ExporterLength)
		if err != nil || j.Bond != r.id || !bond.Proven(j.Proof, r.secret, r.id, j.Member, exporter) {
			return &bond.Refused{Code: moqt.RequestUnauthorized, Reason: "not proven"}
		}
	}
	joined.Bond = r.id
	r.members[j.Member] = &relayMember{number: j.Member, sess: sess, st: st}
	return joined
}

func (r *testRelay) memberOf(sess *transport.Session) *relayMember {
	for _, m := range r.members {
		if m.sess == sess {
			return m
		}
	}
	return nil
}

func (r *testRelay) chunks(sess *transport.Session, st transport.ReceiveStream) error {
	cr, err := bond.NewChunkReader(bufio.NewReader(st))
	if err != nil {
		if errors.As(err, new(*transport.StreamError)) {
			return nil
		}
		return err
	}
	h := *cr.Header()
	if r.stops[h.Object] && !h.Gone {
		st.CancelRead(bond.StopAll)
		return nil
	}
	r.mu.Lock()
	m := r.memberOf(sess)
	full := m != nil && r.full[m.number]
	r.mu.Unlock()
	if full {
		st.CancelRead(bond.StopHere)
		return nil
	}
	for {
		c, err := cr.Next()
		if err != nil {
			if err == io.EOF || errors.As(err, new(*transport.StreamError)) || sess.Context().Err() != nil {
				return nil
			}
			return err
		}
		r.take(sess, &h, c)
	}
}

func (r *testRelay) take(sess *transport.Session, h *bond.Header, c bond.Chunk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.memberOf(sess); m != nil {
		m.tracker.Got(c.Sequence, time.Since(r.began))
	}
	r.bytes += int64(len(c.Bytes))
	if h.Gone {
		r.gone[h.Object] = true
		return
	}
	o := r.objects[h.Object]
	if o == nil {
		o = &arrived{header: *h, payload: make([]byte, h.Size)}
		r.objects[h.Object] = o
	}
	if g := o.header; g.Previous != h.Previous || g.Size != h.Size || g.End != h.End || g.Last != h.Last || g.Begins != h.Begins {
		r.t.Errorf("object %v has headers %+v and %+v", h.Object, g, *h)
	}
	copy(o.payload[c.Offset:], c.Bytes)
	o.have.add(span{c.Offset, c.Offset + int64(len(c.Bytes))})
	if o.have.size() == h.Size && o.at.IsZero() {
		o.at = time.Now()
		r.order = append(r.order, h.Object)
		r.done = append(r.done, h.Object)
	}
}

// acknowledge tells every 2 ms what has come, on the bond stream of the member it
// came by and that of the fastest.
func (r *testRelay) acknowledge(ctx context.Context) {
	tick := time.NewTicker(ackDelay)
	defer tick.Stop()
	type out struct {
		st transport.SendStream
		b  []byte
	}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		var outs []out
		r.mu.Lock()
		var fastest *relayMember
		for _, m := range r.members {
			if fastest == nil || m.sess.Stats().RTT < fastest.sess.Stats().RTT {
				fastest = m
			}
		}
		done := r.done
		r.done = nil
		for id, m := range r.members {
			if m.tracker.Unsent() == 0 {
				continue
			}
			a := m.tracker.Ack()
			a.Member, a.Done = id, done
			if r.ack != nil {
				r.ack(a)
			}
			b := bond.AppendMessage(nil, a)
			outs = append(outs, out{m.st, b})
			if m != fastest {
				outs = append(outs, out{fastest.st, b})
			}
		}
		r.mu.Unlock()
		for _, o := range outs {
			o.st.SetWriteDeadline(time.Now().Add(time.Second)) // a path that is dead holds up nobody
			o.st.Write(o.b)
		}
	}
}

// whole returns the objects that are, without ends.
func (r *testRelay) whole() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range r.objects {
		if !o.at.IsZero() && !o.header.End {
			n++
		}
	}
	return n
}

// bonded is a bond that runs against a test relay.
type bonded struct {
	*Bond
	relay *testRelay
	made  map[bond.Object]time.Time
	data  map[bond.Object][]byte
	ended chan error
	stop  context.CancelFunc
}

// startBond runs a bond over links, named a, b, c and so on.
func startBond(r *testRelay, c Config, links ...*netsim.Link) *bonded {
	c.URL = r.url
	if c.Dialer == nil {
		c.Dialer = &transport.Dialer{TLSConfig: r.client}
	}
	if c.Serve == nil {
		c.Serve = func(ctx context.Context, sess *transport.Session, _ bool) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}
	}
	b := &bonded{Bond: New(c), relay: r, made: make(map[bond.Object]time.Time), data: make(map[bond.Object][]byte), ended: make(chan error, 1)}
	for i, l := range links {
		b.AddPath(pathOver(i, l))
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.ended <- b.Run(ctx)
	}()
	r.t.Cleanup(func() {
		cancel()
		<-done
	})
	return b
}

func pathOver(i int, l *netsim.Link) Path {
	return Path{Name: string(rune('a' + i)), ListenPacket: transporttest.ListenPacket(l)}
}

// joined waits until n connections are members.
func (b *bonded) joined(n int) {
	b.relay.t.Helper()
	for range 2000 {
		b.mu.Lock()
		have := len(b.members)
		b.mu.Unlock()
		if have >= n {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.relay.t.Fatalf("the bond has not %d members after 10 s: %+v", n, b.Status())
}

// put sends an object of a group with a made-up payload.
func (b *bonded) put(alias, group, id uint64, size int, class Class) {
	o := bond.Object{Alias: alias, Group: group, Object: id}
	payload := make([]byte, size)
	for i := range payload {
		payload[i] = byte(i*7 + int(group)*31 + int(id)*13)
	}
	b.made[o], b.data[o] = time.Now(), payload
	b.Send(Object{Alias: alias, Group: group, ID: id, Payload: payload, Class: class, Priority: 64})
}

// video publishes for d pictures at 30 a second, as the simulation does, and
// sound. do is called before each picture, if it is not nil.
func (b *bonded) video(bitsPerSecond float64, d time.Duration, do func(frame int)) {
	const fps, gop, key = 30, 60, 6
	delta := int(bitsPerSecond / 8 * gop / fps / (gop - 1 + key))
	tick := time.NewTicker(time.Second / fps)
	defer tick.Stop()
	frames := int(d.Seconds() * fps)
	sound := 0
	for i := range frames {
		if do != nil {
			do(i)
		}
		group := uint64(i / gop)
		if i%gop == 0 {
			if i > 0 {
				b.EndSubgroup(1, group-1, 0, gop, true)
			}
			b.put(1, group, 0, key*delta, Vital)
		} else {
			b.put(1, group, uint64(i%gop), delta, Ordinary)
		}
		for ; sound < (i+1)*47/fps; sound++ {
			if sound > 0 && sound%94 == 0 {
				b.EndSubgroup(2, uint64(sound/94-1), 0, 94, true)
			}
			b.put(2, uint64(sound/94), uint64(sound%94), 340, Vital)
		}
		<-tick.C
	}
}

// result is what became of the objects that were put between two times.
type result struct {
	n, lost       int
	p50, p99, max time.Duration
	late          map[int]float64 // per cent that took more than so many ms, or never came
	gap           time.Duration   // longest time without a new picture
	overhead      float64         // per cent of bytes that came more than once
}

func (b *bonded) result(from, to time.Time) result {
	r := b.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	res := result{late: map[int]float64{200: 0, 500: 0, 1000: 0}}
	var took []time.Duration
	var shown []time.Time
	var unique int64
	for o, made := range b.made {
		got := r.objects[o]
		if got != nil {
			unique += got.have.size()
		}
		if made.Before(from) || !made.Before(to) {
			continue
		}
		d := time.Hour
		if got != nil && !got.at.IsZero() {
			d = got.at.Sub(made)
			if string(got.payload) != string(b.data[o]) {
				r.t.Errorf("object %v has other bytes", o)
			}
			if o.Alias == 1 {
				shown = append(shown, got.at)
			}
		} else {
			res.lost++
		}
		took = append(took, d)
	}
	slices.Sort(took)
	slices.SortFunc(shown, time.Time.Compare)
	for i := 1; i < len(shown); i++ {
		res.gap = max(res.gap, shown[i].Sub(shown[i-1]))
	}
	res.n = len(took)
	if res.n == 0 {
		return res
	}
	res.p50, res.p99, res.max = took[res.n/2], took[res.n*99/100], took[res.n-1]
	for _, d := range took {
		for ms := range res.late {
			if d > time.Duration(ms)*time.Millisecond {
				res.late[ms] += 100 / float64(res.n)
			}
		}
	}
	res.overhead = 100 * float64(r.bytes-unique) / float64(max(1, unique))
	return res
}

func (r result) String() string {
	return fmt.Sprintf("%d objects, %d lost: p50 %d ms, p99 %d, max %d; late@200 %.2f %%, @500 %.2f %%, @1000 %.2f %%; gap %d ms; overhead %.1f %%",
		r.n, r.lost, r.p50.Milliseconds(), r.p99.Milliseconds(), r.max.Milliseconds(), r.late[200], r.late[500], r.late[1000], r.gap.Milliseconds(), r.overhead)
}
