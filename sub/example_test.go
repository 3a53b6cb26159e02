package sub_test

import (
	"context"
	"os"
	"time"

	"github.com/tributary-live/tributary/sub"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// A recorder: it waits for a broadcast and writes it to stdout until it ends.
func Example() {
	record := func(ctx context.Context, url string) error {
		sess, err := transport.Dial(ctx, url, nil)
		if err != nil {
			return err
		}
		defer sess.Close()
		b, err := sub.Open(ctx, sess, sub.Config{Namespace: moqt.NS("room", "camera"), Wait: time.Minute})
		if err != nil {
			return err
		}
		return b.WriteMP4(ctx, os.Stdout)
	}
	_ = record // in a program: record(ctx, "moqt://relay.example:4443")
}
