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
	header, ids, err := fmp4.MergeHeaders(b.Inits)
	if err != nil {
		return fmt.Errorf("join the tracks' headers: %w", err)
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	rename := make(map[string]uint32)
	taken := make(map[uint32]bool)
	for i, t := range b.Tracks {
		if taken[ids[i]] {
			return fmt.Errorf("track %q has no id of its own", t.Name)
		}
		taken[ids[i]] = true
		rename[t.Name] = ids[i]
	}
	return b.Receive(ctx, func(o Object) error {
		chunk, err := fmp4.Renumber(o.Payload, rename[o.Track])
		if err != nil {
			return fmt.Errorf("track %q object %v: %w", o.Track, o.Location, err)
		}
		_, err = w.Write(chunk)
		return err
	})
}
