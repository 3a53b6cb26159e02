package wire

import "github.com/tributary-live/tributary/transport/moqt"

func decodeFetch(d *decoder) Message {
	m := &Fetch{RequestID: d.varint("Request ID")}
	if d.p.fetchByFilter {
		m.Track = d.trackName()
		m.Params = d.params(KindFetch)
		m.setFilter(m.Params.Filter.Or(moqt.Filter{Kind: moqt.FilterNone}))
		m.Params.Filter = Opt[moqt.Filter]{}
		return m
	}
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

// setFilter sets the fields of m that tell the range.
func (m *Fetch) setFilter(f moqt.Filter) {
	m.Type, m.Start, m.End = FetchStandalone, f.Start, moqt.Location{Group: moqt.LastGroup, Object: moqt.WholeGroup}
	switch f.Kind {
	case moqt.FilterAbsoluteRange:
		m.End.Group = f.EndGroup
	case moqt.FilterAbsoluteEnd:
		m.End = moqt.Location{Group: f.EndGroup, Object: f.EndObject}
	case moqt.FilterRelative, moqt.FilterNextGroup, moqt.FilterLargestObject:
		m.Type, m.Filter, m.End = FetchRelative, f, moqt.Location{}
	}
}

// filter is the reverse of setFilter.
func (m *Fetch) filter(e *encoder) moqt.Filter {
	f := moqt.Filter{Kind: moqt.FilterAbsoluteEnd, Start: m.Start, EndGroup: m.End.Group, EndObject: m.End.Object}
	switch {
	case m.Type == FetchRelative:
		switch m.Filter.Kind {
		case moqt.FilterRelative, moqt.FilterNextGroup, moqt.FilterLargestObject:
		default:
			e.fail("FETCH with a filter of kind %d, which is not relative", m.Filter.Kind)
		}
		return m.Filter
	case m.Type != FetchStandalone:
		e.fail("%v has no FETCH of type %d", e.p.version, m.Type)
	case m.End.Group == moqt.LastGroup && m.End.Object == moqt.WholeGroup:
		f.Kind, f.EndGroup, f.EndObject = moqt.FilterAbsoluteStart, 0, 0
		if f.Start == (moqt.Location{}) {
			f.Kind = moqt.FilterNone
		}
	case m.End.Object == moqt.WholeGroup:
		f.Kind, f.EndObject = moqt.FilterAbsoluteRange, 0
	}
	return f
}

func encodeFetch(e *encoder, msg Message) {
	m := msg.(*Fetch)
	e.varint(m.RequestID)
	if m.Params.Filter.Set {
		e.fail("FETCH with a filter among the parameters")
	}
	if e.p.fetchByFilter {
		e.trackName(m.Track)
		params := m.Params
		f := m.filter(e)
		params.Filter = Opt[moqt.Filter]{Value: f, Set: f.Kind != moqt.FilterNone}
		e.params(KindFetch, &params)
		return
	}
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
		e.fail("%v has no FETCH of type %d", e.p.version, m.Type)
	}
	e.params(KindFetch, &m.Params)
}

func decodeFetchOK(d *decoder) Message {
	m := &FetchOK{RequestID: d.answerID()}
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
	e.answerID(m.RequestID)
	var end byte
	if m.EndOfTrack {
		end = 1
	}
	e.byte(end)
	e.endLocation(m.End)
	e.params(KindFetchOK, &m.Params)
	e.properties(m.Properties)
}
