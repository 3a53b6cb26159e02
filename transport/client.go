package transport

import (
	"context"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Dial opens a session with the server at url, moqt:// for raw QUIC or https://
// for WebTransport, and trusts the system's roots. A [Dialer] can do more.
func Dial(ctx context.Context, url string, c *Config) (*Session, error) {
	d := Dialer{Config: c}
	return d.Dial(ctx, url)
}

// Dial opens a session with the server at url.
func (d *Dialer) Dial(ctx context.Context, url string) (*Session, error) {
	conn, err := d.DialConn(ctx, url)
	if err != nil {
		return nil, err
	}
	return NewSession(ctx, conn, d.Config)
}

// NS is [moqt.NS], for programs that need no more of that package.
func NS(fields ...string) moqt.Namespace { return moqt.NS(fields...) }
