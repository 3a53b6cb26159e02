package wire

func decodePublishNamespace(d *decoder) Message {
	return &PublishNamespace{
		RequestID: d.varint("Request ID"), Namespace: d.trackNamespace(), Params: d.params(KindPublishNamespace),
	}
}

func encodePublishNamespace(e *encoder, msg Message) {
	m := msg.(*PublishNamespace)
	e.varint(m.RequestID)
	e.trackNamespace(m.Namespace)
	e.params(KindPublishNamespace, &m.Params)
}

func decodeSubscribeNamespace(d *decoder) Message {
	return &SubscribeNamespace{
		RequestID: d.varint("Request ID"), Prefix: d.namespace("Track Namespace Prefix"), Params: d.params(KindSubscribeNamespace),
	}
}

func encodeSubscribeNamespace(e *encoder, msg Message) {
	m := msg.(*SubscribeNamespace)
	e.varint(m.RequestID)
	e.namespace(m.Prefix)
	e.params(KindSubscribeNamespace, &m.Params)
}

func decodeSubscribeTracks(d *decoder) Message {
	return &SubscribeTracks{
		RequestID: d.varint("Request ID"), Prefix: d.namespace("Track Namespace Prefix"), Params: d.params(KindSubscribeTracks),
	}
}

func encodeSubscribeTracks(e *encoder, msg Message) {
	m := msg.(*SubscribeTracks)
	e.varint(m.RequestID)
	e.namespace(m.Prefix)
	e.params(KindSubscribeTracks, &m.Params)
}

func decodeNamespace(d *decoder) Message {
	return &Namespace{Suffix: d.namespace("Track Namespace Suffix")}
}

func encodeNamespace(e *encoder, msg Message) { e.namespace(msg.(*Namespace).Suffix) }

func decodeNamespaceDone(d *decoder) Message {
	return &NamespaceDone{Suffix: d.namespace("Track Namespace Suffix")}
}

func encodeNamespaceDone(e *encoder, msg Message) { e.namespace(msg.(*NamespaceDone).Suffix) }

func decodePublishSkipped(d *decoder) Message {
	t := d.trackName()
	return &PublishSkipped{Suffix: t.Namespace, Name: t.Name}
}

func encodePublishSkipped(e *encoder, msg Message) {
	m := msg.(*PublishSkipped)
	e.trackName(m.Suffix.Track(m.Name))
}
