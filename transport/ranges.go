package transport

import (
	"errors"
	"fmt"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// ErrFiltered is why a track is not published to a peer whose SUBSCRIBE_TRACKS
// asks for tracks with other properties.
var ErrFiltered = errors.New("moqt: the track does not pass the peer's filter of track properties")

// checkRanges returns the answer to a message with range filters that must be
// refused, or nil. The filters after it, if that is an update, count against the
// limit as well. ("Range Filters")
func (s *Session) checkRanges(of, after moqt.RangeFilters) *wire.RequestError {
	limit := uint64(s.cfg.Limits.MaxFilterRanges)
	err := of.Check(limit)
	if err == nil {
		err = after.Check(limit)
	}
	if err == nil {
		return nil
	}
	return &wire.RequestError{Code: moqt.RequestInvalidFilter, Reason: err.Error()}
}

// mayFilter reports why the peer cannot be asked for what passes fs.
func (s *Session) mayFilter(fs moqt.RangeFilters) error {
	switch {
	case len(fs) == 0:
		return nil
	case !s.profile.RangeFilters():
		return fmt.Errorf("moqt: %v has no range filters", s.info.Version)
	}
	if err := fs.Check(s.peerSetup.MaxFilterRanges.Value); err != nil {
		return fmt.Errorf("%w, which is what the peer takes", err)
	}
	return nil
}
