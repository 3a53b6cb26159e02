package sub

import (
	"context"
	"fmt"
	"io"

	"github.com/tributary-live/tributary/pub/fmp4"
)

// WriteMP4 receives the broadcast and writes it to w as one fragmented MP4: a
// header of all tracks, then the chunks as they come. Chunks are written as the
// publisher made them, unless two tracks have the same track id.
func (b *Broadcast) WriteMP4(ctx context.Context, w io.Writer) error {
	header, ids, err := b.header()
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	return b.Receive(ctx, func(o Object) error {
		chunk, err := fmp4.Renumber(o.Payload, ids[o.Track])
		if err != nil {
			return fmt.Errorf("track %q object %v: %w", o.Track, o.Location, err)
		}
		_, err = w.Write(chunk)
		return err
	})
}

// header returns one header of all tracks, and the track id that each has in it.
func (b *Broadcast) header() (header []byte, ids map[string]uint32, err error) {
	header, list, err := fmp4.MergeHeaders(b.Inits)
	if err != nil {
		return nil, nil, fmt.Errorf("join the tracks' headers: %w", err)
	}
	ids = make(map[string]uint32)
	taken := make(map[uint32]bool)
	for i, t := range b.Tracks {
		if taken[list[i]] {
			return nil, nil, fmt.Errorf("track %q has no id of its own", t.Name)
		}
		taken[list[i]] = true
		ids[t.Name] = list[i]
	}
	return header, ids, nil
}
