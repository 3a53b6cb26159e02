package transport

import (
	"context"
	"slices"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// maxQueued bounds the messages of one request, bytes, that its handler has not
// taken yet. Only updates can come in numbers, and each is one of the requests
// that the peer may make.
const maxQueued = 64 << 10

// sharedLane is the part of the control stream that belongs to one request.
type sharedLane struct {
	m      *mux
	kind   wire.Kind
	ours   bool
	ctx    context.Context // ends when the peer has stopped our half, or all is over
	cancel context.CancelCauseFunc
	wake   chan struct{} // cap 1: queue or end changed

	// Guarded by m.mu:
	id       uint64
	queue    []queued        // not read yet
	size     int             // of that
	end      error           // what comes after them
	stop     error           // why the peer stopped our half
	opened   bool            // the message that opens the request is out, or in
	answered bool            // so is the first answer
	over     bool            // our half has ended
	why      moqt.StreamCode // of cancelling it
	asked    []uint64        // our updates, some of which may be answered
}

func (m *mux) newLane(kind wire.Kind, ours bool) *sharedLane {
	l := &sharedLane{m: m, kind: kind, ours: ours, wake: make(chan struct{}, 1)}
	l.ctx, l.cancel = context.WithCancelCause(m.s.ctx)
	return l
}

func (l *sharedLane) read(wire.On) (wire.Message, error) {
	for {
		l.m.mu.Lock()
		if len(l.queue) > 0 {
			q := l.queue[0]
			l.queue = l.queue[1:]
			l.size -= q.size
			l.m.mu.Unlock()
			return q.msg, nil
		}
		end := l.end
		l.m.mu.Unlock()
		if end != nil {
			return nil, end
		}
		select {
		case <-l.wake:
		case <-l.m.s.ctx.Done():
			return nil, l.m.s.cause()
		}
	}
}

// queued is a message and how many bytes it was.
type queued struct {
	msg  wire.Message
	size int
}

// pushLocked queues the message that was read last for read.
func (l *sharedLane) pushLocked(msg wire.Message) {
	q := queued{msg, int(l.m.on.r.MessageLength())}
	l.queue = append(l.queue, q)
	l.size += q.size
	l.wakeLocked()
}

func (l *sharedLane) wakeLocked() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// endLocked ends the peer's half. Nothing more can come for the request but what
// crossed with its end.
func (l *sharedLane) endLocked(err error) {
	if l.end == nil {
		l.end = err
	}
	if l.m.lanes[l.id] == l { // else it has no id
		delete(l.m.lanes, l.id)
	}
	for _, id := range l.asked {
		delete(l.m.updates, id)
	}
	l.wakeLocked()
}

// stopLocked ends both halves for the peer.
func (l *sharedLane) stopLocked(err error) {
	l.dropLocked()
	l.stop = err
	l.endLocked(err)
	l.cancel(nil)
}

// dropLocked drops what was not read, and takes it for answered.
func (l *sharedLane) dropLocked() {
	updates := 0
	for _, q := range l.queue {
		if q.msg.Kind() == wire.KindRequestUpdate {
			updates++
		}
	}
	l.queue, l.size = nil, 0
	l.m.grantLocked(updates, false)
}

// reserve takes the id for a request of ours that begin is to open next. It
// reports false if the request was cancelled before.
func (l *sharedLane) reserve(id uint64) bool {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.over {
		return false
	}
	l.id = id
	l.m.lanes[id] = l
	return true
}

// begin sends the message that opens the request. If that was cancelled after
// reserve, the message that says so follows.
func (l *sharedLane) begin(msg wire.Message, b []byte) {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	l.opened = true
	l.m.addLocked(msg, b, nil)
	if l.over {
		l.sayLocked(l.why)
	}
}

func (l *sharedLane) write(ctx context.Context, msg wire.Message, b []byte) error {
	l.m.mu.Lock()
	switch {
	case l.stop != nil:
		l.m.mu.Unlock()
		return l.stop
	case l.over:
		l.m.mu.Unlock()
		return ErrClosed
	}
	switch msg.Kind() {
	case wire.KindPublishDone:
		l.over = true
	case wire.KindRequestError:
		l.over = !l.answered
	}
	l.answered = l.answered || !l.ours
	out := make(chan struct{})
	l.m.addLocked(msg, b, func() { close(out) })
	l.m.mu.Unlock()
	return l.m.wait(ctx, out)
}

// update sends a REQUEST_UPDATE of ours, unless the request has ended. await is
// called before.
func (l *sharedLane) update(msg *wire.RequestUpdate, b []byte, await func(id uint64)) error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	switch {
	case l.stop != nil:
		return l.stop
	case l.over || l.end != nil:
		return &StreamError{Code: moqt.StreamCancelled, Remote: true}
	}
	l.asked = slices.DeleteFunc(l.asked, func(id uint64) bool { return l.m.updates[id] != l })
	l.asked = append(l.asked, msg.RequestID)
	l.m.updates[msg.RequestID] = l
	await(msg.RequestID)
	l.m.addLocked(msg, b, nil)
	return nil
}

// closeWrite ends our half. There is nothing to say if the last message said it,
// and for a fetch its data stream does.
func (l *sharedLane) closeWrite() {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	if l.kind != wire.KindFetch && l.kind != wire.KindTrackStatus {
		l.partLocked(moqt.StreamCancelled)
		return
	}
	l.over = true
	if !l.ours {
		l.endLocked(&StreamError{Code: moqt.StreamCancelled})
	}
}

