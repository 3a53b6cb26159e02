package transport_test

import (
	"testing"
	"testing/synctest"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// A peer that misreads a field of SUBSCRIBE_OK is not sent it; every other is.
func TestQuirks(t *testing.T) {
	for _, tt := range []struct {
		implementation      string
		draft               moqt.Version
		largest, properties bool
	}{
		{"moq-lite-js", moqt.Draft18, false, true},
		{"moq-lite-rs 1.2", moqt.Draft20, false, true},
		{"moq-lite-js", moqt.Draft16, true, true}, // where the length belongs there
		{"ShakaPlayer/v5.2.12", moqt.Draft16, true, false},
		{"ShakaPlayer/v5.3.0", moqt.Draft18, true, true},
		{"tributary/0", moqt.Draft16, true, true},
		{"tributary/0", moqt.Draft18, true, true},
		{"-", moqt.Draft18, true, true},
	} {
		t.Run(tt.implementation+" in "+tt.draft.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := transporttest.Pipe(t, &transporttest.PipeOptions{Version: tt.draft})
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
					req.(*transport.SubscribeRequest).Accept(&transport.PublishOptions{
						Largest:    func() (moqt.Location, bool) { return at, true },
						Properties: moqt.Properties{{Type: moqt.PropDefaultPriority, Value: 7}},
					})
					<-sess.Context().Done()
				}()
				sess, err := transport.NewSession(t.Context(), c, &transport.Config{Implementation: tt.implementation})
				if err != nil {
					t.Fatal(err)
				}
				tr, err := sess.Subscribe(t.Context(), transport.NS("a").Track("b"), nil)
				if err != nil {
					t.Fatal(err)
				}
				if _, told := tr.Largest(); told != tt.largest {
					t.Errorf("Largest() told = %v, want %v", told, tt.largest)
				}
				if told := len(tr.Properties()) > 0; told != tt.properties {
					t.Errorf("Properties() told = %v, want %v", told, tt.properties)
				}
				sess.Close()
				<-served
			})
		})
	}
}
