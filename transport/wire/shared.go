package wire

import "github.com/tributary-live/tributary/transport/moqt"

// This file has what only drafts know whose requests share the control stream.

// admitsShared is [On.admits] for those drafts. A session learns from a Request
// ID what is answered, updated or ended, so it checks that itself.
func (on On) admitsShared(k Kind) bool {
	if on.Control {
		return k != KindSubscribeNamespace && k != KindSubscribeTracks && k != KindNamespace && k != KindNamespaceDone
	}
	switch on.Request {
	case KindNone:
		return k == KindSetup || k == KindSubscribeNamespace
	case KindSubscribeNamespace, KindSubscribeTracks:
	default:
		return false // the control stream is for all others
	}
	switch k {
	case KindRequestOK, KindRequestError:
		return on.Answers != KindNone
	case KindRequestUpdate:
		return on.Answers != on.Request
	case KindNamespace, KindNamespaceDone:
		return on.Request == KindSubscribeNamespace && on.Answers == KindRequestUpdate
	}
	return false
}

// CLIENT_SETUP and SERVER_SETUP: a count and as many options.

func decodeClientSetup(d *decoder) Message { return d.countedSetup(new(Setup)) }
func decodeServerSetup(d *decoder) Message { return d.countedSetup(&Setup{Server: true}) }

func (d *decoder) countedSetup(m *Setup) Message {
	const field = "Number of Parameters"
	count := d.varint(field)
	rest := d.b
	if d.setup(m); d.err != nil {
		return m
	}
	if n, _ := d.p.ParseProperties(rest); uint64(len(n)) != count {
		d.fail(violation(field, "%d, but there are %d", count, len(n)))
	}
	return m
}

func encodeCountedSetup(e *encoder, msg Message) {
	options := e.setup(msg.(*Setup))
	e.varint(uint64(len(options)))
	e.properties(options)
}

func isClientSetup(m Message) bool { return !m.(*Setup).Server }
func isServerSetup(m Message) bool { return m.(*Setup).Server }

// PUBLISH_OK is the answer to PUBLISH, REQUEST_OK that to all else.

func decodePublishOK(d *decoder) Message {
	m := &RequestOK{Publish: true, RequestID: d.answerID()}
	if !d.on.Control {
		d.fail(violation("Message Type", "PUBLISH_OK may not come here"))
	}
	d.on = On{Request: KindPublish, Answers: KindPublish}
	m.Params = d.params(KindRequestOK)
	return m
}

func isPublishOK(m Message) bool { return m.(*RequestOK).Publish }
func isRequestOK(m Message) bool { return !m.(*RequestOK).Publish }

// Subscribe Options of a SUBSCRIBE_NAMESPACE.
const (
	watchTracks     = 0
	watchNamespaces = 1
	watchBoth       = 2
)

func decodeWatch(d *decoder) Message {
	id, prefix := d.varint("Request ID"), d.namespace("Track Namespace Prefix")
	options := d.varint("Subscribe Options")
	params := d.params(KindSubscribeNamespace)
	switch options {
	case watchTracks:
		return &SubscribeTracks{RequestID: id, Prefix: prefix, Params: params}
	case watchNamespaces, watchBoth:
		return &SubscribeNamespace{RequestID: id, Prefix: prefix, Tracks: options == watchBoth, Params: params}
	}
	d.fail(violation("Subscribe Options", "%d is unknown", options))
	return &SubscribeNamespace{}
}

func encodeWatchNamespaces(e *encoder, msg Message) {
	m := msg.(*SubscribeNamespace)
	options := uint64(watchNamespaces)
	if m.Tracks {
		options = watchBoth
	}
	e.watch(m.RequestID, m.Prefix, options, &m.Params)
}

func encodeWatchTracks(e *encoder, msg Message) {
	m := msg.(*SubscribeTracks)
	e.watch(m.RequestID, m.Prefix, watchTracks, &m.Params)
}

func (e *encoder) watch(id uint64, prefix moqt.Namespace, options uint64, params *Params) {
	e.varint(id)
	e.namespace(prefix)
	e.varint(options)
	e.params(KindSubscribeNamespace, params)
}

// Messages that let requests in and end them.

func decodeMaxRequestID(d *decoder) Message { return &MaxRequestID{Max: d.varint("Max Request ID")} }

func encodeMaxRequestID(e *encoder, msg Message) { e.varint(msg.(*MaxRequestID).Max) }

func decodeRequestsBlocked(d *decoder) Message {
	return &RequestsBlocked{Max: d.varint("Maximum Request ID")}
}

func encodeRequestsBlocked(e *encoder, msg Message) { e.varint(msg.(*RequestsBlocked).Max) }

func decodeUnsubscribe(d *decoder) Message { return &Unsubscribe{RequestID: d.varint("Request ID")} }

func encodeUnsubscribe(e *encoder, msg Message) { e.varint(msg.(*Unsubscribe).RequestID) }

func decodeFetchCancel(d *decoder) Message { return &FetchCancel{RequestID: d.varint("Request ID")} }

func encodeFetchCancel(e *encoder, msg Message) { e.varint(msg.(*FetchCancel).RequestID) }

func decodePublishNamespaceDone(d *decoder) Message {
	return &PublishNamespaceDone{RequestID: d.varint("Request ID")}
}

func encodePublishNamespaceDone(e *encoder, msg Message) {
	e.varint(msg.(*PublishNamespaceDone).RequestID)
}

func decodePublishNamespaceCancel(d *decoder) Message {
	return &PublishNamespaceCancel{
		RequestID: d.varint("Request ID"), Code: d.requestCode("Error Code"), Reason: d.string("Error Reason", maxReasonSize),
	}
}

func encodePublishNamespaceCancel(e *encoder, msg Message) {
	m := msg.(*PublishNamespaceCancel)
	e.varint(m.RequestID)
	e.requestCode(m.Code)
	e.reason(m.Reason)
}
