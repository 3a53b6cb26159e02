package interop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlogwriter"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// testCase is one thing to try on a relay.
type testCase struct {
	name string
	// timeout bounds the case. It is an upper bound, not a wait.
	timeout time.Duration
	// needs, if not nil, reports whether a draft has what the case is about;
	// lacks says what that is. All drafts of a case's sessions have to have it.
	needs func(*wire.Profile) bool
	lacks string
	run   func(t *trial) error
}

// trial is one run of a case.
type trial struct {
	c     *Config
	of    *testCase
	ctx   context.Context // ends with the case's timeout
	ns    moqt.Namespace  // of this trial alone, so that nothing is left of another
	wg    sync.WaitGroup  // what serves sessions
	conns []Connection
	opens []*transport.Session
}

// errSkip ends a case that the negotiated draft cannot run.
type errSkip string

func (e errSkip) Error() string { return string(e) }

// try runs the case. All its sessions are closed when it returns.
func (tc *testCase) try(ctx context.Context, c *Config) Result {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, tc.timeout)
	defer cancel()
	t := &trial{c: c, of: tc, ctx: ctx, ns: transport.NS("moq-test", "interop", fmt.Sprintf("%s-%08x", tc.name, rand.Uint32()))}
	err := tc.run(t)
	if err == nil {
		err = t.check()
	}
	cancel()
	t.close()
	r := Result{Name: tc.name, Connections: t.conns, Duration: time.Since(began)}
	var skip errSkip
	switch {
	case errors.As(err, &skip):
		r.Skipped = string(skip)
	case err != nil && !errors.As(err, &r.Err):
		r.Err = failed("no error", err)
	}
	return r
}

// dial opens a session. The role is the name of its connection in what is told;
// publishers may offer other drafts than the rest.
func (t *trial) dial(role string) (*transport.Session, error) {
	versions := t.c.Versions
	if strings.HasPrefix(role, rolePublisher) && len(t.c.PublisherVersions) > 0 {
		versions = t.c.PublisherVersions
	}
	log := t.c.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var mu sync.Mutex // several addresses are tried at once
	var id string
	d := &transport.Dialer{
		TLSConfig: t.c.TLSConfig, ListenPacket: t.c.ListenPacket,
		Config: &transport.Config{
			Versions: versions, Logger: log.With("session", t.of.name+" "+role), Implementation: "tributary-interop/0",
			Tracer: func(ctx context.Context, client bool, first quic.ConnectionID) qlogwriter.Trace {
				mu.Lock()
				id = first.String()
				mu.Unlock()
				if t.c.Tracer == nil {
					return nil
				}
				return t.c.Tracer(ctx, client, first)
			},
		},
	}
	sess, err := d.Dial(t.ctx, t.c.URL)
	if err != nil {
		if errors.As(err, new(*transport.SessionError)) { // there was a connection
			t.conns = append(t.conns, Connection{Role: role, ID: id})
		}
		return nil, failed("connection and SETUP of the "+role, err)
	}
	t.opens = append(t.opens, sess)
	t.conns = append(t.conns, Connection{Role: role, ID: id, Version: sess.Version()})
	if p, ok := wire.ProfileFor(sess.Version()); ok && t.of.needs != nil && !t.of.needs(p) {
		return nil, errSkip(sess.Version().String() + " has no " + t.of.lacks)
	}
	return sess, nil
}

// Roles of connections, which name them in the output.
const (
	roleClient      = "client"
	rolePublisher   = "publisher"
	rolePublisher1  = "publisher_1"
	rolePublisher2  = "publisher_2"
	roleSubscriber  = "subscriber"
	roleSubscriber1 = "subscriber_1"
	roleSubscriber2 = "subscriber_2"
)

// check fails if the relay has closed a session that nobody asked it to close.
func (t *trial) check() error {
	for i, sess := range t.opens {
		var end *transport.SessionError
		err := context.Cause(sess.Context())
		if err != nil && !(errors.As(err, &end) && !end.Remote && end.Code == moqt.SessionNoError) {
			return failed("session of the "+t.conns[i].Role+" to stay open", err)
		}
	}
	return nil
}

func (t *trial) close() {
	for _, sess := range t.opens {
		sess.Close()
	}
	t.wg.Wait()
}

// failed returns the failure of a case that expected something and got err.
func failed(expected string, err error) *Failure {
	return &Failure{Expected: expected, Received: received(err), Err: err}
}

// got is failed for something that is no error.
func got(expected, format string, args ...any) *Failure {
	return &Failure{Expected: expected, Received: fmt.Sprintf(format, args...)}
}

// wantRefusal fails unless err is a REQUEST_ERROR of the relay, with one of the
// codes if any are named.
func wantRefusal(what string, err error, codes ...moqt.RequestCode) error {
	expected := "REQUEST_ERROR"
	for i, code := range codes {
		if i > 0 {
			expected += " or"
		}
		expected += " " + code.String()
	}
	expected += " to " + what
	var refused *transport.RequestError
	switch {
	case err == nil:
		return got(expected, "success")
	case !errors.As(err, &refused) || !refused.Remote:
		return failed(expected, err)
	}
	for _, code := range codes {
		if refused.Code == code {
			return nil
		}
	}
	if len(codes) > 0 {
		return failed(expected, err)
	}
	return nil
}

// inBackground runs f and gives its result to the channel that it returns.
func inBackground[T any](t *trial, f func() (T, error)) <-chan outcome[T] {
	c := make(chan outcome[T], 1)
	t.wg.Go(func() {
		v, err := f()
		c <- outcome[T]{v, err}
	})
	return c
}

type outcome[T any] struct {
	value T
	err   error
}
