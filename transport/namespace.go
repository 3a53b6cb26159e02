package transport

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// Announcement is a namespace that this end has announced (PUBLISH_NAMESPACE)
// and the peer has accepted.
type Announcement struct {
	rs *requestStream
	ns moqt.Namespace
}

// Announce tells the peer that this end has tracks under ns and waits until it
// has accepted. The peer may then subscribe to them.
func (s *Session) Announce(ctx context.Context, ns moqt.Namespace) (*Announcement, error) {
	rs, m, err := s.request(ctx, wire.KindPublishNamespace, 0, nil, func(id uint64) wire.Message {
		return &wire.PublishNamespace{RequestID: id, Namespace: ns}
	})
	if err != nil {
		return nil, err
	}
	if _, ok := m.(*wire.RequestOK); !ok {
		return nil, rs.unexpected(m)
	}
	if !s.wg.Go(rs.followToEnd) {
		return nil, s.cause()
	}
	return &Announcement{rs, ns}, nil
}

// followToEnd reads a request of ours on which the peer has nothing more to
// say, until it ends.
func (rs *requestStream) followToEnd() {
	err := rs.follow(rs.unexpected)
	rs.abort(moqt.StreamCancelled, rs.endOf(err))
}

// Namespace returns what was announced.
func (a *Announcement) Namespace() moqt.Namespace { return a.ns }

// Context ends when the announcement does: withdrawn here, revoked by the peer
// or with the session.
func (a *Announcement) Context() context.Context { return a.rs.ctx }

// Close withdraws the announcement.
func (a *Announcement) Close() error {
	a.rs.abort(moqt.StreamCancelled, ErrClosed)
	return nil
}

// AnnounceRequest is the peer's word that it has tracks under a namespace
// (PUBLISH_NAMESPACE). After Accept its Context ends when the peer withdraws it.
type AnnounceRequest struct {
	incoming
	Namespace moqt.Namespace
}

func (s *Session) serveAnnounce(rs *requestStream, m *wire.PublishNamespace) {
	if s.reserved(rs, m.Namespace) {
		return
	}
	if s.offer(rs, &AnnounceRequest{incoming: incoming{rs}, Namespace: m.Namespace}) {
		s.hold(rs, nil, nil)
	}
}

// hold follows a namespace request until the peer ends it, by FIN or reset. If
// not nil, updated is given what updates say and may refuse it; moved is given a new
// prefix, and answers the update unless it returns a refusal.
func (s *Session) hold(rs *requestStream, updated func(*wire.Params) *wire.RequestError, moved func(moqt.Namespace) *wire.RequestError) {
	err := rs.follow(func(m wire.Message) error {
		update, ok := m.(*wire.RequestUpdate)
		if !ok {
			return rs.unexpected(m)
		}
		var no *wire.RequestError
		if updated != nil {
			no = updated(&update.Params)
		}
		prefix := update.Params.Prefix
		switch {
		case no == nil && prefix.Set: // never of an announcement: the codec sees to that
			if no = moved(prefix.Value); no == nil {
				return nil
			}
		case no == nil:
			return rs.send(&wire.RequestOK{})
		}
		rs.sendLast(no)
		return ErrClosed
	})
	if err == io.EOF {
		err = ErrClosed
	}
	rs.cancel(rs.endOf(err))
	rs.finish()
}

// Accept answers REQUEST_OK.
func (r *AnnounceRequest) Accept() error { return r.rs.answer(&wire.RequestOK{}, false) }

// Revoke ends an announcement that was accepted, with a code that tells why.
func (r *AnnounceRequest) Revoke(code moqt.StreamCode) { r.rs.abort(code, &StreamError{Code: code}) }

// NamespaceEvent is a change in the set of namespaces under a prefix.
type NamespaceEvent struct {
	Namespace moqt.Namespace // with the prefix
	Gone      bool           // else it is new
}

// NamespaceReader tells the namespaces that the peer knows under a prefix.
type NamespaceReader struct {
	rs      *requestStream
	changes prefixChanges

	mu     sync.Mutex // guards what follows
	prefix moqt.Namespace
	live   map[moqt.Namespace]struct{}
	events []NamespaceEvent
	err    error
	wake   chan struct{} // cap 1
}

// maxNamespaces bounds what one NamespaceReader holds of a peer's words.
const maxNamespaces = 100_000

