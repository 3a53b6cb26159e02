package transport

import (
	"strings"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// quirks are what a peer, known by its MOQT_IMPLEMENTATION, needs to be spared.
type quirks struct {
	// longLargest: it has LARGEST_OBJECT with a length before it on every draft, as
	// it is until draft-16, and gives up the request over one without. Later
	// releases under the same name have it right: so it is left out, which both
	// understand, and read either way.
	longLargest bool
	// noProperties: on draft-16 it takes the track properties of SUBSCRIBE_OK for
	// the next message, and hears nothing more.
	noProperties bool
}

func quirksOf(implementation string) quirks {
	return quirks{
		longLargest:  strings.HasPrefix(implementation, "moq-lite-"),
		noProperties: strings.HasPrefix(implementation, "ShakaPlayer/"),
	}
}

// largest is the LARGEST_OBJECT parameter for the peer.
func (s *Session) largest(l moqt.Location) wire.Opt[moqt.Location] {
	if s.mux == nil && quirksOf(s.peerSetup.Implementation).longLargest {
		return wire.Opt[moqt.Location]{}
	}
	return wire.Some(l)
}

// properties are the track properties in a SUBSCRIBE_OK to the peer.
func (s *Session) properties(p moqt.Properties) moqt.Properties {
	if s.mux != nil && quirksOf(s.peerSetup.Implementation).noProperties {
		return nil
	}
	return p
}
