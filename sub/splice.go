package sub

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/tributary-live/tributary/pub/fmp4"
)

// WriteMP4 receives the cameras and writes them to w as fragmented MP4 whose time
// goes on where one takes the place of another: its first picture follows the last
// of the one before, whatever time each has. A camera whose header is not that of
// the one before begins with its own, as a new initialization segment does.
// The first camera's chunks are written as the publisher made them.
func (c *Cameras) WriteMP4(ctx context.Context, w io.Writer) error {
	s := splice{w: w, cameras: c}
	return c.Receive(ctx, s.write)
}

// splice writes what several cameras send behind each other.
type splice struct {
	w       io.Writer
	cameras *Cameras

	b        *Broadcast // the camera whose turn it is
	header   []byte
	ids      map[string]uint32
	clocks   map[string]*fmp4.Clock
	moved    bool              // its times are changed by shift
	shift    time.Duration     // from its time to that of the output
	ends     map[uint32]uint64 // of what is written under this header, by track id, in units of its timescale
	end      time.Duration     // of what is written of all
	sequence uint32            // of the chunk that was written last
}

func (s *splice) write(b *Broadcast, o Object) error {
	fresh := b != s.b
	if fresh {
		if err := s.begin(b); err != nil {
			return fmt.Errorf("%s: %w", b.Namespace.Slashed(), err)
		}
	}
	if err := s.chunk(o, fresh); err != nil {
		return fmt.Errorf("%s: track %q object %v: %w", b.Namespace.Slashed(), o.Track, o.Location, err)
	}
	return nil
}

// begin writes the header of a camera where it is another one.
func (s *splice) begin(b *Broadcast) (err error) {
	header, ids, err := b.header()
	if err != nil {
		return err
	}
	s.clocks = make(map[string]*fmp4.Clock)
	for i, t := range b.Tracks {
		if s.clocks[t.Name], err = fmp4.NewClock(b.Inits[i]); err != nil {
			return err
		}
	}
	s.moved = s.b != nil
	s.b, s.ids = b, ids
	if bytes.Equal(header, s.header) {
		return nil
	}
	if s.moved {
		s.cameras.cfg.Logger.Warn("camera has another header: what reads the output must take a second one", "ns", b.Namespace.Slashed())
	}
	s.header, s.ends = header, make(map[uint32]uint64)
	_, err = s.w.Write(header)
	return err
}

// chunk writes an object. The first of a camera sets the time of all that follow
// of it. Sound that would begin before what was written has ended is left out.
func (s *splice) chunk(o Object, first bool) error {
	clock, id, chunk := s.clocks[o.Track], s.ids[o.Track], o.Payload
	start, length, err := clock.Times(chunk)
	if err != nil {
		return err
	}
	s.sequence++
	if first && s.moved {
		s.shift = s.end - fmp4.Duration(start, clock.Timescale)
	}
	if s.moved {
		at := int64(start) + unitsUp(s.shift, clock.Timescale)
		if at < int64(s.ends[id]) || at < 0 {
			return nil
		}
		start = uint64(at)
		chunk, err = fmp4.Retime(chunk, id, start, s.sequence)
	} else {
		chunk, err = fmp4.Renumber(chunk, id)
	}
	if err != nil {
		return err
	}
	s.ends[id] = start + length
	s.end = max(s.end, fmp4.Duration(start+length, clock.Timescale))
	_, err = s.w.Write(chunk)
	return err
}

// unitsUp returns d in units of a timescale, rounded up.
func unitsUp(d time.Duration, timescale uint32) int64 {
	seconds, rest := d/time.Second, d%time.Second
	if rest < 0 {
		seconds, rest = seconds-1, rest+time.Second
	}
	part := uint64(rest) * uint64(timescale)
	return int64(seconds)*int64(timescale) + int64((part+uint64(time.Second)-1)/uint64(time.Second))
}
