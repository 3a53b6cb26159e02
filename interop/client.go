// Package interop tests a relay from outside, as moq-interop-client does: each
// case opens sessions of its own, acts as publisher and subscriber, and says
// what it expected and what came. What it prints is TAP, as the MoQT interop
// runner reads it.
//
// The tests of this directory run the cases against our relay in every draft,
// and other people's software against ours.
package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlogwriter"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Config says which relay to test, and how.
type Config struct {
	// URL is the relay's: moqt:// for raw QUIC, https:// for WebTransport.
	URL string
	// Versions are the drafts to offer. If empty, all that are implemented.
	Versions []moqt.Version
	// PublisherVersions are the drafts that publishers offer. If empty, they are
	// those of Versions; if not, a relay is seen to translate.
	PublisherVersions []moqt.Version
	// Cases are the names of those to run, in this order. If empty, all.
	Cases []string
	// TLSConfig and ListenPacket are as in Dialer of package transport.
	TLSConfig    *tls.Config
	ListenPacket func(ctx context.Context) (net.PacketConn, error)
	// Tracer, if not nil, begins the qlog trace of a connection.
	Tracer func(ctx context.Context, isClient bool, id quic.ConnectionID) qlogwriter.Trace
	// Logger gets what the sessions have to say. If nil, nothing is logged.
	Logger *slog.Logger
}

// ErrUnknownCase is returned by [Run] for a name that is not among [Cases].
var ErrUnknownCase = errors.New("interop: unknown test case")

// Cases returns the names of all cases, in the order in which they are run.
func Cases() []string {
	names := make([]string, len(cases))
	for i := range cases {
		names[i] = cases[i].name
	}
	return names
}

// Result is what came of one case.
type Result struct {
	Name string
	// Skipped says why the case was not run with the negotiated draft. If
	// empty, it was.
	Skipped string
	// Err is why the case failed, or nil.
	Err *Failure
	// Connections are those that the case opened, in order.
	Connections []Connection
	Duration    time.Duration
}

// Connection is one connection of a case.
type Connection struct {
	Role    string       // "client" where the case has one connection only
	ID      string       // the first destination connection id of QUIC, in hex
	Version moqt.Version // 0 if there was no SETUP
}

// Failure says why a case failed.
type Failure struct {
	Expected string // by the case
	Received string // in its place
	Err      error  // what Received was made of, or nil
}

// Error returns both halves.
func (f *Failure) Error() string { return "expected " + f.Expected + ", received " + f.Received }

// Unwrap returns what Received was made of.
func (f *Failure) Unwrap() error { return f.Err }

// Run runs the cases one after another and writes TAP version 14 to w, a test
// point as soon as its case is over. A relay that the first case cannot reach is
// not asked again: the rest is missing from the results then, and the output
// ends with "Bail out!". An error other than [ErrUnknownCase] is w's.
func Run(ctx context.Context, w io.Writer, c Config) ([]Result, error) {
	if len(c.Cases) == 0 {
		c.Cases = Cases()
	}
	run := make([]testCase, len(c.Cases))
	for i, name := range c.Cases {
		at := slices.IndexFunc(cases, func(c testCase) bool { return c.name == name })
		if at < 0 {
			return nil, fmt.Errorf("%w: %q", ErrUnknownCase, name)
		}
		run[i] = cases[at]
	}
	out := tap{w: w}
	out.begin(&c, len(run))
	var results []Result
	for i := range run {
		r := run[i].try(ctx, &c)
		results = append(results, r)
		out.point(i+1, &r)
		if i == 0 && len(run) > 1 && unreachable(&r) {
			out.bailOut(r.Err.Err)
			break
		}
	}
	return results, out.err
}

// unreachable reports whether a case failed because there is no relay.
func unreachable(r *Result) bool {
	return r.Err != nil && r.Err.Err != nil && len(r.Connections) == 0
}
