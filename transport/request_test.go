package transport_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// stoppedConn is a connection whose peer has always stopped a request's stream
// by the time that Write returns, as QUIC may have it under load.
type stoppedConn struct{ transport.Conn }

func (c stoppedConn) OpenStream(ctx context.Context) (transport.Stream, error) {
	st, err := c.Conn.OpenStream(ctx)
	return stoppedStream{st}, err
}

type stoppedStream struct{ transport.Stream }

func (s stoppedStream) Write(p []byte) (int, error) {
	n, err := s.Stream.Write(p)
	if err == nil {
		err = &transport.StreamError{Code: moqt.StreamCancelled, Remote: true}
	}
	return n, err
}

func TestRefusedBeforeWriteReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := transporttest.Pipe(t, nil)
		done := make(chan error, 1)
		go func() {
			sess, err := transport.NewSession(t.Context(), b, nil)
			if err != nil {
				done <- err
				return
			}
			defer sess.Close()
			req, err := sess.Accept(t.Context())
			if err == nil {
				err = req.Reject(moqt.RequestDoesNotExist, "not here")
			}
			done <- err
			<-sess.Context().Done()
		}()
		sess, err := transport.NewSession(t.Context(), stoppedConn{a}, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = sess.Subscribe(t.Context(), transport.NS("a").Track("b"), nil)
		if !errors.Is(err, &transport.RequestError{Code: moqt.RequestDoesNotExist}) {
			t.Errorf("Subscribe = %v, want the peer's refusal", err)
		}
		sess.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A refusal is the last word on its stream, and must not be lost with a packet:
// what ends a request afterwards may not reset the stream.
func TestRefusalSurvivesLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := netsim.New(t).Link(netsim.Delay(10*time.Millisecond), netsim.Loss(0.2))
		a, b := transporttest.QUICPair(t, link)
		done := make(chan error, 1)
		go func() {
			sess, err := transport.NewSession(t.Context(), b, nil)
			for err == nil {
				var req transport.Request
				if req, err = sess.Accept(t.Context()); err == nil {
					err = req.Reject(moqt.RequestDoesNotExist, "not here")
				}
			}
			done <- err
		}()
		sess, err := transport.NewSession(t.Context(), a, nil)
		if err != nil {
			t.Fatal(err)
		}
		name := transport.NS("a").Track("b")
		for i := range 20 {
			_, subscribe := sess.Subscribe(t.Context(), name, nil)
			_, publish := sess.Publish(t.Context(), name, nil)
			_, fetch := sess.Fetch(t.Context(), name, transport.Range{}, nil)
			_, status := sess.Status(t.Context(), name)
			_, announce := sess.Announce(t.Context(), name.Namespace)
			_, watch := sess.WatchNamespaces(t.Context(), name.Namespace)
			_, tracks := sess.SubscribeTracks(t.Context(), name.Namespace, nil)
			for j, err := range []error{subscribe, publish, fetch, status, announce, watch, tracks} {
				if !errors.Is(err, &transport.RequestError{Code: moqt.RequestDoesNotExist}) {
					t.Errorf("round %d, request %d: err = %v, want the peer's refusal", i, j, err)
				}
			}
		}
		link.Set(netsim.Loss(0)) // the close is not repeated if it is lost
		sess.Close()
		if err := <-done; !errors.Is(err, &transport.SessionError{Code: moqt.SessionNoError}) {
			t.Errorf("the peer's session ended with %v", err)
		}
	})
}