// WatchNamespaces asks the peer for the namespaces under prefix, those that are
// there and those that come and go (SUBSCRIBE_NAMESPACE).
func (s *Session) WatchNamespaces(ctx context.Context, prefix moqt.Namespace) (*NamespaceReader, error) {
	rs, m, err := s.request(ctx, wire.KindSubscribeNamespace, 0, nil, func(id uint64) wire.Message {
		return &wire.SubscribeNamespace{RequestID: id, Prefix: prefix}
	})
	if err != nil {
		return nil, err
	}
	if _, ok := m.(*wire.RequestOK); !ok {
		return nil, rs.unexpected(m)
	}
	n := &NamespaceReader{rs: rs, prefix: prefix, live: make(map[moqt.Namespace]struct{}), wake: make(chan struct{}, 1)}
	rs.agreed = n.answered
	if !s.wg.Go(n.run) {
		return nil, s.cause()
	}
	return n, nil
}

func (n *NamespaceReader) run() {
	s := n.rs.s
	err := n.rs.follow(func(m wire.Message) error {
		var suffix moqt.Namespace
		gone := false
		switch m := m.(type) {
		case *wire.Namespace:
			suffix = m.Suffix
		case *wire.NamespaceDone:
			suffix, gone = m.Suffix, true
		default:
			return n.rs.unexpected(m)
		}
		n.mu.Lock()
		prefix := n.prefix
		n.mu.Unlock()
		ns, err := prefix.Join(suffix)
		if err != nil {
			return s.fail(moqt.SessionProtocolViolation, "NAMESPACE: %v", err)
		}
		return n.change(ns, gone)
	})
	err = n.rs.endOf(err)
	n.mu.Lock()
	// The end of the stream is the end of every namespace told on it.
	for ns := range n.live {
		n.events = append(n.events, NamespaceEvent{ns, true})
	}
	n.err = err
	n.wakeLocked()
	n.mu.Unlock()
	n.rs.abort(moqt.StreamCancelled, err)
}

func (n *NamespaceReader) change(ns moqt.Namespace, gone bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, there := n.live[ns]
	switch {
	case gone && !there:
		return n.rs.s.fail(moqt.SessionProtocolViolation, "NAMESPACE_DONE for %v before NAMESPACE", ns)
	case gone:
		delete(n.live, ns)
	case there: // said twice: no harm
		return nil
	case len(n.live)+len(n.events) >= maxNamespaces:
		return fmt.Errorf("moqt: more than %d namespaces under %v", maxNamespaces, n.prefix)
	default:
		n.live[ns] = struct{}{}
	}
	n.events = append(n.events, NamespaceEvent{ns, gone})
	n.wakeLocked()
	return nil
}

func (n *NamespaceReader) wakeLocked() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Next waits for the next change. Only one goroutine may call it. When the
// peer ends the request, each namespace still there is told as gone before the
// error.
func (n *NamespaceReader) Next(ctx context.Context) (NamespaceEvent, error) {
	for {
		n.mu.Lock()
		if len(n.events) > 0 {
			e := n.events[0]
			n.events = n.events[1:]
			n.mu.Unlock()
			return e, nil
		}
		err := n.err
		n.mu.Unlock()
		if err != nil {
			return NamespaceEvent{}, err
		}
		select {
		case <-n.wake:
		case <-ctx.Done():
			return NamespaceEvent{}, ctx.Err()
		}
	}
}

// Close ends the request.
func (n *NamespaceReader) Close() error {
	n.rs.abort(moqt.StreamCancelled, ErrClosed)
	return nil
}

// watch is a prefix that the peer watches by a request.
type watch struct {
	rs     *requestStream
	prefix moqt.Namespace
}

// overlap takes the place of prefix among those the peer watches by requests of
// one kind, which both kinds are where they have one message; it refuses one that is a prefix of another, or has it as prefix. The
// other may have been cancelled a moment ago, on its own stream.
func (s *Session) overlap(rs *requestStream, prefix moqt.Namespace) bool {
	for {
		s.mu.Lock()
		i := slices.IndexFunc(s.watches, func(w watch) bool {
			return (w.rs.kind == rs.kind || s.mux != nil) && w.rs.ctx.Err() == nil && (w.prefix.HasPrefix(prefix) || prefix.HasPrefix(w.prefix))
		})
		if i < 0 {
			s.watches = append(s.watches, watch{rs, prefix})
			s.mu.Unlock()
			return false
		}
		other := s.watches[i]
		s.mu.Unlock()
		if !rs.outlives(other.rs.ctx.Done()) {
			rs.reject(moqt.RequestPrefixOverlap, fmt.Sprintf("the prefix overlaps with %v, which is watched on this session", other.prefix), -1)
			return true
		}
	}
}

func (s *Session) unwatch(rs *requestStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches = slices.DeleteFunc(s.watches, func(w watch) bool { return w.rs == rs })
}

