package rtmp

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// FuzzServer reads anything that a server may say once hands are shaken.
func FuzzServer(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 16, 0})
	f.Add([]byte{3, 0, 0, 0, 0, 0, 12, 20, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5})
	f.Add(append([]byte{3, 0, 0, 0, 0, 0, 100, 20, 0, 0, 0, 0}, bytes.Repeat([]byte{3, 0, 1, 'a'}, 25)...))
	u, err := ParseURL(testURL)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		w := newWire(&oneWay{Reader: bytes.NewReader(said)}, time.Second)
		for {
			m, err := w.read()
			if err != nil {
				return
			}
			c, ok := parseCommand(m)
			if !ok {
				continue
			}
			err = c.failure(u)
			if err != nil && (strings.Contains(err.Error(), "secretkey") || len(err.Error()) > 4096) {
				t.Errorf("error with the key in it, or %d bytes long: %v", len(err.Error()), err)
			}
		}
	})
}

// oneWay is a connection that says what it says, and takes everything.
type oneWay struct {
	io.Reader
	net.Conn
}

func (o *oneWay) Read(b []byte) (int, error)     { return o.Reader.Read(b) }
func (*oneWay) Write(b []byte) (int, error)      { return len(b), nil }
func (*oneWay) SetWriteDeadline(time.Time) error { return nil }
