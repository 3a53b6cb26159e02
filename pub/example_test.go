package pub_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/tributary-live/tributary/pub"
	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// What moq-pub does: fMP4 from stdin to a relay.
func ExamplePublisher() {
	publish := func(ctx context.Context, url string) error {
		return pub.NewPublisher(pub.PublisherConfig{
			Namespace: moqt.NS("room", "camera"),
			Source:    fmp4.NewReader(os.Stdin, nil),
			Dial: func(ctx context.Context) (*transport.Session, error) {
				return transport.Dial(ctx, url, nil)
			},
		}).Run(ctx)
	}
	_ = publish // in a program: publish(ctx, "moqt://relay.example:4443")
}

func ExamplePackager() {
	f, err := os.Open("fmp4/testdata/keyframe_empty.mp4")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	r := fmp4.NewReader(f, nil)
	in, err := r.Init()
	if err != nil {
		log.Fatal(err)
	}
	p, err := pub.NewPackager(in, pub.PackagerConfig{FirstGroup: 100})
	if err != nil {
		log.Fatal(err)
	}
	show := func(items []pub.Item) {
		for _, it := range items {
			fmt.Println(it.Track, it.Location)
		}
	}
	for {
		c, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		show(p.Add(c))
	}
	show(p.Flush())
	// Output:
	// video 100/0
	// audio 100/0
	// catalog 101/0
	// video 101/0
	// audio 101/0
	// video 102/0
	// audio 102/0
}
