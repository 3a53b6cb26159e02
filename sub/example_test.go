package sub_test

import (
	"context"
	"fmt"
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

// A recorder that goes on when its relay was away for a while.
func ExampleReceiver() {
	record := func(ctx context.Context, url string) error {
		r := sub.NewReceiver(sub.ReceiverConfig{
			Config: sub.Config{Namespace: moqt.NS("room", "camera"), Wait: time.Minute},
			Dial:   func(ctx context.Context) (*transport.Session, error) { return transport.Dial(ctx, url, nil) },
		})
		return r.WriteMP4(ctx, os.Stdout)
	}
	_ = record // in a program: record(ctx, "moqt://relay.example:4443")
}

// A viewer of two cameras: the second while the first is not there.
func ExampleNewCameras() {
	watch := func(ctx context.Context, sess *transport.Session) error {
		cameras := sub.NewCameras(sess, sub.Config{Namespace: moqt.NS("room", "cam-a"), Spares: []moqt.Namespace{moqt.NS("room", "cam-b")}})
		return cameras.Receive(ctx, func(camera *sub.Broadcast, o sub.Object) error {
			fmt.Println(camera.Namespace.Slashed(), o.Track, o.Location)
			return nil
		})
	}
	_ = watch // in a program: watch(ctx, sess)
}
