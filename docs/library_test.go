package docs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/qlog"
)

// The functions of this file are quoted in guides/library.md.

func fetchExample(ctx context.Context, sess *transport.Session) error {
	name := transport.NS("clock").Track("now")
	info, err := sess.Status(ctx, name)
	if err != nil || !info.HasLargest {
		return err
	}
	from := moqt.Location{Group: info.Largest.Group - min(9, info.Largest.Group)}
	past, err := sess.Fetch(ctx, name, transport.Range{Start: from, End: info.Largest}, nil)
	if err != nil {
		return err
	}
	defer past.Close()
	for {
		obj, err := past.ReadObject(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Printf("%d/%d %s\n", obj.Group, obj.Object, obj.Payload)
	}
}

func joinExample(ctx context.Context, sess *transport.Session) error {
	track, head, err := sess.Join(ctx, transport.NS("clock").Track("now"), 0, nil)
	if err != nil {
		return err
	}
	defer track.Close()
	for head != nil { // nil where nothing has been published yet
		obj, err := head.ReadObject(ctx)
		if _, refused := errors.AsType[*transport.RequestError](err); refused || err == io.EOF {
			break // that was all, or the publisher keeps nothing
		}
		if err != nil {
			return err
		}
		fmt.Printf("before: %d/%d\n", obj.Group, obj.Object)
	}
	for obj, err := range track.Objects(ctx) {
		if err != nil {
			return err
		}
		fmt.Printf("live: %d/%d\n", obj.Group, obj.Object)
	}
	return nil
}

func serveExample(ctx context.Context, cert tls.Certificate) error {
	srv := &transport.Server{
		Addr:      "127.0.0.1:4443",
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		Handler: transport.HandlerFunc(func(ctx context.Context, sess *transport.Session) error {
			for {
				req, err := sess.Accept(ctx)
				if err != nil {
					return err
				}
				sub, ok := req.(*transport.SubscribeRequest)
				if !ok {
					req.Reject(moqt.RequestNotSupported, "there are subscriptions only")
					continue
				}
				go answer(ctx, sub)
			}
		}),
	}
	return srv.ListenAndServe(ctx)
}

// answer sends one group of one object and ends the subscription.
func answer(ctx context.Context, req *transport.SubscribeRequest) {
	track, err := req.Accept(nil)
	if err != nil {
		return
	}
	defer track.Close()
	g, err := track.OpenGroup(ctx, 0)
	if err != nil {
		return
	}
	fmt.Fprintf(g, "hello, reader of %v", req.Track)
	g.Close()
}

func relayExample(ctx context.Context, cert tls.Certificate) error {
	r := relay.New(relay.Config{MaxSubscriptions: 100})
	defer r.Close()
	srv := &transport.Server{
		Addr:      "127.0.0.1:4443",
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		Handler:   r,
	}
	return srv.ListenAndServe(ctx)
}

func trustExample(ctx context.Context, conf *tls.Config) error {
	d := &transport.Dialer{TLSConfig: conf}
	sess, err := d.Dial(ctx, "https://relay.example:4443/")
	if err != nil {
		return err
	}
	defer sess.Close()
	log.Print(sess.Version(), " with ", sess.PeerImplementation())
	return nil
}

func errorsExample(err error) string {
	var refused *transport.RequestError
	var done *transport.TrackDone
	var ended *transport.SessionError
	switch {
	case errors.As(err, &refused) && refused.Code == moqt.RequestDoesNotExist:
		return "nobody publishes it; ask again after " + refused.RetryAfter.String()
	case errors.As(err, &done) && done.Code == moqt.DoneTrackEnded:
		return "the publisher has ended the track"
	case errors.As(err, &ended):
		return "the session is over: " + ended.Reason
	}
	return err.Error()
}

func traceExample(ctx context.Context, srv *transport.Server) error {
	traces, err := qlog.Open(qlog.Config{Dir: "traces", Sample: 10})
	if err != nil {
		return err
	}
	defer traces.Close()
	srv.Config.Tracer = traces.Trace
	return srv.ListenAndServe(ctx)
}
