package relay_test

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// hostile is what a peer does after an honest SETUP: bytes in hex on the
// control stream, a request stream, a data stream or in a datagram.
type hostile struct {
	name                         string
	control, request, data, gram string
	fin                          bool // ends the stream after the bytes
	want                         moqt.SessionCode
}

var hostiles = []hostile{
	{name: "second SETUP on the control stream", control: "af000000", want: moqt.SessionProtocolViolation},
	{name: "unknown message on the control stream", control: "3f0000", want: moqt.SessionProtocolViolation},
	{name: "SUBSCRIBE on the control stream", control: "030006 00 01 01 61 01 62 00", want: moqt.SessionProtocolViolation},
	{name: "control stream ended", fin: true, want: moqt.SessionProtocolViolation},
	{name: "GOAWAY with a URI from a client", control: "100004 01 61 00 00", want: moqt.SessionProtocolViolation},
	{name: "GOAWAY of a foreign request id", control: "100003 00 00 02", want: moqt.SessionInvalidRequestID},
	{name: "request stream begins with SUBSCRIBE_OK", request: "040003 00 00 00", want: moqt.SessionProtocolViolation},
	{name: "request stream begins with an unknown message", request: "bfff0000", want: moqt.SessionProtocolViolation},
	{name: "odd request id of a client", request: "030007 01 01 01 61 01 62 00", want: moqt.SessionInvalidRequestID},
	{name: "SUBSCRIBE with a trailing byte", request: "030008 00 01 01 61 01 62 00 ff", want: moqt.SessionProtocolViolation},
	{name: "SUBSCRIBE that ends inside", request: "030007 00 01 01", fin: true, want: moqt.SessionProtocolViolation},
	{name: "empty namespace field", request: "030006 00 01 00 01 62 00", want: moqt.SessionProtocolViolation},
	{name: "namespace of 33 fields", request: "030047 00 21" + strings.Repeat("0161", 33) + "01 62 00", want: moqt.SessionProtocolViolation},
	{name: "unknown parameter", request: "030009 00 01 01 61 01 62 01 77 00", want: moqt.SessionProtocolViolation},
	{name: "EXPIRES in SUBSCRIBE", request: "030009 00 01 01 61 01 62 01 08 05", want: moqt.SessionProtocolViolation},
	{name: "FORWARD of 2", request: "030009 00 01 01 61 01 62 01 10 02", want: moqt.SessionProtocolViolation},
	{name: "GROUP_ORDER of 0", request: "030009 00 01 01 61 01 62 01 22 00", want: moqt.SessionProtocolViolation},
	{name: "filter of an unknown type", request: "03000a 00 01 01 61 01 62 01 21 01 09", want: moqt.SessionProtocolViolation},
	{name: "fetch of an unknown type", request: "160006 00 07 00 00 00 00", want: moqt.SessionProtocolViolation},
	{name: "token structure that cannot be decoded", request: "03000a 00 01 01 61 01 62 01 03 01 09", want: moqt.SessionKeyValueFormatting},
	{name: "token alias never registered", request: "03000b 00 01 01 61 01 62 01 03 02 02 05", want: moqt.SessionUnknownTokenAlias},
	{name: "unknown data stream type", data: "00", want: moqt.SessionProtocolViolation},
	{name: "subgroup id mode 3", data: "16 00 00", want: moqt.SessionProtocolViolation},
	{name: "FIN inside a subgroup header", data: "14 00", fin: true, want: moqt.SessionProtocolViolation},
	{name: "second control stream", data: "af000000", want: moqt.SessionProtocolViolation},
	{name: "datagram of an unknown type", gram: "22 00 00", want: moqt.SessionProtocolViolation},
	{name: "datagram with properties of no bytes", gram: "01 00 00 00 00 00", want: moqt.SessionProtocolViolation},
	{name: "datagram that ends inside", gram: "00 00", want: moqt.SessionProtocolViolation},
}

// Each violation ends the peer's session with the draft's code, and nobody
// else's: a bystander goes on getting every object.
func TestHostilePeersEndTheirOwnSessionOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, relay.Config{})
		p := publish(t, connect(t, r, nil), track)
		synctest.Wait()
		tr, err := connect(t, r, nil).Subscribe(t.Context(), track, nil)
		if err != nil {
			t.Fatal(err)
		}
		bystander := collect(tr)
		for i, h := range hostiles {
			if got := h.act(t, r); !errors.Is(got, &transport.SessionError{Code: h.want}) {
				t.Errorf("%s: session ended with %v, want %v", h.name, got, h.want)
			}
			p.write(uint64(i), 0)
			synctest.Wait()
			if n := len(bystander.locations()); n != i+1 {
				t.Fatalf("%s: the bystander has %d objects, want %d", h.name, n, i+1)
			}
		}
	})
}

// act does what h says on a connection of its own and returns why that ended.
func (h hostile) act(t *testing.T, r *relay.Relay) error {
	t.Helper()
	client, server := transporttest.Pipe(t, nil)
	served := make(chan struct{})
	go func() {
		defer close(served)
		if s, err := transport.NewSession(context.Background(), server, nil); err == nil {
			r.ServeSession(context.Background(), s)
		}
	}()
	defer func() { <-served }()
	defer client.CloseWithError(moqt.SessionNoError, "")
	bytes := func(s string) []byte {
		b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err != nil {
			t.Fatalf("%s: %v", h.name, err)
		}
		return b
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	control, err := client.OpenUniStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	control.Write(bytes("af000000")) // SETUP without options
	synctest.Wait()
	var st transport.SendStream = control
	switch {
	case h.request != "":
		st, err = client.OpenStream(ctx)
	case h.data != "":
		st, err = client.OpenUniStream(ctx)
	case h.gram != "":
		err = client.SendDatagram(bytes(h.gram))
	}
	if err != nil {
		t.Fatal(err)
	}
	st.Write(bytes(h.control + h.request + h.data))
	if h.fin {
		st.Close()
	}
	select {
	case <-client.Context().Done():
		return context.Cause(client.Context())
	case <-ctx.Done():
		return errors.New("the session goes on")
	}
}
