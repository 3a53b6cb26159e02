package clock

import (
	"context"
	"fmt"
	"time"

	"github.com/tributary-live/tributary/transport"
)

// Subscribe calls each with every time that the clock tells from now on. It
// returns when the clock ends, which is no error, when each returns an error,
// which it passes on, or when ctx or the session ends.
func Subscribe(ctx context.Context, sess *transport.Session, c Config, each func(time.Time) error) error {
	name := c.name()
	track, err := sess.Subscribe(ctx, name, nil)
	if err != nil {
		return fmt.Errorf("subscribe to %v: %w", name, err)
	}
	defer track.Close()
	for o, err := range track.Objects(ctx) {
		if err != nil {
			return err
		}
		t, err := read(o.Payload)
		if err != nil {
			return fmt.Errorf("track %v is no clock: object %v: %w", name, o.Location, err)
		}
		if err := each(t); err != nil {
			return err
		}
	}
	return nil
}

// read returns the time that a payload tells.
func read(payload []byte) (time.Time, error) {
	if len(payload) > len(time.RFC3339Nano) {
		return time.Time{}, fmt.Errorf("%d bytes are too many for a time", len(payload))
	}
	return time.Parse(time.RFC3339, string(payload))
}
