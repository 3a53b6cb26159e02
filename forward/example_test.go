package forward_test

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/tributary-live/tributary/forward"
	"github.com/tributary-live/tributary/rtmp"
	"github.com/tributary-live/tributary/sub"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// A broadcast goes to a platform, whose stream key is in the environment.
func Example() {
	send := func(ctx context.Context, url string) error {
		to, err := rtmp.ParseURL("rtmps://platform.example/live/" + os.Getenv("STREAM_KEY"))
		if err != nil {
			return err
		}
		sess, err := transport.Dial(ctx, url, nil)
		if err != nil {
			return err
		}
		defer sess.Close()
		b, err := sub.Open(ctx, sess, sub.Config{Namespace: moqt.NS("room", "camera"), Wait: time.Minute})
		if err != nil {
			return err
		}
		out := json.NewEncoder(os.Stdout)
		f, err := forward.New(forward.Config{Targets: []*rtmp.URL{to}, Report: func(s []forward.Status) { _ = out.Encode(s) }})
		if err != nil {
			return err
		}
		return f.Run(ctx, forward.Only(b))
	}
	_ = send // in a program: send(ctx, "moqt://relay.example:4443")
}