func (l *sharedLane) cancelWrite(code moqt.StreamCode) {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	l.partLocked(code)
}

func (l *sharedLane) cancelRead(code moqt.StreamCode) {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	l.partLocked(code)
	l.dropLocked()
	l.endLocked(&StreamError{Code: code})
	l.cancel(nil)
}

func (l *sharedLane) writing() context.Context { return l.ctx }

func (l *sharedLane) stopped() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	return l.stop
}

// partLocked ends our half, with the message that the draft has for it, if any.
func (l *sharedLane) partLocked(code moqt.StreamCode) {
	if l.over {
		return
	}
	l.over, l.why = true, code
	if l.opened && l.end == nil {
		l.sayLocked(code)
	}
}

func (l *sharedLane) sayLocked(code moqt.StreamCode) {
	msg := l.parting(code)
	if msg == nil {
		return
	}
	if b, err := l.m.s.profile.AppendMessage(nil, msg); err == nil { // it is one of ours
		l.m.addLocked(msg, b, nil)
	}
}

// parting is the message that ends our half, or nil.
func (l *sharedLane) parting(code moqt.StreamCode) wire.Message {
	switch {
	case !l.ours && !l.answered:
		return &wire.RequestError{RequestID: l.id, Code: moqt.RequestInternalError, Reason: "the request is given up"}
	case l.kind == wire.KindSubscribe && l.ours, l.kind == wire.KindPublish && !l.ours:
		return &wire.Unsubscribe{RequestID: l.id}
	case l.kind == wire.KindSubscribe, l.kind == wire.KindPublish:
		return &wire.PublishDone{RequestID: l.id, Code: doneWith(code), Streams: wire.UnknownStreams, Reason: "the publisher has given up"}
	case l.kind == wire.KindFetch && l.ours:
		return &wire.FetchCancel{RequestID: l.id}
	case l.kind == wire.KindPublishNamespace && l.ours:
		return &wire.PublishNamespaceDone{RequestID: l.id}
	case l.kind == wire.KindPublishNamespace:
		return &wire.PublishNamespaceCancel{RequestID: l.id, Code: revokeWith(code), Reason: "the namespace is not wanted any more"}
	}
	return nil // the end of a fetch is told by its data stream
}

// partsBy reports whether the peer can end the request by a message of kind k.
func (l *sharedLane) partsBy(k wire.Kind) bool {
	subscriber := l.kind == wire.KindSubscribe && l.ours || l.kind == wire.KindPublish && !l.ours
	publisher := l.kind == wire.KindSubscribe && !l.ours || l.kind == wire.KindPublish && l.ours
	switch k {
	case wire.KindPublishDone:
		return subscriber
	case wire.KindUnsubscribe:
		return publisher
	case wire.KindFetchCancel:
		return l.kind == wire.KindFetch && !l.ours
	case wire.KindPublishNamespaceDone:
		return l.kind == wire.KindPublishNamespace && !l.ours
	case wire.KindPublishNamespaceCancel:
		return l.kind == wire.KindPublishNamespace && l.ours
	}
	return false
}

// givenUp reports whether the peer's PUBLISH_DONE takes an offer back that has no
// answer yet. A track that has come to its end can still be accepted and read.
func (l *sharedLane) givenUp(msg wire.Message) bool {
	done, ok := msg.(*wire.PublishDone)
	return ok && !l.ours && !l.answered && done.Code != moqt.DoneTrackEnded && done.Code != moqt.DoneSubscriptionEnded
}

// answers reports whether msg can be the first answer to the request.
func (l *sharedLane) answers(msg wire.Message) bool {
	switch msg := msg.(type) {
	case *wire.RequestError:
		return true
	case *wire.SubscribeOK:
		return l.kind == wire.KindSubscribe
	case *wire.FetchOK:
		return l.kind == wire.KindFetch
	case *wire.RequestOK:
		return msg.Publish && l.kind == wire.KindPublish ||
			!msg.Publish && (l.kind == wire.KindTrackStatus || l.kind == wire.KindPublishNamespace)
	}
	return false
}

// Where a stream would be cancelled with a code, a message has one of another
// registry.

func doneWith(code moqt.StreamCode) moqt.DoneCode {
	switch code {
	case moqt.StreamGoingAway:
		return moqt.DoneGoingAway
	case moqt.StreamTooFarBehind:
		return moqt.DoneTooFarBehind
	case moqt.StreamExpiredToken:
		return moqt.DoneExpired
	case moqt.StreamMalformedTrack:
		return moqt.DoneMalformedTrack
	}
	return moqt.DoneInternalError
}

func revokeWith(code moqt.StreamCode) moqt.RequestCode {
	switch code {
	case moqt.StreamCancelled:
		return moqt.RequestUninterested
	case moqt.StreamExpiredToken:
		return moqt.RequestExpiredToken
	}
	return moqt.RequestInternalError
}

func revokedWith(code moqt.RequestCode) moqt.StreamCode {
	switch code {
	case moqt.RequestUninterested:
		return moqt.StreamCancelled
	case moqt.RequestExpiredToken:
		return moqt.StreamExpiredToken
	}
	return moqt.StreamInternalError
}
