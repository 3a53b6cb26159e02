package wire

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
	return &SubscribeOK{
		RequestID: d.answerID(), Alias: d.varint("Track Alias"), Params: d.params(KindSubscribeOK), Properties: d.trackProperties(),
	}
}

func encodeSubscribeOK(e *encoder, msg Message) {
	m := msg.(*SubscribeOK)
	e.answerID(m.RequestID)
	e.varint(m.Alias)
	e.params(KindSubscribeOK, &m.Params)
	e.properties(m.Properties)
}

func decodeRequestUpdate(d *decoder) Message {
	return &RequestUpdate{RequestID: d.varint("Request ID"), Existing: d.answerID(), Params: d.params(KindRequestUpdate)}
}

func encodeRequestUpdate(e *encoder, msg Message) {
	m := msg.(*RequestUpdate)
	e.varint(m.RequestID)
	e.answerID(m.Existing)
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
	m := &PublishDone{RequestID: d.answerID(), Code: d.doneCode("Status Code"), Streams: d.varint("Stream Count")}
	if m.Streams == d.p.unknownStreams {
		m.Streams = UnknownStreams
	}
	m.Reason = d.string("Error Reason", maxReasonSize)
	return m
}

func encodePublishDone(e *encoder, msg Message) {
	m := msg.(*PublishDone)
	e.answerID(m.RequestID)
	e.doneCode(m.Code)
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

func decodePublishStateNotify(d *decoder) Message {
	return &PublishStateNotify{Params: d.params(KindPublishStateNotify)}
}

func encodePublishStateNotify(e *encoder, msg Message) {
	e.params(KindPublishStateNotify, &msg.(*PublishStateNotify).Params)
}
