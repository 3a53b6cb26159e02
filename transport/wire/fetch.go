package wire

func decodeFetch(d *decoder) Message {
	m := &Fetch{RequestID: d.varint("Request ID")}
	switch typ := d.varint("Fetch Type"); {
	case d.err != nil:
		return m
	case typ == uint64(FetchStandalone):
		m.Type = FetchStandalone
		m.Track = d.trackName()
		m.Start = d.location("Start Location")
		m.End = d.endLocation("End Location")
	case typ == uint64(FetchRelativeJoining), typ == uint64(FetchAbsoluteJoining):
		m.Type = FetchKind(typ)
		m.JoiningID = d.varint("Joining Request ID")
		m.JoiningStart = d.varint("Joining Start")
	default:
		d.fail(violation("Fetch Type", "0x%x is unknown", typ))
	}
	m.Params = d.params(KindFetch)
	return m
}

func encodeFetch(e *encoder, msg Message) {
	m := msg.(*Fetch)
	e.varint(m.RequestID)
	e.varint(uint64(m.Type))
	switch m.Type {
	case FetchStandalone:
		e.trackName(m.Track)
		e.location(m.Start)
		e.endLocation(m.End)
	case FetchRelativeJoining, FetchAbsoluteJoining:
		e.varint(m.JoiningID)
		e.varint(m.JoiningStart)
	default:
		e.fail("FETCH of type %d", m.Type)
	}
	e.params(KindFetch, &m.Params)
}

func decodeFetchOK(d *decoder) Message {
	m := new(FetchOK)
	end := d.byte("End Of Track")
	if end > 1 {
		d.fail(violation("End Of Track", "%d", end))
	}
	m.EndOfTrack = end == 1
	m.End = d.endLocation("End Location")
	m.Params = d.params(KindFetchOK)
	m.Properties = d.trackProperties()
	return m
}

func encodeFetchOK(e *encoder, msg Message) {
	m := msg.(*FetchOK)
	var end byte
	if m.EndOfTrack {
		end = 1
	}
	e.byte(end)
	e.endLocation(m.End)
	e.params(KindFetchOK, &m.Params)
	e.properties(m.Properties)
}
