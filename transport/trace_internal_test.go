package transport

import (
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/qlog"
	"github.com/tributary-live/tributary/transport/wire"
)

// traceObjects is what a session without a trace does for an object more than
// one that cannot have any.
func traceObjects(s *Session, src *timedStream, props moqt.Properties, payload []byte) {
	h := wire.ObjectHeader{ID: 3, Properties: props, Size: 1000}
	s.trace.object(qlog.Created, src, 1, h)
	s.trace.object(qlog.Parsed, src, 1, h)
	s.trace.subgroup(qlog.Created, src, wire.SubgroupHeader{Alias: 1})
	s.trace.fetchObject(qlog.Parsed, src, wire.FetchObject{Properties: props})
	s.trace.datagram(qlog.Created, wire.Datagram{Properties: props, Payload: payload})
}

func TestUntracedObjectsAllocateNothing(t *testing.T) {
	s, src, props, payload := &Session{}, &timedStream{}, moqt.Properties{{Type: 2, Value: 5}}, make([]byte, 1000)
	if n := testing.AllocsPerRun(100, func() { traceObjects(s, src, props, payload) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkUntraced(b *testing.B) {
	s, src, props, payload := &Session{}, &timedStream{}, moqt.Properties{{Type: 2, Value: 5}}, make([]byte, 1000)
	b.ReportAllocs()
	for b.Loop() {
		traceObjects(s, src, props, payload)
	}
}
