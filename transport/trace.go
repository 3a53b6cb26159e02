package transport

import (
	"context"
	"sync"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlogwriter"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/qlog"
	"github.com/tributary-live/tributary/transport/wire"
)

// tracer records a session's events in the trace of its connection. A nil
// *tracer does nothing, so a session without a trace pays a comparison for each
// object: what is recorded is passed by value, and moves to the heap only in the
// functions that have found a trace.
type tracer struct {
	version moqt.Version

	mu  sync.RWMutex        // held while rec records, which must not happen after its Close
	rec qlogwriter.Recorder // nil when closed
}

// newTracer returns nil if conn has no trace that takes MOQT's events. A
// connection that is not QUIC's gets a trace of its own.
func newTracer(ctx context.Context, conn Conn, v moqt.Version, c *Config) *tracer {
	var trace qlogwriter.Trace
	if q, ok := conn.(interface{ QlogTrace() qlogwriter.Trace }); ok {
		trace = q.QlogTrace()
	} else if c.Tracer != nil {
		trace = c.Tracer(ctx, conn.Info().Client, quic.ConnectionID{})
	}
	if trace == nil || !trace.SupportsSchemas(qlog.EventSchema) {
		return nil
	}
	rec := trace.AddProducer()
	if rec == nil { // the connection has ended
		return nil
	}
	return &tracer{version: v, rec: rec}
}

func (t *tracer) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rec != nil {
		t.rec.Close()
		t.rec = nil
	}
}

func (t *tracer) record(e qlogwriter.Event) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.rec != nil {
		t.rec.RecordEvent(e)
	}
}

// streamID returns the id of a stream, 0 where the connection has none.
func streamID(st any) uint64 {
	if timed, ok := st.(*timedStream); ok {
		st = timed.ReceiveStream
	}
	if s, ok := st.(interface{ StreamID() uint64 }); ok {
		return s.StreamID()
	}
	return 0
}

// sent records m, which b is the encoding of, on st. request is the id of the
// request that st belongs to.
func (t *tracer) sent(p *wire.Profile, st SendStream, request uint64, m wire.Message, b []byte) {
	if t == nil {
		return
	}
	t.record(qlog.ControlMessage{Way: qlog.Created, StreamID: streamID(st), Length: p.MessageLength(b), Version: t.version, Request: request, Message: m})
}

// read records m, which r has read from st.
func (t *tracer) read(st ReceiveStream, r *wire.Reader, request uint64, m wire.Message) {
	if t == nil {
		return
	}
	t.record(qlog.ControlMessage{Way: qlog.Parsed, StreamID: streamID(st), Length: r.MessageLength(), Version: t.version, Request: request, Message: m})
}

// uniStream records what a unidirectional stream of the peer is for.
func (t *tracer) uniStream(st ReceiveStream, kind wire.StreamKind) {
	if t == nil {
		return
	}
	types := map[wire.StreamKind]qlog.StreamType{wire.StreamControl: qlog.StreamControl, wire.StreamSubgroup: qlog.StreamSubgroup,
		wire.StreamFetch: qlog.StreamFetch, wire.StreamPadding: qlog.StreamPadding}
	t.record(qlog.StreamTypeSet{Remote: true, StreamID: streamID(st), Type: types[kind]})
}

// stream records what a stream of this end is for.
func (t *tracer) stream(st SendStream, typ qlog.StreamType) {
	if t == nil {
		return
	}
	t.record(qlog.StreamTypeSet{StreamID: streamID(st), Type: typ})
}

// opens records what the stream of l is for when m is the first message on it.
func (t *tracer) opens(l *streamLane, remote bool, m wire.Message) {
	if t == nil || l.opened {
		return
	}
	l.opened = true
	l.id, _ = requestID(m)
	typ := qlog.StreamRequest
	switch m.Kind() {
	case wire.KindSubscribeNamespace:
		typ = qlog.StreamSubscribeNamespace
	case wire.KindSetup:
		typ = qlog.StreamControl
	}
	t.record(qlog.StreamTypeSet{Remote: remote, StreamID: streamID(l.st), Type: typ})
}

func (t *tracer) datagram(way qlog.Way, d wire.Datagram) {
	if t != nil {
		t.recordDatagram(way, d)
	}
}

//go:noinline
func (t *tracer) recordDatagram(way qlog.Way, d wire.Datagram) {
	t.record(qlog.ObjectDatagram{Way: way, Datagram: d})
}

func (t *tracer) subgroup(way qlog.Way, st any, h wire.SubgroupHeader) {
	if t != nil {
		t.recordSubgroup(way, st, h)
	}
}

//go:noinline
func (t *tracer) recordSubgroup(way qlog.Way, st any, h wire.SubgroupHeader) {
	if way == qlog.Created {
		t.record(qlog.StreamTypeSet{StreamID: streamID(st), Type: qlog.StreamSubgroup})
	}
	t.record(qlog.SubgroupHeader{Way: way, StreamID: streamID(st), Header: h})
}

func (t *tracer) object(way qlog.Way, st any, delta uint64, o wire.ObjectHeader) {
	if t != nil {
		t.recordObject(way, st, delta, o)
	}
}

//go:noinline
func (t *tracer) recordObject(way qlog.Way, st any, delta uint64, o wire.ObjectHeader) {
	t.record(qlog.SubgroupObject{Way: way, StreamID: streamID(st), Delta: delta, Object: o})
}

func (t *tracer) fetch(way qlog.Way, st any, request uint64) {
	if t == nil {
		return
	}
	if way == qlog.Created {
		t.record(qlog.StreamTypeSet{StreamID: streamID(st), Type: qlog.StreamFetch})
	}
	t.record(qlog.FetchHeader{Way: way, StreamID: streamID(st), Request: request})
}

func (t *tracer) fetchObject(way qlog.Way, st any, o wire.FetchObject) {
	if t != nil {
		t.recordFetchObject(way, st, o)
	}
}

//go:noinline
func (t *tracer) recordFetchObject(way qlog.Way, st any, o wire.FetchObject) {
	t.record(qlog.FetchObject{Way: way, StreamID: streamID(st), Object: o})
}
