package transport

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// TestHeaded has a stream's header go out with what is written first, and by
// itself only if the stream ends before that.
func TestHeaded(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(h *headed)
		want string
	}{
		{"small", func(h *headed) { h.Write([]byte("object")); h.Write([]byte("next")); h.Close() }, "write head+object, boundary, write next, close"},
		{"large", func(h *headed) { h.Write(make([]byte, 100_000)) }, "write head+16384, boundary, write 83616"},
		{"nothing", func(h *headed) { h.Close() }, "write head, boundary, close"},
		{"reset", func(h *headed) { h.CancelWrite(7); h.Write([]byte("late")) }, "write head, boundary, reset, write late"},
		{"boundary", func(h *headed) { h.SetReliableBoundary(); h.Write([]byte("object")) }, "write head, boundary, boundary, write object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := &loggedStream{}
			h := &headed{SendStream: log}
			h.owe([]byte("head+"))
			tt.do(h)
			if got := strings.Join(log.did, ", "); got != strings.Replace(tt.want, "write head,", "write head+,", 1) {
				t.Errorf("did %s, want %s", got, tt.want)
			}
			if h.lost() {
				t.Error("the header is lost")
			}
		})
	}
}

// TestHeadedLost resets a stream of which nothing has gone, while the first Write
// waits, and one of which something has.
func TestHeadedLost(t *testing.T) {
	for _, gone := range []int{0, 3} {
		synctest.Test(t, func(t *testing.T) {
			log := &loggedStream{gone: gone, reset: make(chan struct{})}
			h := &headed{SendStream: log}
			h.owe([]byte("head+"))
			wrote := make(chan int, 1)
			go func() {
				n, _ := h.Write([]byte("object"))
				wrote <- n
			}()
			synctest.Wait()
			h.CancelWrite(7)
			if got := h.lost(); got != (gone == 0) {
				t.Errorf("%d bytes gone: lost = %v", gone, got)
			}
			if n := <-wrote; n != 0 {
				t.Errorf("Write() = %d bytes of an object of which none has gone", n)
			}
		})
	}
}

// loggedStream takes note of what is done to it. If reset is set, a Write waits
// until it is closed and has written gone bytes.
type loggedStream struct {
	SendStream
	did   []string
	gone  int
	reset chan struct{}
}

func (s *loggedStream) Write(p []byte) (int, error) {
	if s.reset != nil {
		<-s.reset
		return s.gone, errTimedOut
	}
	what := string(p)
	if len(p) > 100 {
		what = fmt.Sprint(len(p))
		if strings.HasPrefix(string(p), "head+") {
			what = fmt.Sprintf("head+%d", len(p)-5)
		}
	}
	s.did = append(s.did, "write "+what)
	return len(p), nil
}

func (s *loggedStream) SetReliableBoundary()             { s.did = append(s.did, "boundary") }
func (s *loggedStream) SetWriteDeadline(time.Time) error { return nil }
func (s *loggedStream) Close() error                     { s.did = append(s.did, "close"); return nil }
func (s *loggedStream) CancelWrite(moqt.StreamCode) {
	s.did = append(s.did, "reset")
	if s.reset != nil {
		close(s.reset)
	}
}
