package transport_test

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// crowd dials n times and returns how many were let in. Whoever was not must have
// been told to try again.
func (w *world) crowd(n int, scheme string) (in int) {
	w.t.Helper()
	for range n {
		c, err := w.dialer.DialConn(w.t.Context(), w.url(scheme))
		switch {
		case err == nil:
			w.t.Cleanup(func() { c.CloseWithError(moqt.SessionNoError, "") })
			in++
		case !errors.Is(err, transport.ErrBusy):
			w.t.Fatalf("DialConn = %v, want ErrBusy", err)
		}
	}
	return in
}

// TestAdmissionRate lets in as many as it may, refuses the others with a hint to
// come again, lets them in when they do, and those inside notice nothing.
func TestAdmissionRate(t *testing.T) {
	for _, scheme := range schemes {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, &transport.ListenConfig{Admission: transport.Admission{Rate: 4, AddressRate: -1}})
			client, server := w.connect(scheme)
			in := w.crowd(20, scheme)
			if in < 3 || in > 8 {
				t.Errorf("%s: %d of 20 were let in, want the 4 of a second and a few more for the time it takes", scheme, in)
			}
			if s := w.server.Admitted(); s.Taken != uint64(1+in) || s.Refused < uint64(20-in) || s.RefusedAddress != 0 {
				t.Errorf("%s: Admitted() = %+v, want %d taken and the others refused, none for its address", scheme, s, 1+in)
			}
			time.Sleep(time.Second)
			if in := w.crowd(2, scheme); in != 2 {
				t.Errorf("%s: %d of 2 were let in a second later", scheme, in)
			}
			st, err := client.OpenUniStream(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				st.Write([]byte("still here"))
				st.Close()
			}()
			rst, err := server.AcceptUniStream(t.Context())
			if err != nil {
				t.Fatalf("%s: who was inside: %v", scheme, err)
			}
			if b, err := io.ReadAll(rst); err != nil || string(b) != "still here" {
				t.Errorf("%s: who was inside got %q, %v", scheme, b, err)
			}
		})
	}
}
