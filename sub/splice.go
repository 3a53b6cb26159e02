package sub

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/tributary-live/tributary/pub/fmp4"
)

// WriteMP4 receives the cameras and writes them to w as fragmented MP4 whose time
// goes on where one takes the place of another: its first picture follows the last
// of the one before, whatever time each has. A camera that has other codecs than
// the one before begins with a header of its own, as a new initialization segment
// does. The first camera's chunks are written as the publisher made them.
func (c *Cameras) WriteMP4(ctx context.Context, w io.Writer) error {
	s := splice{w: w, log: c.cfg.Logger}
	return c.Receive(ctx, s.write)
}

// splice writes what several cameras send behind each other.
type splice struct {
	w   io.Writer
	log *slog.Logger

	b        *Broadcast       // the camera whose turn it is
	tracks   map[string]*part // of it, by name
	outs     []*out           // the tracks of the header in force
	moved    bool             // its times are changed by shift
	shift    time.Duration    // from its time to that of the output
	end      time.Duration    // of what is written of all tracks
	sequence uint32           // of the chunk that was written last
}

// out is a track of the output.
type out struct {
	kind   string // role of its tracks
	id     uint32
	header []byte
	scale  uint32 // units per second
	end    uint64 // of what is written, in these
}

// part is a track of a camera.
type part struct {
	out   *out
	clock *fmp4.Clock
	adapt *fmp4.Adapter // nil if it has the header of out
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

// begin finds a camera's tracks their place in the output, and writes its header
// if that is not possible.
func (s *splice) begin(b *Broadcast) error {
	s.moved, s.b = s.b != nil, b
	why := s.fit(b)
	if why == nil {
		return nil
	}
	header, ids, err := b.header()
	if err != nil {
		return err
	}
	if s.moved {
		s.log.Warn("camera needs a header of its own: what reads the output must take a second one", "ns", b.Namespace.Slashed(), "err", why)
	}
	s.outs = nil
	for i, t := range b.Tracks {
		clock, err := fmp4.NewClock(b.Inits[i])
		if err != nil {
			return err
		}
		s.outs = append(s.outs, &out{kind: t.Role, id: ids[t.Name], header: b.Inits[i], scale: clock.Timescale})
	}
	if err := s.fit(b); err != nil {
		return err
	}
	_, err = s.w.Write(header)
	return err
}

// fit has the tracks of a camera follow those of the header in force.
func (s *splice) fit(b *Broadcast) error {
	if len(s.outs) != len(b.Tracks) {
		return fmt.Errorf("it has %d tracks, not %d", len(b.Tracks), len(s.outs))
	}
	tracks := make(map[string]*part)
	for i, t := range b.Tracks {
		clock, err := fmp4.NewClock(b.Inits[i])
		if err != nil {
			return err
		}
		p := &part{out: s.outs[i], clock: clock}
		if !bytes.Equal(b.Inits[i], p.out.header) {
			if t.Role != p.out.kind {
				return fmt.Errorf("its track %q is %s, not %s", t.Name, t.Role, p.out.kind)
			}
			if p.adapt, err = fmp4.NewAdapter(b.Inits[i], p.out.header); err != nil {
				return fmt.Errorf("track %q: %w", t.Name, err)
			}
		}
		tracks[t.Name] = p
	}
	s.tracks = tracks
	return nil
}

// chunk writes an object. The first of a camera sets the time of all that follow
// of it. Sound that would begin before what was written has ended is left out.
func (s *splice) chunk(o Object, first bool) error {
	p, chunk := s.tracks[o.Track], o.Payload
	start, length, err := p.clock.Times(chunk)
	if err != nil {
		return err
	}
	if first && s.moved {
		s.shift = s.end - fmp4.Duration(start, p.clock.Timescale)
	}
	at := func(units uint64) uint64 {
		return uint64(max(0, unitsUp(fmp4.Duration(units, p.clock.Timescale)+s.shift, p.out.scale)))
	}
	end := start + length
	if s.moved {
		if at(start) < p.out.end {
			return nil
		}
		end = at(end)
	}
	s.sequence++
	switch {
	case !s.moved:
		chunk, err = fmp4.Renumber(chunk, p.out.id)
	case p.adapt == nil:
		chunk, err = fmp4.Retime(chunk, p.out.id, at(start), s.sequence)
	default:
		chunk, err = p.adapt.Chunk(chunk, p.out.id, s.sequence, at)
	}
	if err != nil {
		return err
	}
	p.out.end = end
	s.end = max(s.end, fmp4.Duration(end, p.out.scale))
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
