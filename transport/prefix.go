package transport

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// PrefixUpdate is the peer's wish to have another prefix in a request for namespaces
// or tracks that was accepted. Nothing more is read of the request until it is
// answered, by Accept or Reject. ("Updating Namespace Subscriptions")
type PrefixUpdate struct {
	Prefix moqt.Namespace

	rs     *requestStream
	accept func(moqt.Namespace) error
	once   sync.Once
	answer chan *wire.RequestError // cap 1; nil if it was accepted
}

var errDecided = errors.New("moqt: the update was answered before")

// Accept answers REQUEST_OK. What is told from then on is of the new prefix.
func (u *PrefixUpdate) Accept() error {
	err := errDecided
	u.once.Do(func() {
		err = u.accept(u.Prefix)
		u.answer <- nil
	})
	return err
}

// Reject refuses the update, and ends the request with that. It returns when it has.
func (u *PrefixUpdate) Reject(code moqt.RequestCode, reason string) {
	u.once.Do(func() {
		u.answer <- &wire.RequestError{Code: code, Reason: reason}
		<-u.rs.ctx.Done()
	})
}

// prefixUpdates are those of a request of the peer, if its application takes some.
type prefixUpdates struct {
	mu      sync.Mutex // guards what follows
	updates chan *PrefixUpdate
}

func (p *prefixUpdates) take() <-chan *PrefixUpdate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.updates == nil {
		p.updates = make(chan *PrefixUpdate)
	}
	return p.updates
}

// update offers the application a new prefix of rs, and returns the answer that
// refuses it, or nil if it was accepted and answered, by accept.
func (p *prefixUpdates) update(rs *requestStream, prefix moqt.Namespace, accept func(moqt.Namespace) error) *wire.RequestError {
	p.mu.Lock()
	updates := p.updates
	p.mu.Unlock()
	if updates == nil {
		return &wire.RequestError{Code: moqt.RequestNotSupported, Reason: "the prefix of a request cannot be changed here; make a new request"}
	}
	if other, overlaps := rs.s.rewatch(rs, prefix); overlaps {
		return &wire.RequestError{Code: moqt.RequestPrefixOverlap, Reason: fmt.Sprintf("the prefix overlaps with %v, which is watched on this session", other)}
	}
	u := &PrefixUpdate{Prefix: prefix, rs: rs, accept: accept, answer: make(chan *wire.RequestError, 1)}
	gone := &wire.RequestError{Code: moqt.RequestInternalError, Reason: "the request is over"}
	select {
	case updates <- u:
	case <-rs.ctx.Done():
		return gone
	}
	select {
	case no := <-u.answer:
		return no
	case <-rs.ctx.Done():
		return gone
	}
}

// rewatch puts prefix in the place of that which the peer watches by rs, unless it
// overlaps with that of another request of the kind.
func (s *Session) rewatch(rs *requestStream, prefix moqt.Namespace) (other moqt.Namespace, overlaps bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := -1
	for i, w := range s.watches {
		switch {
		case w.rs == rs:
			own = i
		case w.rs.kind == rs.kind && w.rs.ctx.Err() == nil && (w.prefix.HasPrefix(prefix) || prefix.HasPrefix(w.prefix)):
			return w.prefix, true
		}
	}
	if own >= 0 {
		s.watches[own].prefix = prefix
	}
	return moqt.Namespace{}, false
}

// PrefixUpdates gives the peer's wishes for another prefix. It is to be called
// before Accept; if it is not, they are refused with NOT_SUPPORTED. Only one
// goroutine should wait on it.
func (r *WatchRequest) PrefixUpdates() <-chan *PrefixUpdate { return r.prefixes.take() }

// PrefixUpdates is as for [WatchRequest].
func (r *TracksRequest) PrefixUpdates() <-chan *PrefixUpdate { return r.prefixes.take() }

// setPrefix has w tell of another prefix, of which nothing is told yet, and answers
// the update that wants that.
func (w *NamespaceWriter) setPrefix(prefix moqt.Namespace) error {
	return w.inTurn(func() error {
		w.prefix = prefix
		clear(w.told)
		return w.rs.send(&wire.RequestOK{})
	})
}

func (r *TracksRequest) setPrefix(prefix moqt.Namespace) error {
	r.mu.Lock()
	r.prefix = prefix
	r.mu.Unlock()
	return r.rs.send(&wire.RequestOK{})
}

// prefixChanges are the prefixes that updates of ours want, until they are answered.
type prefixChanges struct {
	mu   sync.Mutex // guards what follows
	asks map[uint64]moqt.Namespace
}

// change asks the peer for another prefix of rs and waits for its answer. What the
// peer says after it is read with the new prefix, for which taken sees to it.
func (p *prefixChanges) change(ctx context.Context, rs *requestStream, prefix moqt.Namespace) error {
	if !rs.s.profile.PrefixUpdates() {
		return errors.New("moqt: the draft of the session has no updates of a prefix")
	}
	_, err := rs.update(ctx, wire.Params{Prefix: wire.Some(prefix)}, func(id uint64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.asks == nil {
			p.asks = make(map[uint64]moqt.Namespace)
		}
		p.asks[id] = prefix
	})
	if err != nil {
		return fmt.Errorf("moqt: change the prefix to %v: %w", prefix, err)
	}
	return nil
}

// taken returns the prefix that the answered update asked for, if it did for one and
// the answer is not a refusal.
func (p *prefixChanges) taken(id uint64, m wire.Message) (prefix moqt.Namespace, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	prefix, ok = p.asks[id]
	delete(p.asks, id)
	_, agreed := m.(*wire.RequestOK)
	return prefix, ok && agreed
}

// SetPrefix asks the peer for the namespaces under another prefix from now on, and
// waits for its answer. All namespaces of before are told as gone, and those under
// the new prefix come anew. A refusal ends the request.
func (n *NamespaceReader) SetPrefix(ctx context.Context, prefix moqt.Namespace) error {
	return n.changes.change(ctx, n.rs, prefix)
}

// answered takes note of an answer to an update, in order with what else the peer
// says.
func (n *NamespaceReader) answered(id uint64, m wire.Message) {
	prefix, ok := n.changes.taken(id, m)
	if !ok {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.prefix = prefix
	for ns := range n.live {
		n.events = append(n.events, NamespaceEvent{ns, true})
	}
	clear(n.live)
	n.wakeLocked()
}

// SetPrefix asks the peer for the tracks under another prefix from now on, and waits
// for its answer. Tracks that were published under the old one go on. A refusal ends
// the request.
func (t *TracksReader) SetPrefix(ctx context.Context, prefix moqt.Namespace) error {
	return t.changes.change(ctx, t.rs, prefix)
}

func (t *TracksReader) answered(id uint64, m wire.Message) {
	if prefix, ok := t.changes.taken(id, m); ok {
		t.mu.Lock()
		t.prefix = prefix
		t.mu.Unlock()
	}
}
