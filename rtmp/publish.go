package rtmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/handshake"
	"github.com/bluenviron/gortmplib/pkg/rawmessage"
)

// Publication is a stream that is being published at a server.
type Publication struct {
	url    *URL
	wire   *wire
	stream uint32
	done   chan struct{} // closed when the server says nothing more
	err    error         // why; set when done is closed
}

// chunkSize is that of what is sent. ffmpeg's, which all servers take.
const chunkSize = 60000

// Publish connects to a server and publishes a stream there; formats are those of
// its tracks. It sends nothing of them yet. c may be nil. No error that it or the Publication
// returns has the key in it; [Advice] says what can be done about it.
//
// ctx bounds Publish alone. Whoever gets a Publication closes it.
func Publish(ctx context.Context, u *URL, c *Config, formats ...*Format) (*Publication, error) {
	c = c.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	conn, err := c.dial(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	p := &Publication{url: u, wire: newWire(conn, c.WriteTimeout), done: make(chan struct{})}
	err = p.begin(formats)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("no word from the server: %w", ctx.Err())
		}
		return nil, err
	}
	go p.read()
	return p, nil
}

// Transactions.
const (
	callConnect = iota + 1
	callRelease
	callFCPublish
	callCreate
	callPublish
	callUnpublish
	callDelete
)

// begin does what is to be done before media: shake hands, connect to the app,
// make a stream and publish on it.
func (p *Publication) begin(formats []*Format) error {
	w := p.wire
	rw := struct {
		io.Reader
		io.Writer
	}{w.conn, progress{w.conn, w.limit}}
	if _, _, err := handshake.DoClient(rw, false, false); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if err := w.setChunkSize(chunkSize); err != nil {
		return err
	}
	app := amf0.Object{
		{Key: "app", Value: p.url.app},
		{Key: "type", Value: "nonprivate"},
		{Key: "flashVer", Value: "FMLE/3.0 (compatible; Tributary)"},
		{Key: "tcUrl", Value: p.url.server()},
	}
	if slices.ContainsFunc(formats, func(f *Format) bool { return !f.legacy() }) {
		var list amf0.StrictArray // Enhanced RTMP, "Enhancing NetConnection connect Command"
		for _, f := range formats {
			list = append(list, f.FourCC)
		}
		app = append(app, amf0.ObjectEntry{Key: "fourCcList", Value: list})
	}
	if err := w.call(command{name: "connect", id: callConnect, args: amf0.Data{app}}); err != nil {
		return err
	}
	if _, err := p.answer(callConnect); err != nil {
		return fmt.Errorf("connect to the app: %w", err)
	}
	for _, c := range []command{
		{name: "releaseStream", id: callRelease, args: amf0.Data{nil, p.url.key}},
		{name: "FCPublish", id: callFCPublish, args: amf0.Data{nil, p.url.key}},
		{name: "createStream", id: callCreate, args: amf0.Data{nil}},
	} {
		if err := w.call(c); err != nil {
			return err
		}
	}
	made, err := p.answer(callCreate)
	if err != nil {
		return fmt.Errorf("create a stream: %w", err)
	}
	if len(made.args) < 2 {
		return errors.New("create a stream: the answer has no stream in it")
	}
	id, _ := made.args[1].(float64)
	if !(id >= 1 && id <= 1<<24) { // NaN is neither
		return fmt.Errorf("create a stream: the answer is stream %v", id)
	}
	p.stream = uint32(id)
	if err := w.call(command{name: "publish", id: callPublish, args: amf0.Data{nil, p.url.key, "live"}, stream: p.stream}); err != nil {
		return err
	}
	if _, err := p.answer(callPublish); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// answer waits for the answer to a call; that to publish is a status.
func (p *Publication) answer(id float64) (command, error) {
	for {
		m, err := p.wire.read()
		if err != nil {
			return command{}, err
		}
		c, ok := parseCommand(m)
		if !ok || c.name != "onStatus" && c.id != id && (c.id != 0 || c.name != "_error") {
			continue
		}
		if err := c.failure(p.url); err != nil {
			return c, err
		}
		if c.name == "_result" || id == callPublish && c.name == "onStatus" {
			return c, nil
		}
	}
}

// read hears the server out until it or this end is gone.
func (p *Publication) read() {
	defer close(p.done)
	for p.err == nil {
		m, err := p.wire.read()
		if err != nil {
			p.err = err
			return
		}
		if c, ok := parseCommand(m); ok {
			p.err = c.failure(p.url)
		}
	}
	p.wire.conn.Close() // so that Write ends too
}

// Done is closed when the server has ended the stream or the connection.
func (p *Publication) Done() <-chan struct{} { return p.done }

// Err says why Done is closed.
func (p *Publication) Err() error { return p.err }

// BytesSent returns how many bytes were written, with all that is around media.
// It may be called at any time.
func (p *Publication) BytesSent() uint64 { return p.wire.sent.Count() }

// MaxBody is the longest body of a message, in bytes: its length has 24 bits.
const MaxBody = 1<<24 - 1

// Write sends a message. at is its time, which for media is the decode time; it
// is sent in whole milliseconds, modulo 2^32, and must not fall from one message
// of a kind to the next. Write blocks until the connection has taken the message,
// and fails when it takes nothing for [Config.WriteTimeout], or the body is longer
// than [MaxBody]. A server that has gone is given two seconds to have said why. It
// must not be called concurrently. The body is not kept.
func (p *Publication) Write(kind Kind, at time.Duration, body []byte) error {
	if len(body) > MaxBody {
		return fmt.Errorf("a message of %d bytes is longer than RTMP's %d", len(body), MaxBody)
	}
	chunks := map[Kind]byte{Audio: 4, Video: 6, Data: 5}[kind]
	err := p.wire.write(&rawmessage.Message{
		ChunkStreamID: chunks, Type: uint8(kind), Timestamp: at.Round(time.Millisecond),
		MessageStreamID: bits.ReverseBytes32(p.stream), Body: body,
	})
	if err == nil {
		return nil
	}
	// A server that ends the stream says why before it goes.
	_ = p.wire.conn.SetReadDeadline(time.Now().Add(farewell))
	<-p.done
	if refused := (*RefusedError)(nil); errors.As(p.err, &refused) {
		return p.err
	}
	return fmt.Errorf("send: %w", err)
}

// farewell bounds how long the server's last words are waited for.
const farewell = 2 * time.Second

// Close says that the stream has ended, waits a moment until the server has read
// that and what was before, and closes the connection. Nothing else may be called at the time but Err
// and Done.
func (p *Publication) Close() {
	w := p.wire
	t := time.AfterFunc(farewell, func() { w.conn.Close() })
	defer t.Stop()
	_ = w.call(command{name: "FCUnpublish", id: callUnpublish, args: amf0.Data{nil, p.url.key}})
	_ = w.call(command{name: "deleteStream", id: callDelete, args: amf0.Data{nil, float64(p.stream)}})
	if half, ok := w.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		<-p.done
	}
	w.conn.Close()
	<-p.done
}

// Abort closes the connection at once.
func (p *Publication) Abort() {
	p.wire.conn.Close()
	<-p.done
}
