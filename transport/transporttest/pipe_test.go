package transporttest

import (
	"context"
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

func TestPipeOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := Pipe(t, &PipeOptions{
			Version: moqt.Draft19, WebTransport: true, Path: "/x",
			MaxStreams: 2, MaxUniStreams: 3, Window: 1000, MaxDatagram: 10,
		})
		for _, i := range []struct {
			version moqt.Version
			wt      bool
			path    string
		}{
			{client.Info().Version, client.Info().WebTransport, client.Info().Path},
			{server.Info().Version, server.Info().WebTransport, server.Info().Path},
		} {
			if i.version != moqt.Draft19 || !i.wt || i.path != "/x" {
				t.Errorf("Info() = %+v", i)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for i := range 3 {
			_, err := client.OpenStream(ctx)
			if got, want := errors.Is(err, context.DeadlineExceeded), i == 2; got != want {
				t.Errorf("OpenStream number %d = %v", i+1, err)
			}
		}
		s, err := server.OpenUniStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := s.Write(make([]byte, 5000)); n != 1000 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write = %d, %v, want the window of 1000", n, err)
		}
		if err := client.SendDatagram(make([]byte, 11)); err == nil {
			t.Error("SendDatagram of 11 bytes succeeded")
		}
		for range datagramQueue + 5 {
			client.SendDatagram(make([]byte, 10))
		}
		if st := client.Stats(); st.PacketsLost != 5 || st.BytesLost != 50 || st.BytesSent != 10*(datagramQueue+5) {
			t.Errorf("Stats() = %+v, want 5 datagrams lost", st)
		}
		if st := server.Stats(); st.BytesReceived != 10*datagramQueue {
			t.Errorf("Stats() = %+v, want %d bytes received", st, 10*datagramQueue)
		}
	})
}
