package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// relays are those that may be asked, in turn. It is not for concurrent use.
type relays struct {
	open func(ctx context.Context, url string) (*transport.Session, error) // set before dial
	list []transport.URI
	next int // in list
}

// parseRelays reads the arguments, and the track that the first names, if it does.
func parseRelays(args []string) (*relays, moqt.TrackName, error) {
	r := &relays{}
	for i, arg := range args {
		if strings.HasPrefix(arg, "-") {
			return nil, moqt.TrackName{}, app.Usagef("%s stands after %s: flags go first", arg, args[i-1])
		}
		uri, err := transport.ParseURI(arg)
		if err != nil {
			return nil, moqt.TrackName{}, app.Usagef("%w", err)
		}
		if i > 0 && uri.Track != (moqt.TrackName{}) && uri.Track != r.list[0].Track {
			return nil, moqt.TrackName{}, app.Usagef("%s names another broadcast than %s: all URLs are of relays that have the same", arg, args[0])
		}
		r.list = append(r.list, uri)
	}
	return r, r.list[0].Track, nil
}

// dial opens a session with the first relay that can be reached, beginning behind
// the one that was reached last.
func (r *relays) dial(ctx context.Context) (*transport.Session, error) {
	var errs []error
	for range r.list {
		uri := r.list[r.next]
		r.next = (r.next + 1) % len(r.list)
		sess, err := r.open(withToken(ctx, uri), uri.Server)
		if err == nil || ctx.Err() != nil {
			return sess, err
		}
		if len(r.list) > 1 {
			err = fmt.Errorf("%s: %w", uri.Server, err)
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// dialTo opens a session with the relay that the one which was reached last has
// named. Who is trusted with a token may hand it on.
func (r *relays) dialTo(ctx context.Context, url string) (*transport.Session, error) {
	last := r.list[(r.next+len(r.list)-1)%len(r.list)]
	return r.open(withToken(ctx, last), url)
}

// tokenC4M is the type of a token that a URL's c4m parameter holds.
const tokenC4M = 1

// withToken has a session be opened with the token of uri, if there is one.
func withToken(ctx context.Context, uri transport.URI) context.Context {
	if uri.Token == nil {
		return ctx
	}
	return transport.WithTokens(ctx, transport.Token{Type: tokenC4M, Value: uri.Token})
}