// WatchRequest is the peer's wish to know the namespaces under a prefix
// (SUBSCRIBE_NAMESPACE).
type WatchRequest struct {
	incoming
	Prefix moqt.Namespace

	prefixes prefixUpdates
	writer   *NamespaceWriter // set before the answer
}

func (s *Session) serveWatch(rs *requestStream, m *wire.SubscribeNamespace) {
	if s.reserved(rs, m.Prefix) || s.overlap(rs, m.Prefix) {
		return
	}
	defer s.unwatch(rs)
	if m.Tracks {
		s.wg.Go(func() { s.serveTracksToo(rs, m) })
	}
	r := &WatchRequest{incoming: incoming{rs}, Prefix: m.Prefix}
	if s.offer(rs, r) {
		s.hold(rs, nil, func(prefix moqt.Namespace) *wire.RequestError {
			return r.prefixes.update(rs, prefix, func(ns moqt.Namespace) error { return r.writer.setPrefix(ns) })
		})
	}
}

// serveTracksToo offers the other half of a request that is for namespaces and
// tracks under a prefix. There is one answer, to the first half; the second is
// offered if that is not a refusal, and ends with it.
func (s *Session) serveTracksToo(rs *requestStream, m *wire.SubscribeNamespace) {
	select {
	case <-rs.replied:
	case <-rs.ctx.Done():
		return
	}
	rs.mu.Lock()
	refused := rs.refused
	rs.mu.Unlock()
	if refused {
		return
	}
	too := s.newRequestStream(silentLane{}, false)
	too.id, too.kind = rs.id, wire.KindSubscribeTracks
	defer too.cancel(ErrClosed)
	defer context.AfterFunc(rs.ctx, func() { too.cancel(context.Cause(rs.ctx)) })()
	r := &TracksRequest{incoming: incoming{too}, Prefix: m.Prefix, prefix: m.Prefix, Forward: m.Params.Forward.Or(true), p: m.Params}
	if s.offer(too, r) {
		<-too.ctx.Done()
	}
}

// NamespaceWriter tells a peer which namespaces there are under its prefix. Its
// methods may be called concurrently.
type NamespaceWriter struct {
	rs   *requestStream
	turn chan struct{} // cap 1: who has put a token in may use what follows and write

	prefix moqt.Namespace
	told   map[moqt.Namespace]struct{}
}

// Accept answers REQUEST_OK.
func (r *WatchRequest) Accept() (*NamespaceWriter, error) {
	w := &NamespaceWriter{rs: r.rs, prefix: r.Prefix, turn: make(chan struct{}, 1), told: make(map[moqt.Namespace]struct{})}
	r.writer = w
	if err := r.rs.answer(&wire.RequestOK{}, false); err != nil {
		return nil, err
	}
	return w, nil
}

// Context ends when the peer ends the request.
func (w *NamespaceWriter) Context() context.Context { return w.rs.ctx }

// Add tells of a namespace, unless it was told before. It fails if ns is not
// under the prefix. It blocks while the peer does not read, at most
// Limits.MessageTimeout, after which the request is over.
func (w *NamespaceWriter) Add(ns moqt.Namespace) error {
	return w.inTurn(func() error {
		suffix, ok := ns.Suffix(w.prefix)
		if !ok {
			return fmt.Errorf("moqt: namespace %v is not under %v", ns, w.prefix)
		}
		if _, there := w.told[ns]; there {
			return nil
		}
		w.told[ns] = struct{}{}
		return w.rs.send(&wire.Namespace{Suffix: suffix})
	})
}

// Remove tells that a namespace is gone, if it was told before. It blocks as
// Add does.
func (w *NamespaceWriter) Remove(ns moqt.Namespace) error {
	return w.inTurn(func() error {
		if _, there := w.told[ns]; !there {
			return nil
		}
		delete(w.told, ns)
		suffix, _ := ns.Suffix(w.prefix)
		return w.rs.send(&wire.NamespaceDone{Suffix: suffix})
	})
}

// inTurn calls f when it is this caller's turn.
func (w *NamespaceWriter) inTurn(f func() error) error {
	if w.rs.ctx.Err() != nil {
		return w.rs.endOf(nil)
	}
	select {
	case w.turn <- struct{}{}:
	case <-w.rs.ctx.Done():
		return w.rs.endOf(nil)
	}
	defer func() { <-w.turn }()
	return f()
}

// Close ends the request; the peer takes every namespace as gone.
func (w *NamespaceWriter) Close() error {
	w.rs.finish()
	return nil
}
