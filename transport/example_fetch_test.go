package transport_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// A subscriber asks for what was published before it came. Gaps are not
// objects: what does not exist is left out.
func ExampleSession_Fetch() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sess, stop := connect(ctx, transport.HandlerFunc(archive))
	defer stop()
	past, err := sess.Fetch(ctx, transport.NS("demo").Track("news"),
		transport.Range{Start: moqt.Location{Group: 3}, End: moqt.Location{Group: 5, Object: moqt.WholeGroup}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer past.Close()
	for {
		obj, err := past.ReadObject(ctx)
		if err == io.EOF {
			return // that was all
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%v %s\n", obj.Location, obj.Payload)
	}
	// Output:
	// 3/0 headlines of hour 3
	// 4/0 headlines of hour 4
	// 5/0 headlines of hour 5
}

// archive answers fetches with an object for each group.
func archive(ctx context.Context, s *transport.Session) error {
	for {
		req, err := s.Accept(ctx)
		if err != nil {
			return err
		}
		fetch, ok := req.(*transport.FetchRequest)
		if !ok {
			req.Reject(moqt.RequestNotSupported, "only the past is kept here")
			continue
		}
		w, err := fetch.Accept(transport.FetchInfo{End: fetch.Range.End})
		if err != nil {
			return err
		}
		for group := fetch.Range.Start.Group; group <= fetch.Range.End.Group; group++ {
			text := fmt.Sprintf("headlines of hour %d", group)
			if err := w.WriteObject(moqt.Object{Location: moqt.Location{Group: group}, Payload: []byte(text)}); err != nil {
				return err
			}
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
}
