package forward

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"

	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/rtmp"
	"github.com/tributary-live/tributary/sub"
)

// head is what goes before the frames of a broadcast.
type head struct {
	formats []*rtmp.Format // at most one of each kind
}

// newHead reads the headers of b and returns what goes before its frames, and its
// tracks by name. It fails with a sentence if RTMP cannot carry them: one of video
// and one of sound at most, in codecs that it has.
func newHead(b *sub.Broadcast, log *slog.Logger) (*head, map[string]*source, error) {
	h := &head{}
	tracks := make(map[string]*source)
	kinds := make(map[rtmp.Kind]string)
	for i, t := range b.Tracks {
		u, err := fmp4.NewUnpacker(b.Inits[i])
		if err != nil {
			return nil, nil, fmt.Errorf("track %q: %w", t.Name, err)
		}
		if u.Track.Kind != fmp4.Video && u.Track.Kind != fmp4.Audio {
			log.Info("track is not forwarded: RTMP carries video and sound", "track", t.Name)
			continue
		}
		format, err := rtmp.NewFormat(u)
		if err != nil {
			return nil, nil, fmt.Errorf("track %q: %w", t.Name, err)
		}
		if first, taken := kinds[format.Kind]; taken {
			return nil, nil, fmt.Errorf("tracks %q and %q are both %s, and RTMP carries one of each kind: choose one with --track", first, t.Name, u.Track.Kind)
		}
		kinds[format.Kind] = t.Name
		tracks[t.Name] = &source{unpack: u, format: format, lane: len(h.formats)}
		h.formats = append(h.formats, format)
	}
	if len(h.formats) == 0 {
		return nil, nil, errors.New("the broadcast has neither video nor sound to forward")
	}
	return h, tracks, nil
}

// equal reports whether a target that has been told h need not be told other.
func (h *head) equal(other *head) bool {
	if !h.fits(other) {
		return false
	}
	for i, f := range h.formats {
		if !bytes.Equal(f.Header(), other.formats[i].Header()) {
			return false
		}
	}
	return true
}

// fits reports whether frames of other can follow those of h on a connection: the
// codecs are the same.
func (h *head) fits(other *head) bool {
	if len(h.formats) != len(other.formats) {
		return false
	}
	for i, f := range h.formats {
		if f.FourCC != other.formats[i].FourCC {
			return false
		}
	}
	return true
}
