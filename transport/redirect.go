package transport

import (
	"errors"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// Redirect is where a refused request should be sent.
type Redirect struct {
	URI string // a server to dial; "" is the same session
	// Track is what to ask for, of which requests for namespaces use the
	// namespace alone, unless Same is set.
	Track moqt.TrackName
	// Same says that the track or namespace is the one that was asked for.
	Same bool
}

// Redirects reports whether the draft of the session has redirects.
func (s *Session) Redirects() bool { return s.profile.Redirects() }

// Redirect refuses the request and says where to send it instead. Only a server
// may name a URI. Until draft-16 the peer is told no more than that the request
// has failed. ("Redirect Structure")
func (in *incoming) Redirect(to Redirect) error {
	rs := in.rs
	if rs.s.info.Client && to.URI != "" {
		return errors.New("moqt: a client's redirect names no URI")
	}
	track := to.Track
	if to.Same {
		track = rs.asked
	}
	if ofNamespace(rs.kind) {
		track.Name = ""
	}
	return rs.refuse(&wire.RequestError{Code: moqt.RequestRedirect, Reason: "the request belongs elsewhere",
		Redirect: wire.Some(wire.Redirect{URI: to.URI, Track: track})})
}

// Redirect is as for every request. The peer may then ask anew at once.
func (r *SubscribeRequest) Redirect(to Redirect) error {
	r.s.leave(r.t)
	return r.incoming.Redirect(to)
}

// Redirect is as for every request. The peer may then offer the track anew at
// once.
func (r *PublishRequest) Redirect(to Redirect) error {
	r.t.s.forget(r.t)
	return r.incoming.Redirect(to)
}

// ofNamespace reports whether requests of kind k are for a namespace and not for
// a track.
func ofNamespace(k wire.Kind) bool {
	return k == wire.KindPublishNamespace || k == wire.KindSubscribeNamespace || k == wire.KindSubscribeTracks
}

// nameOf returns what a request asks for.
func nameOf(m wire.Message) moqt.TrackName {
	switch m := m.(type) {
	case *wire.Subscribe:
		return m.Track
	case *wire.Publish:
		return m.Track
	case *wire.Fetch:
		return m.Track
	case *wire.TrackStatus:
		return m.Track
	case *wire.PublishNamespace:
		return moqt.TrackName{Namespace: m.Namespace}
	case *wire.SubscribeNamespace:
		return moqt.TrackName{Namespace: m.Prefix}
	case *wire.SubscribeTracks:
		return moqt.TrackName{Namespace: m.Prefix}
	}
	return moqt.TrackName{}
}

// refused is the error of a request of kind k of ours that the peer has refused.
func (s *Session) refused(k wire.Kind, m *wire.RequestError) error {
	if err := s.checkRedirect(m); err != nil {
		return err
	}
	if ofNamespace(k) && m.Redirect.Value.Track.Name != "" {
		return s.fail(moqt.SessionProtocolViolation, "a redirect of a request for a namespace names a track")
	}
	e := requestError(m)
	if e.Redirect != nil && s.profile.RedirectKeepsTrack() && e.Redirect.Track == (moqt.TrackName{}) {
		e.Redirect.Same = true
	}
	return e
}
