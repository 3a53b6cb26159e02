package multipath

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	wire "github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
)

// attack does something to a bond and its relay until ctx ends or it is done. It
// is for simulated links.
type attack func(ctx context.Context, a *assault) error

// harm is what an attack has come to.
type harm struct {
	tried  int // joins, objects, contradictions
	joined int // strangers that the relay took for members
	putOut int // connections over the bad link that the relay has ended for what they sent
	unjust int // those over other links
}

// badLink is the number of the link whose connections an attack is done with.
const badLink = 2

// assault is an attack in progress.
type assault struct {
	ground *simulated
	bond   *bonded
	bad    *simulatedLink // nil if the scenario has none
	began  time.Time
	keys   chan *unit // the newest key frame, once

	mu   sync.Mutex // guards what follows
	last *unit      // picture that was sent
	harm harm
	err  error
}

// attack begins the scenario's, and returns nil if it has none.
func (st *stage) attack(ctx context.Context) *assault {
	ground, simulated := st.ground.(*simulated)
	b, is := st.sender.(*bonded)
	if st.Attack == nil || !simulated || !is {
		return nil
	}
	a := &assault{ground: ground, bond: b, began: time.Now(), keys: make(chan *unit, 1)}
	if len(st.links) > badLink {
		a.bad = st.links[badLink].(*simulatedLink)
	}
	st.wg.Go(func() {
		if err := st.Attack(ctx, a); err != nil && ctx.Err() == nil {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.err = err
		}
	})
	return a
}

// sent tells the attack of a unit that was sent.
func (a *assault) sent(u *unit) {
	if a == nil || u.track != video {
		return
	}
	a.mu.Lock()
	a.last = u
	a.mu.Unlock()
	if u.vital {
		select {
		case a.keys <- u:
		default:
		}
	}
}

// end puts what has become of the attack into o.
func (a *assault) end(o *Outcome) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	o.Harm = a.harm
	for _, local := range a.bond.expelled() {
		if a.bad != nil && a.bad.owns(local) {
			o.Harm.putOut++
		} else {
			o.Harm.unjust++
		}
	}
	return a.err
}

func (a *assault) count(tried, joined int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.harm.tried += tried
	a.harm.joined += joined
}

func (a *assault) newest() *unit {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

// from waits until d after the beginning of the load.
func (a *assault) from(ctx context.Context, d time.Duration) error {
	return pause(ctx, time.Until(a.began.Add(d)))
}

// present returns the session of the bond over the bad link, or nil if there is
// none now. What it is used to send goes beside what the bond sends.
func (a *assault) present() *transport.Session {
	for _, s := range a.bond.live() {
		if a.bad.owns(s.Info().LocalAddr.String()) {
			return s
		}
	}
	return nil
}

// member waits until that session is there.
func (a *assault) member(ctx context.Context) (*transport.Session, error) {
	for {
		if s := a.present(); s != nil {
			return s, nil
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// chunks sends a stream of chunks over a member. All have the number of a chunk
// that was sent before, so that nobody is told of them.
func chunks(ctx context.Context, s *transport.Session, h *wire.Header, pieces ...wire.Chunk) error {
	b := wire.AppendHeader(nil, h)
	for _, c := range pieces {
		b = wire.AppendChunk(b, &c)
	}
	return raw(ctx, s, b)
}

// raw sends b as a stream of chunks. That the session ends by it, or the relay
// stops the stream, is no error.
func raw(ctx context.Context, s *transport.Session, b []byte) error {
	st, err := s.OpenExtensionStream(ctx, wire.ChunkType)
	if err == nil {
		if _, err = st.Write(b); err == nil {
			err = st.Close()
		}
	}
	if errors.As(err, new(*transport.SessionError)) || errors.As(err, new(*transport.StreamError)) {
		return ctx.Err()
	}
	return err
}

// pictureHeader is that of a picture as the bond sends it.
func pictureHeader(group, object uint64, size int) *wire.Header {
	h := &wire.Header{Object: wire.Object{Alias: firstAlias + video, Group: group, Object: object}, Priority: moqt.DefaultPriority, Size: int64(size)}
	if object > 0 {
		h.Previous = 1
	}
	return h
}

// ear is one at the relay that hears how connections join.
type ear struct {
	mu    sync.Mutex // guards heard
	heard []*bytes.Buffer
}

// earShot is how many bytes of a stream it hears: more than a join has.
const earShot = 512

// beside returns extensions whose streams it hears the beginnings of.
func (e *ear) beside(all []transport.Extension) []transport.Extension {
	all = slices.Clone(all)
	for i := range all {
		serve := all[i].Serve
		all[i].Serve = func(s *transport.Session, typ uint64, st transport.ReceiveStream) error {
			if typ == wire.StreamType {
				st = e.hear(st)
			}
			return serve(s, typ, st)
		}
	}
	return all
}

func (e *ear) hear(st transport.ReceiveStream) transport.ReceiveStream {
	e.mu.Lock()
	defer e.mu.Unlock()
	o := &overheard{st, e, new(bytes.Buffer)}
	e.heard = append(e.heard, o.heard)
	return o
}

// join returns one by which a connection has proved that it is one of a bond.
func (e *ear) join() (*wire.Join, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, b := range e.heard {
		m, err := wire.ReadMessage(bytes.NewReader(b.Bytes()))
		if j, ok := m.(*wire.Join); err == nil && ok && len(j.Proof) > 0 {
			return j, nil
		}
	}
	return nil, fmt.Errorf("of %d bond streams none began with a proof", len(e.heard))
}

type overheard struct {
	transport.ReceiveStream
	ear   *ear
	heard *bytes.Buffer
}

func (o *overheard) Read(b []byte) (int, error) {
	n, err := o.ReceiveStream.Read(b)
	o.ear.mu.Lock()
	defer o.ear.mu.Unlock()
	o.heard.Write(b[:min(n, earShot-min(earShot, o.heard.Len()))])
	return n, err
}
