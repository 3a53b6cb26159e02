package transport_test

import (
	"reflect"
	"testing"
	"testing/synctest"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
	"github.com/tributary-live/tributary/transport/wire"
)

// TestTokens sends tokens with SETUP and with requests of each kind, and finds
// them at the other end.
func TestTokens(t *testing.T) {
	setupTokens := []transport.Token{{Type: 1, Value: []byte("who I am")}}
	tokens := []transport.Token{{Type: 0, Value: []byte("let me")}, {Type: 0x1234, Value: []byte{}}}
	for name, room := range map[string]int64{"with a cache": 0, "without": -1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := transporttest.Pipe(t, nil)
				c, s := setup(t, a, b, &transport.Config{Tokens: setupTokens}, &transport.Config{Limits: transport.Limits{TokenCacheSize: room}})
				if got := s.Tokens(); !reflect.DeepEqual(got, setupTokens) {
					t.Errorf("Tokens() of SETUP = %v, want %v", got, setupTokens)
				}
				if got := c.Tokens(); got != nil {
					t.Errorf("Tokens() of a SETUP without = %v", got)
				}
				ctx := transport.WithTokens(t.Context(), tokens...)
				track := func(i int) moqt.TrackName { return moqt.NS("a").Track(string(rune('a' + i))) }
				for i, call := range []func() error{
					func() error { return second(c.Subscribe(ctx, track(0), nil)) },
					func() error { return second(c.Subscribe(ctx, track(1), nil)) },
					func() error { return second(c.Publish(ctx, track(2), nil)) },
					func() error { return second(c.Fetch(ctx, track(3), transport.Range{End: at(1, 0)}, nil)) },
					func() error { return second(c.Status(ctx, track(4))) },
					func() error { return second(c.Announce(ctx, moqt.NS("n"))) },
					func() error { return second(c.WatchNamespaces(ctx, moqt.NS("w"))) },
					func() error { return second(c.SubscribeTracks(ctx, moqt.NS("t"), nil)) },
				} {
					answer := async(func() (any, error) { return nil, call() })
					req, err := s.Accept(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if got := req.Tokens(); !reflect.DeepEqual(got, tokens) {
						t.Errorf("request %d, a %T, has tokens %v, want %v", i, req, got, tokens)
					}
					req.Reject(moqt.RequestUnauthorized, "no")
					_, err = answer()
					wantRequest(t, "the request", err, moqt.RequestUnauthorized)
				}
			})
		})
	}
}

// TestTokensOfAnUpdate replaces the tokens of a subscription.
func TestTokensOfAnUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := pipe(t, nil, nil)
		wait := async(func() (*transport.TrackReader, error) { return c.Subscribe(t.Context(), clock, nil) })
		req := accept[*transport.SubscribeRequest](t, s)
		if got := req.Tokens(); got != nil {
			t.Errorf("Tokens() = %v, want none", got)
		}
		req.Accept(nil)
		r, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		fresh := []transport.Token{{Type: 5, Value: []byte("renewed")}}
		off := false
		if err := r.Update(transport.WithTokens(t.Context(), fresh...), transport.SubscribeUpdate{Forward: &off}); err != nil {
			t.Fatal(err)
		}
		if got := req.Tokens(); !reflect.DeepEqual(got, fresh) {
			t.Errorf("Tokens() after an update = %v, want %v", got, fresh)
		}
		if err := r.Update(t.Context(), transport.SubscribeUpdate{Forward: &off}); err != nil {
			t.Fatal(err)
		}
		if got := req.Tokens(); !reflect.DeepEqual(got, fresh) {
			t.Errorf("Tokens() after an update without any = %v, want %v", got, fresh)
		}
	})
}

// TestTokensOnTheWire looks at how one token goes out again and again.
func TestTokensOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := transporttest.Pipe(t, nil)
		p := rawPeer(t, b)
		p.control = p.uni(p.bytes(&wire.Setup{TokenCacheSize: 16 + 5}))
		c, err := transport.NewSession(t.Context(), a, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		ctx := transport.WithTokens(t.Context(), transport.Token{Type: 2, Value: []byte("12345")})
		other := transport.WithTokens(t.Context(), transport.Token{Type: 2, Value: []byte("67890")})
		status := func(ctx func() error) (transport.Stream, []wire.Token) {
			go ctx()
			st, m := p.accepted()
			return st, m.(*wire.TrackStatus).Params.Tokens
		}
		ask := func() error { return second(c.Status(ctx, clock)) }
		askOther := func() error { return second(c.Status(other, clock)) }
		no := func(st transport.Stream) {
			p.write(st, p.bytes(&wire.RequestError{Code: moqt.RequestUnauthorized}))
			synctest.Wait()
		}
		value := func(v string) wire.Token {
			return wire.Token{AliasType: wire.TokenUseValue, Type: 2, Value: []byte(v)}
		}
		check := func(when string, got []wire.Token, want ...wire.Token) {
			t.Helper()
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: tokens %+v, want %+v", when, got, want)
			}
		}
		first, got := status(ask)
		check("the first time", got, wire.Token{AliasType: wire.TokenRegister, Type: 2, Value: []byte("12345")})
		second, got := status(ask)
		check("before the answer", got, value("12345"))
		no(first)
		third, got := status(ask)
		check("after the answer", got, wire.Token{AliasType: wire.TokenUseAlias})
		fourth, got := status(askOther)
		check("another one, while the first is in use", got, value("67890"))
		no(second)
		no(third)
		no(fourth)
		fifth, got := status(askOther)
		check("another one, when it is not", got, value("67890"), wire.Token{AliasType: wire.TokenDelete})
		no(fifth)
		_, got = status(askOther)
		check("when there is room", got, wire.Token{AliasType: wire.TokenRegister, Alias: 1, Type: 2, Value: []byte("67890")})
	})
}
