package transport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

func register(alias uint64, value string) wire.Token {
	return wire.Token{AliasType: wire.TokenRegister, Alias: alias, Value: []byte(value)}
}

func useAlias(alias uint64) wire.Token {
	return wire.Token{AliasType: wire.TokenUseAlias, Alias: alias}
}

func deleteAlias(alias uint64) wire.Token {
	return wire.Token{AliasType: wire.TokenDelete, Alias: alias}
}

func useValue(value string) wire.Token {
	return wire.Token{AliasType: wire.TokenUseValue, Value: []byte(value)}
}

func TestTokenCache(t *testing.T) {
	type step struct {
		tokens []wire.Token
		want   string // values, or the code that the session ends with
	}
	for _, tt := range []struct {
		name  string
		size  uint64
		steps []step
	}{
		{"by value", 0, []step{{[]wire.Token{useValue("a"), useValue("b")}, "a b"}}},
		{"by alias", 100, []step{{[]wire.Token{register(7, "a")}, "a"}, {[]wire.Token{useAlias(7)}, "a"}, {[]wire.Token{useAlias(7), useValue("b")}, "a b"}}},
		{"in one message", 100, []step{{[]wire.Token{register(7, "a"), useAlias(7)}, "a"}}},
		{"twice the same", 100, []step{{[]wire.Token{register(7, "a"), register(8, "a"), useValue("a")}, "a"}, {[]wire.Token{useAlias(8)}, "a"}}},
		{"deleted", 100, []step{{[]wire.Token{register(7, "a")}, "a"}, {[]wire.Token{deleteAlias(7)}, ""}, {[]wire.Token{useAlias(7)}, "UNKNOWN_AUTH_TOKEN_ALIAS"}}},
		{"deleted and registered", 20, []step{{[]wire.Token{register(7, "abcd")}, "abcd"}, {[]wire.Token{deleteAlias(7), register(7, "efgh")}, "efgh"}, {[]wire.Token{useAlias(7)}, "efgh"}}},
		{"deleted twice", 100, []step{{[]wire.Token{register(7, "a"), deleteAlias(7), deleteAlias(7)}, "UNKNOWN_AUTH_TOKEN_ALIAS"}}},
		{"registered twice", 100, []step{{[]wire.Token{register(7, "a")}, "a"}, {[]wire.Token{register(7, "a")}, "DUPLICATE_AUTH_TOKEN_ALIAS"}}},
		{"just room", 40, []step{{[]wire.Token{register(1, "abcd"), register(2, "efgh")}, "abcd efgh"}}},
		{"a byte too much", 39, []step{{[]wire.Token{register(1, "abcd"), register(2, "efgh")}, "AUTH_TOKEN_CACHE_OVERFLOW"}}},
		{"no room at all", 0, []step{{[]wire.Token{register(1, "")}, "AUTH_TOKEN_CACHE_OVERFLOW"}}},
		{"empty ones have a size too", 31, []step{{[]wire.Token{register(1, ""), register(2, "")}, "AUTH_TOKEN_CACHE_OVERFLOW"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := tokenCache{size: tt.size}
			for i, s := range tt.steps {
				tokens, err := c.take(s.tokens, false)
				var values []string
				for _, token := range tokens {
					values = append(values, string(token.Value))
				}
				got := strings.Join(values, " ")
				if se, ok := errors.AsType[*SessionError](err); ok {
					got = se.Code.String()
				}
				if got != s.want {
					t.Errorf("message %d: %q, %v, want %q", i, got, err, s.want)
				}
			}
		})
	}
}

// TestTokensInSetup checks that what has no room in SETUP is used all the same,
// but has no alias.
func TestTokensInSetup(t *testing.T) {
	c := tokenCache{size: 20}
	got, err := c.take([]wire.Token{register(1, "abcd"), register(2, "efgh")}, true)
	if want := []Token{{Value: []byte("abcd")}, {Value: []byte("efgh")}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("take() = %v, %v, want %v", got, err, want)
	}
	if _, err := c.take([]wire.Token{useAlias(1)}, false); err != nil {
		t.Errorf("the first token has no alias: %v", err)
	}
	if _, err := c.take([]wire.Token{useAlias(2)}, false); !errors.Is(err, &SessionError{Code: moqt.SessionUnknownTokenAlias}) {
		t.Errorf("the second token's alias: %v, want it unknown", err)
	}
}

// TestTokensBySeveralRequests sends tokens of all sorts, has the requests
// answered in any order, and checks that a cache of the size that was told is
// never overrun and always knows what is meant.
func TestTokensBySeveralRequests(t *testing.T) {
	const size = 200
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		theirs, ours := tokenCache{size: size}, tokenSender{room: size}
		type request struct {
			p        wire.Params
			tokens   []Token
			answered func()
		}
		var sent, taken []request
		kinds := make(map[wire.AliasType]int)
		for range 300 {
			switch r.IntN(3) {
			case 0:
				var q request
				for range r.IntN(3) {
					v := r.IntN(12)
					q.tokens = append(q.tokens, Token{Type: 9, Value: []byte(strings.Repeat(fmt.Sprint(v, ";"), 1+v*2))})
				}
				q.answered = ours.attach(&q.p, q.tokens)
				sent = append(sent, q)
			case 1: // streams are read in any order
				if len(sent) == 0 {
					break
				}
				i := r.IntN(len(sent))
				q := sent[i]
				sent = append(sent[:i], sent[i+1:]...)
				got, err := theirs.take(q.p.Tokens, false)
				if err != nil {
					t.Fatalf("round %d: %v of %v", round, err, q.p.Tokens)
				}
				for _, want := range q.tokens {
					found := false
					for _, g := range got {
						found = found || g.equal(want)
					}
					if !found {
						t.Fatalf("round %d: got %v, want %v among them", round, got, want)
					}
				}
				for _, w := range q.p.Tokens {
					kinds[w.AliasType]++
				}
				taken = append(taken, q)
			case 2:
				if len(taken) > 0 && r.IntN(10) > 0 { // one in ten is cancelled
					taken[0].answered()
				}
				taken = taken[min(1, len(taken)):]
			}
		}
		if round == 0 && len(kinds) != 4 {
			t.Errorf("tokens were sent as %v, want all four kinds", kinds)
		}
	}
}
