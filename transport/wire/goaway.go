package wire

func decodeGoaway(d *decoder) Message {
	m := &Goaway{URI: d.string("New Session URI", maxURISize)}
	if !d.p.noGoawayTimeout {
		m.Timeout = d.millis("Timeout")
	}
	// A peer that leaves the Request ID out is not punished: later drafts do.
	if d.p.goawayRequestID && d.on.Control && len(d.b) > 0 {
		m.RequestID = Some(d.varint("Request ID"))
	}
	return m
}

func encodeGoaway(e *encoder, msg Message) {
	m := msg.(*Goaway)
	e.limited("New Session URI", m.URI, maxURISize)
	if !e.p.noGoawayTimeout {
		e.millis(m.Timeout)
	}
	if e.p.goawayRequestID && m.RequestID.Set {
		e.varint(m.RequestID.Value)
	}
}
