package wire

import "github.com/tributary-live/tributary/transport/moqt"

func decodeSubscribe(d *decoder) Message {
	return &Subscribe{RequestID: d.varint("Request ID"), Track: d.trackName(), Params: d.params(KindSubscribe)}
}

func encodeSubscribe(e *encoder, msg Message) {
	m := msg.(*Subscribe)
	e.varint(m.RequestID)
	e.trackName(m.Track)
	e.params(KindSubscribe, &m.Params)
}

func decodeSubscribeOK(d *decoder) Message {
	return &SubscribeOK{Alias: d.varint("Track Alias"), Params: d.params(KindSubscribeOK), Properties: d.trackProperties()}
}

func encodeSubscribeOK(e *encoder, msg Message) {
	m := msg.(*SubscribeOK)
	e.varint(m.Alias)
	e.params(KindSubscribeOK, &m.Params)
	e.properties(m.Properties)
}

func decodeRequestUpdate(d *decoder) Message {
	return &RequestUpdate{RequestID: d.varint("Request ID"), Params: d.params(KindRequestUpdate)}
}

func encodeRequestUpdate(e *encoder, msg Message) {
	m := msg.(*RequestUpdate)
	e.varint(m.RequestID)
	e.params(KindRequestUpdate, &m.Params)
}

func decodePublish(d *decoder) Message {
	return &Publish{
		RequestID: d.varint("Request ID"), Track: d.trackName(), Alias: d.varint("Track Alias"),
		Params: d.params(KindPublish), Properties: d.trackProperties(),
	}
}

func encodePublish(e *encoder, msg Message) {
	m := msg.(*Publish)
	e.varint(m.RequestID)
	e.trackName(m.Track)
	e.varint(m.Alias)
	e.params(KindPublish, &m.Params)
	e.properties(m.Properties)
}

func decodePublishDone(d *decoder) Message {
	m := &PublishDone{Code: moqt.DoneCode(d.varint("Status Code")), Streams: d.varint("Stream Count")}
	if m.Streams == d.p.unknownStreams {
		m.Streams = UnknownStreams
	}
	m.Reason = d.string("Error Reason", maxReasonSize)
	return m
}

func encodePublishDone(e *encoder, msg Message) {
	m := msg.(*PublishDone)
	e.varint(uint64(m.Code))
	if m.Streams == UnknownStreams {
		e.varint(e.p.unknownStreams)
	} else {
		e.varint(m.Streams)
	}
	e.reason(m.Reason)
}

func decodeTrackStatus(d *decoder) Message {
	return &TrackStatus{RequestID: d.varint("Request ID"), Track: d.trackName(), Params: d.params(KindTrackStatus)}
}

func encodeTrackStatus(e *encoder, msg Message) {
	m := msg.(*TrackStatus)
	e.varint(m.RequestID)
	e.trackName(m.Track)
	e.params(KindTrackStatus, &m.Params)
}
