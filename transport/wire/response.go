package wire

import (
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// answerID reads the Request ID that another message of the same request had,
// where that is not told by the stream.
func (d *decoder) answerID() uint64 {
	if !d.p.controlMux {
		return 0
	}
	return d.varint("Request ID")
}

func (e *encoder) answerID(id uint64) {
	if e.p.controlMux {
		e.varint(id)
	}
}

func decodeRequestOK(d *decoder) Message {
	m := &RequestOK{RequestID: d.answerID(), Params: d.params(KindRequestOK)}
	if d.on.Answers == KindTrackStatus && d.p.TrackStatusProperties() {
		m.Properties = d.trackProperties()
	} else if d.err == nil && len(d.b) > 0 {
		d.fail(violation("Track Properties", "%d bytes in answer to %v", len(d.b), d.on.Answers))
	}
	return m
}

func encodeRequestOK(e *encoder, msg Message) {
	m := msg.(*RequestOK)
	e.answerID(m.RequestID)
	e.params(KindRequestOK, &m.Params)
	if e.p.TrackStatusProperties() {
		e.properties(m.Properties)
	}
}

func decodeRequestError(d *decoder) Message {
	m := &RequestError{RequestID: d.answerID(), Code: d.requestCode("Error Code")}
	if after := d.varint("Retry Interval"); after > 0 {
		m.Retry = Some(fromMillis(after - 1))
	}
	m.Reason = d.string("Error Reason", maxReasonSize)
	if d.err == nil && m.Code == moqt.RequestRedirect {
		m.Redirect = Some(Redirect{URI: d.string("Connect URI", maxURISize), Track: d.trackName()})
		if d.on.Request.namespaceScoped() && m.Redirect.Value.Track.Name != "" {
			d.fail(violation("Redirect", "a track name in answer to %v", d.on.Request))
		}
	}
	return m
}

// namespaceScoped reports whether k asks for a namespace and not for a track.
func (k Kind) namespaceScoped() bool {
	return k == KindPublishNamespace || k == KindSubscribeNamespace || k == KindSubscribeTracks
}

func encodeRequestError(e *encoder, msg Message) {
	m := msg.(*RequestError)
	e.answerID(m.RequestID)
	e.requestCode(m.Code)
	if m.Retry.Set {
		e.varint(e.toMillis(min(m.Retry.Value, time.Duration(maxMillis)*time.Millisecond)) + 1)
	} else {
		e.varint(0)
	}
	e.reason(m.Reason)
	if m.Redirect.Set != (m.Code == moqt.RequestRedirect) {
		e.fail("REQUEST_ERROR %v with a redirect: %v", m.Code, m.Redirect.Set)
	}
	if m.Redirect.Set && e.p.Redirects() {
		e.limited("Connect URI", m.Redirect.Value.URI, maxURISize)
		e.trackName(m.Redirect.Value.Track)
	}
}
