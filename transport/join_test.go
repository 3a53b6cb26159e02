package transport_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// A joined track is live whatever its publisher makes of the fetch.
func TestJoinWaitsForTheSubscriptionAlone(t *testing.T) {
	newest := moqt.Location{Group: 7, Object: 3}
	tests := []struct {
		name    string
		largest bool // something has been published
		fetch   func(r *transport.FetchRequest) error
		none    bool  // there is no FetchReader
		want    error // of ReadObject, after objects objects
		objects int
		took    time.Duration // until that error
	}{
		{name: "answered", largest: true, want: io.EOF, objects: 1, fetch: func(r *transport.FetchRequest) error {
			w, err := r.Accept(transport.FetchInfo{End: newest})
			if err != nil {
				return err
			}
			if err := w.WriteObject(moqt.Object{Location: newest}); err != nil {
				return err
			}
			return w.Close()
		}},
		{name: "answered late", largest: true, want: io.EOF, took: 3 * time.Second, fetch: func(r *transport.FetchRequest) error {
			time.Sleep(3 * time.Second) // virtual
			w, err := r.Accept(transport.FetchInfo{End: newest})
			if err != nil {
				return err
			}
			return w.Close()
		}},
		{name: "refused", largest: true, want: &transport.RequestError{Code: moqt.RequestNotSupported}, fetch: func(r *transport.FetchRequest) error {
			return r.Reject(moqt.RequestNotSupported, "no fetch here")
		}},
		{name: "never answered", largest: true, want: errNoAnswer, took: 30 * time.Second},
		{name: "nothing published", none: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := transporttest.Pipe(t, nil)
				served := make(chan error, 1)
				go func() {
					served <- servePast(b, tt.fetch, func() (moqt.Location, bool) { return newest, tt.largest })
				}()
				sess, err := transport.NewSession(t.Context(), a, nil)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				tr, f, err := sess.Join(t.Context(), transport.NS("a").Track("b"), 0, nil)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != 0 {
					t.Errorf("Join took %v, want no wait for the fetch", took)
				}
				if (f == nil) != tt.none {
					t.Fatalf("FetchReader = %v, want none: %v", f, tt.none)
				}
				if f != nil {
					n := 0
					for err == nil {
						if _, err = f.ReadObject(t.Context()); err == nil {
							n++
						}
					}
					if took := time.Since(began); took != tt.took || n != tt.objects || !is(err, tt.want) {
						t.Errorf("ReadObject = %v after %d objects and %v, want %v after %d and %v", err, n, took, tt.want, tt.objects, tt.took)
					}
					if end, _ := f.End(); tt.want == io.EOF && end != newest {
						t.Errorf("End() = %v, want %v", end, newest)
					}
					f.Close()
				}
				// The subscription is untouched.
				if err := tr.Context().Err(); err != nil {
					t.Errorf("the subscription has ended: %v", err)
				}
				tr.Close()
				sess.Close()
				if err := <-served; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A fetch that is closed before its answer gives the request up, and the
// answer's stream is not left open.
func TestJoinClosedBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := transporttest.Pipe(t, nil)
		cancelled := make(chan struct{})
		served := make(chan error, 1)
		go func() {
			served <- servePast(b, func(r *transport.FetchRequest) error {
				<-r.Context().Done()
				close(cancelled)
				return nil
			}, func() (moqt.Location, bool) { return moqt.Location{Group: 1}, true })
		}()
		sess, err := transport.NewSession(t.Context(), a, nil)
		if err != nil {
			t.Fatal(err)
		}
		tr, f, err := sess.Join(t.Context(), transport.NS("a").Track("b"), 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		f.Close()
		<-cancelled
		if _, err := f.ReadObject(t.Context()); err != transport.ErrClosed {
			t.Errorf("ReadObject after Close = %v, want %v", err, transport.ErrClosed)
		}
		tr.Close()
		sess.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// errNoAnswer stands for the end of the wait for an answer, which has no name.
var errNoAnswer = errors.New("moqt: no answer within 30s")

func is(err, want error) bool {
	return errors.Is(err, want) || want == errNoAnswer && err != nil && err.Error() == want.Error()
}

// servePast accepts every subscription and gives each fetch to fetch, or leaves
// it without an answer if that is nil, until the session ends.
func servePast(c transport.Conn, fetch func(*transport.FetchRequest) error, largest func() (moqt.Location, bool)) error {
	ctx := c.Context()
	sess, err := transport.NewSession(ctx, c, nil)
	if err != nil {
		return err
	}
	defer sess.Close()
	var failed error
	for {
		req, err := sess.Accept(ctx)
		if err != nil {
			return failed
		}
		switch req := req.(type) {
		case *transport.SubscribeRequest:
			if _, err := req.Accept(&transport.PublishOptions{Largest: largest}); err != nil {
				failed = err
			}
		case *transport.FetchRequest:
			if fetch != nil {
				if err := fetch(req); err != nil {
					failed = err
				}
			}
		}
	}
}
