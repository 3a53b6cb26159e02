package transport_test

import (
	"testing"
	"testing/synctest"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// A peer that misreads LARGEST_OBJECT is not sent one; every other is.
func TestLargestIsSparedThoseWhoMisreadIt(t *testing.T) {
	for implementation, want := range map[string]bool{"moq-lite-js": false, "moq-lite-rs 1.2": false, "tributary/0": true, "": true} {
		t.Run(implementation, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := transporttest.Pipe(t, nil)
				served := make(chan struct{})
				go func() {
					defer close(served)
					sess, err := transport.NewSession(t.Context(), s, nil)
					if err != nil {
						t.Error(err)
						return
					}
					defer sess.Close()
					req, err := sess.Accept(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					at := moqt.Location{Group: 3, Object: 4}
					req.(*transport.SubscribeRequest).Accept(&transport.PublishOptions{Largest: func() (moqt.Location, bool) { return at, true }})
					<-sess.Context().Done()
				}()
				if implementation == "" {
					implementation = "-"
				}
				sess, err := transport.NewSession(t.Context(), c, &transport.Config{Implementation: implementation})
				if err != nil {
					t.Fatal(err)
				}
				tr, err := sess.Subscribe(t.Context(), transport.NS("a").Track("b"), nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, got := tr.Largest(); got != want {
					t.Errorf("Largest() told = %v, want %v", got, want)
				}
				sess.Close()
				<-served
			})
		})
	}
}
