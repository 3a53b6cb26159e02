package transport_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// Numbers of an extension for tests, the stream's too large for small integers.
const (
	testOption = 0x4D545431
	testStream = 0x4D545440
)

// extension returns a Config with an extension that offers word and agrees with
// those who offer the same, and a channel that gets what comes on its streams.
func extension(word string, result error) (*transport.Config, <-chan string) {
	got := make(chan string, 8)
	return &transport.Config{Extensions: []transport.Extension{{
		Option:  moqt.Property{Type: testOption, Bytes: []byte(word)},
		Agree:   func(peer moqt.Property) bool { return string(peer.Bytes) == word },
		Streams: []uint64{testStream},
		Serve: func(_ *transport.Session, typ uint64, st transport.ReceiveStream) error {
			b, err := io.ReadAll(st)
			if err != nil || typ != testStream {
				return err
			}
			got <- string(b)
			return result
		},
	}}}, got
}

func TestExtensionStream(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		cc, _ := extension("v1", nil)
		sc, got := extension("v1", nil)
		client, server := setup(t, a, b, cc, sc)
		if !client.Agreed(testOption) || !server.Agreed(testOption) || client.Agreed(testOption+2) {
			t.Error("the ends did not agree on the extension that both offer, or on another")
		}
		st, err := client.OpenExtensionStream(t.Context(), testStream)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(st, "some words")
		// What a stream of the extension waits for is its own business.
		time.Sleep(time.Minute)
		io.WriteString(st, " more")
		st.Close()
		if s := <-got; s != "some words more" {
			t.Errorf("%q came", s)
		}
		subscribed(t, server, client, nil, nil) // MOQT goes on beside it
	})
}

func TestExtensionNotAgreed(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		one, _ := extension("v1", nil)
		other, _ := extension("v2", nil)
		for name, sc := range map[string]*transport.Config{"of another version": other, "not offered": nil} {
			client, server := pipeOf(t, v, one, sc)
			if client.Agreed(testOption) || server.Agreed(testOption) {
				t.Errorf("%s: agreed", name)
			}
			st, err := client.OpenExtensionStream(t.Context(), testStream)
			if err != nil {
				t.Fatal(err)
			}
			st.Close()
			wantSession(t, name, done(server.Context()), moqt.SessionProtocolViolation, false)
		}
	})
}

func TestExtensionFails(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		for _, c := range []struct {
			err  error
			code moqt.SessionCode
		}{
			{&wire.Error{Code: moqt.SessionKeyValueFormatting, Field: "test", Err: errors.New("wrong")}, moqt.SessionKeyValueFormatting},
			{&transport.SessionError{Code: moqt.SessionUnauthorized, Reason: "go away"}, moqt.SessionUnauthorized},
		} {
			cc, _ := extension("v1", nil)
			sc, _ := extension("v1", c.err)
			client, server := pipeOf(t, v, cc, sc)
			st, err := client.OpenExtensionStream(t.Context(), testStream)
			if err != nil {
				t.Fatal(err)
			}
			st.Close()
			wantSession(t, "the server", done(server.Context()), c.code, false)
			wantSession(t, "the client", done(client.Context()), c.code, true)
		}
	})
}

func TestKeyingMaterial(t *testing.T) {
	over(t, func(t *testing.T, a, b transport.Conn) {
		client, server := setup(t, a, b, nil, nil)
		export := func(s *transport.Session, label string) []byte {
			b, err := s.ExportKeyingMaterial(label, nil, 32)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		one := export(client, "EXPORTER-test")
		if other := export(server, "EXPORTER-test"); !bytes.Equal(one, other) || len(one) != 32 {
			t.Errorf("the ends know %x and %x", one, other)
		}
		if bytes.Equal(one, export(client, "EXPORTER-other")) {
			t.Error("another label gives the same")
		}
	})
}

func TestAliasOfThePublisher(t *testing.T) {
	eachDraft(t, func(t *testing.T, v moqt.Version) {
		sub, pub := pipeOf(t, v, nil, nil)
		const alias = 1 << 20
		r, w := subscribed(t, sub, pub, nil, &transport.PublishOptions{Alias: alias})
		if r.Alias() != alias || w.Alias() != alias {
			t.Errorf("the aliases are %d and %d, want %d", r.Alias(), w.Alias(), alias)
		}
		sg, err := w.OpenSubgroup(t.Context(), moqt.Subgroup{Group: 1, First: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := sg.WriteObject(moqt.Object{Location: moqt.Location{Group: 1}, Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.AcceptSubgroup(ctx); err != nil {
			t.Errorf("no subgroup by that alias: %v", err)
		}
	})
}
