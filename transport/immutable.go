package transport

import (
	"fmt"

	"github.com/tributary-live/tributary/transport/moqt"
)

// ParseProperties reads what an IMMUTABLE_PROPERTIES of this session's peer
// holds. ("Immutable Properties")
func (s *Session) ParseProperties(b []byte) (moqt.Properties, error) {
	return s.profile.ParseProperties(b)
}

// TrackValue returns the value of a track property of an even type, which may be
// inside IMMUTABLE_PROPERTIES too.
func (t *TrackReader) TrackValue(typ uint64) (uint64, bool) {
	if v, ok := t.props.Value(typ); ok {
		return v, true
	}
	inner, err := t.immutable()
	if err != nil {
		return 0, false
	}
	return inner.Value(typ)
}

// CheckProperties reports why the track's properties make it malformed, or nil.
// ("Immutable Properties", "Malformed Tracks")
func (t *TrackReader) CheckProperties() error {
	_, err := t.immutable()
	return err
}

// immutable returns the properties inside IMMUTABLE_PROPERTIES.
func (t *TrackReader) immutable() (inner moqt.Properties, err error) {
	found := false
	for _, p := range t.props {
		if p.Type != moqt.PropImmutable {
			continue
		}
		if found {
			return nil, fmt.Errorf("moqt: track %v has IMMUTABLE_PROPERTIES twice", t.name)
		}
		found = true
		if inner, err = t.s.ParseProperties(p.Bytes); err != nil {
			return nil, fmt.Errorf("moqt: IMMUTABLE_PROPERTIES of track %v: %w", t.name, err)
		}
	}
	for _, p := range inner {
		if p.Type == moqt.PropImmutable {
			return nil, fmt.Errorf("moqt: IMMUTABLE_PROPERTIES of track %v are nested", t.name)
		}
	}
	return inner, nil
}
