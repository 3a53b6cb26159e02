package rtmp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/bluenviron/gortmplib/pkg/bytecounter"
	"github.com/bluenviron/gortmplib/pkg/rawmessage"
)

// Config is how to reach a server.
type Config struct {
	// Dial opens TCP connections. If nil, it is a [net.Dialer]'s with Multipath TCP,
	// which falls back to TCP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// TLS is for rtmps. If nil, the certificate must be one that the system trusts.
	TLS *tls.Config
	// Timeout bounds everything up to the server's word that the stream may begin.
	// If zero, it is 10 s.
	Timeout time.Duration
	// WriteTimeout bounds how long the server may take nothing of what is written.
	// If zero, it is 10 s.
	WriteTimeout time.Duration
}

// withDefaults returns a copy of c, which may be nil, with what it leaves open.
func (c *Config) withDefaults() *Config {
	var d Config
	if c != nil {
		d = *c
	}
	if d.Timeout == 0 {
		d.Timeout = 10 * time.Second
	}
	if d.WriteTimeout == 0 {
		d.WriteTimeout = 10 * time.Second
	}
	if d.Dial == nil {
		var tcp net.Dialer
		tcp.SetMultipathTCP(true)
		d.Dial = tcp.DialContext
	}
	return &d
}

// dial opens the connection for u, in TLS if it is to be.
func (c *Config) dial(ctx context.Context, u *URL) (net.Conn, error) {
	conn, err := c.Dial(ctx, "tcp", u.host)
	if err != nil || !u.secure {
		return conn, err
	}
	t := &tls.Config{}
	if c.TLS != nil {
		t = c.TLS.Clone()
	}
	if t.ServerName == "" {
		t.ServerName, _, _ = net.SplitHostPort(u.host)
	}
	secure := tls.Client(conn, t)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// Types of messages that are about the connection (RTMP 1.0, "Protocol Control
// Messages" and "Command Messages").
const (
	typeSetChunkSize = 1
	typeAbort        = 2
	typeAck          = 3
	typeUserControl  = 4
	typeWindowAck    = 5
	typeCommand      = 20
)

// maxControl bounds the messages that are looked at here. Decoding takes stack by
// how deep they nest, which is at most this.
const maxControl = 64 << 10

// wire reads and writes messages. Writes are whole under a lock, for the reader
// answers pings and acknowledges while others write media.
type wire struct {
	conn  net.Conn
	limit time.Duration // without any progress of a write
	r     *rawmessage.Reader
	sent  *bytecounter.Writer

	mu sync.Mutex // guards w
	w  *rawmessage.Writer
}

func newWire(conn net.Conn, limit time.Duration) *wire {
	w := &wire{conn: conn, limit: limit}
	in := bytecounter.NewReader(conn)
	w.sent = bytecounter.NewWriter(progress{conn, limit})
	w.w = rawmessage.NewWriter(w.sent, w.sent, false)
	w.r = rawmessage.NewReader(in, in, func(count uint32) error { return w.control(typeAck, count) })
	return w
}

// progress is a writer whose every Write has its own deadline.
type progress struct {
	conn  net.Conn
	limit time.Duration
}

func (p progress) Write(b []byte) (int, error) {
	const most = 64 << 10
	var n int
	for len(b) > 0 {
		if err := p.conn.SetWriteDeadline(time.Now().Add(p.limit)); err != nil {
			return n, err
		}
		m, err := p.conn.Write(b[:min(len(b), most)])
		if n += m; err != nil {
			return n, err
		}
		b = b[m:]
	}
	return n, nil
}

func (w *wire) write(m *rawmessage.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.w.Write(m)
}

// control sends a message of one number.
func (w *wire) control(kind uint8, v uint32) error {
	return w.write(&rawmessage.Message{ChunkStreamID: 2, Type: kind, Body: []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}})
}

// setChunkSize tells the peer that chunks will be longer, which they are then.
func (w *wire) setChunkSize(n uint32) error {
	if err := w.control(typeSetChunkSize, n); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.w.SetChunkSize(n)
	return nil
}

// read returns the next message that is not about the connection itself.
func (w *wire) read() (*rawmessage.Message, error) {
	for {
		m, err := w.r.Read()
		if err != nil {
			return nil, err
		}
		number := func() (uint32, error) {
			if len(m.Body) < 4 {
				return 0, fmt.Errorf("message of type %d with %d bytes: %w", m.Type, len(m.Body), io.ErrUnexpectedEOF)
			}
			return uint32(m.Body[0])<<24 | uint32(m.Body[1])<<16 | uint32(m.Body[2])<<8 | uint32(m.Body[3]), nil
		}
		switch m.Type {
		case typeSetChunkSize:
			n, err := number()
			if err != nil {
				return nil, err
			}
			if n == 0 {
				return nil, errors.New("the server sends chunks of no size")
			}
			if err := w.r.SetChunkSize(n); err != nil {
				return nil, err
			}
		case typeAbort:
			n, err := number()
			if err != nil {
				return nil, err
			}
			w.r.AbortChunkStream(n)
		case typeWindowAck:
			n, err := number()
			if err != nil {
				return nil, err
			}
			w.r.SetWindowAckSize(n)
		case typeUserControl:
			const ping, pong = 6, 7
			if len(m.Body) >= 6 && m.Body[0] == 0 && m.Body[1] == ping {
				body := append([]byte{0, pong}, m.Body[2:6]...)
				if err := w.write(&rawmessage.Message{ChunkStreamID: 2, Type: typeUserControl, Body: body}); err != nil {
					return nil, err
				}
			}
		default:
			return m, nil
		}
	}
}
