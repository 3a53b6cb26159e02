package qlog

import (
	"time"

	"github.com/quic-go/quic-go/qlogwriter/jsontext"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// EventSchema is the schema of the events in this file.
// (draft-pardue-moq-qlog-moq-events-06)
const EventSchema = "urn:ietf:params:qlog:events:moqt-06"

// Way says whether this end has made something or has read it.
type Way bool

const (
	Created Way = false
	Parsed  Way = true
)

func (w Way) name(created, parsed string) string {
	if w == Parsed {
		return parsed
	}
	return created
}

// ControlMessage is the event control_message_created or control_message_parsed.
type ControlMessage struct {
	Way      Way
	StreamID uint64
	Length   uint16       // of the message's body
	Version  moqt.Version // the draft, which is told with SETUP
	// Request is the id of the request on whose stream the message is. It is told
	// of answers, which do not have it themselves since draft-17.
	Request uint64
	Message wire.Message
}

func (e ControlMessage) Name() string {
	return e.Way.name("moqt:control_message_created", "moqt:control_message_parsed")
}

func (e ControlMessage) Encode(enc *jsontext.Encoder, _ time.Time) error {
	f := fields{enc: enc}
	f.object("", func() {
		f.uint("stream_id", e.StreamID)
		f.uint("length", uint64(e.Length))
		f.object("message", func() { f.message(&e) })
	})
	return f.err
}

// StreamType is what a stream is for.
type StreamType string

// The draft's stream types, and two of this package: a bidirectional stream of a
// request other than SUBSCRIBE_NAMESPACE, and one that is padding.
const (
	StreamControl            StreamType = "control"
	StreamSubgroup           StreamType = "subgroup_header"
	StreamFetch              StreamType = "fetch_header"
	StreamSubscribeNamespace StreamType = "subscribe_namespace"
	StreamRequest            StreamType = "request"
	StreamPadding            StreamType = "padding"
)

// StreamTypeSet is the event stream_type_set.
type StreamTypeSet struct {
	Remote   bool // the peer has opened the stream
	StreamID uint64
	Type     StreamType
}

func (e StreamTypeSet) Name() string { return "moqt:stream_type_set" }

func (e StreamTypeSet) Encode(enc *jsontext.Encoder, _ time.Time) error {
	f := fields{enc: enc}
	f.object("", func() {
		owner := "local"
		if e.Remote {
			owner = "remote"
		}
		f.str("owner", owner)
		f.uint("stream_id", e.StreamID)
		f.str("stream_type", string(e.Type))
	})
	return f.err
}

// ObjectDatagram is the event object_datagram_created or object_datagram_parsed.
type ObjectDatagram struct {
	Way      Way
	Datagram wire.Datagram // of the payload, only the length is written
}

func (e ObjectDatagram) Name() string {
	return e.Way.name("moqt:object_datagram_created", "moqt:object_datagram_parsed")
}

func (e ObjectDatagram) Encode(enc *jsontext.Encoder, _ time.Time) error {
	f, d := fields{enc: enc}, &e.Datagram
	f.object("", func() {
		f.uint("track_alias", d.Alias)
		f.uint("group_id", d.Group)
		f.uint("object_id", d.Object)
		if !d.DefaultPriority {
			f.uint("publisher_priority", uint64(d.Priority))
		}
		f.properties("properties", d.Properties)
		if d.Status != moqt.StatusNormal {
			f.uint("object_status", uint64(d.Status))
		} else {
			f.raw("object_payload", len(d.Payload))
		}
		f.bool("end_of_group", d.EndOfGroup)
	})
	return f.err
}

// SubgroupHeader is the event subgroup_header_created or subgroup_header_parsed.
type SubgroupHeader struct {
	Way      Way
	StreamID uint64
	Header   wire.SubgroupHeader
}

func (e SubgroupHeader) Name() string {
	return e.Way.name("moqt:subgroup_header_created", "moqt:subgroup_header_parsed")
}

func (e SubgroupHeader) Encode(enc *jsontext.Encoder, _ time.Time) error {
	f, h := fields{enc: enc}, &e.Header
	f.object("", func() {
		f.uint("stream_id", e.StreamID)
		f.uint("track_alias", h.Alias)
		f.uint("group_id", h.Group)
		f.uint("subgroup_id_mode", uint64(h.IDMode()))
		if !h.IDFromFirst {
			f.uint("subgroup_id", h.ID)
		}
		if !h.DefaultPriority {
			f.uint("publisher_priority", uint64(h.Priority))
		}
		f.bool("contains_end_of_group", h.EndOfGroup)
		f.bool("properties_present", h.Properties)
	})
	return f.err
}

// SubgroupObject is the event subgroup_object_created or subgroup_object_parsed.
type SubgroupObject struct {
	Way      Way
	StreamID uint64
	Delta    uint64 // Object ID Delta
	Object   wire.ObjectHeader
}

func (e SubgroupObject) Name() string {
	return e.Way.name("moqt:subgroup_object_created", "moqt:subgroup_object_parsed")
}

func (e SubgroupObject) Encode(enc *jsontext.Encoder, _ time.Time) error {
	f, o := fields{enc: enc}, &e.Object
	f.object("", func() {
		f.uint("stream_id", e.StreamID)
		f.uint("object_id_delta", e.Delta)
		f.uint("object_id", o.ID)
		f.properties("properties", o.Properties)
		f.uint("object_payload_length", o.Size)
		if o.Size == 0 {
			f.uint("object_status", uint64(o.Status))
		}
	})
	return f.err
}

// FetchHeader is the event fetch_header_created or fetch_header_parsed.
type FetchHeader struct {
	Way               Way
	StreamID, Request uint64
}

func (e FetchHeader) Name() string {
	return e.Way.name("moqt:fetch_header_created", "moqt:fetch_header_parsed")
}

func (e FetchHeader) Encode(enc *jsontext.Encoder, _ time.Time) error {
	f := fields{enc: enc}
	f.object("", func() {
		f.uint("stream_id", e.StreamID)
		f.uint("request_id", e.Request)
	})
	return f.err
}

// FetchObject is the event fetch_object_created or fetch_object_parsed. Ids are
// told as they are, also where the draft sends the distance from those before.
type FetchObject struct {
	Way      Way
	StreamID uint64
	Object   wire.FetchObject
}

func (e FetchObject) Name() string {
	return e.Way.name("moqt:fetch_object_created", "moqt:fetch_object_parsed")
}

func (e FetchObject) Encode(enc *jsontext.Encoder, _ time.Time) error {
	f, o := fields{enc: enc}, &e.Object
	f.object("", func() {
		f.uint("stream_id", e.StreamID)
		f.bool("datagram", o.Datagram)
		f.bool("end_of_nonexistent_range", o.Gap == wire.GapNonExistent)
		f.bool("end_of_unknown_range", o.Gap == wire.GapUnknown)
		if o.Gap == wire.GapTimedOut {
			f.bool("end_of_timed_out_range", true)
		}
		f.uint("group_id", o.Group)
		f.uint("object_id", o.Location.Object)
		if o.Gap == wire.GapNone {
			f.uint("subgroup_id", o.Subgroup)
			f.uint("publisher_priority", uint64(o.Priority))
			f.properties("properties", o.Properties)
		}
		f.uint("object_payload_length", o.Size)
	})
	return f.err
}
