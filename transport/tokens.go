package transport

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// Token is an authorization token. Type says what Value is; 0 is what both ends
// have agreed upon elsewhere. ("Authorization Token")
type Token struct {
	Type  uint64
	Value []byte
}

func (t Token) equal(o Token) bool { return t.Type == o.Type && bytes.Equal(t.Value, o.Value) }

type tokensKey struct{}

// WithTokens returns a context for requests: those made with it, and updates
// made with it, carry the tokens, which must not be changed afterwards. A token
// that the peer has room for goes out once, and by its alias from then on.
func WithTokens(ctx context.Context, tokens ...Token) context.Context {
	return context.WithValue(ctx, tokensKey{}, tokens)
}

func tokensOf(ctx context.Context) []Token {
	tokens, _ := ctx.Value(tokensKey{}).([]Token)
	return tokens
}

// Tokens returns the authorization tokens of the peer's SETUP. They are not to
// be changed.
func (s *Session) Tokens() []Token { return s.setupTokens }

// Tokens returns the authorization tokens of the request, or of its last update
// that had some, whether they came by value or by alias. They are not to be
// changed.
func (in *incoming) Tokens() []Token {
	in.rs.mu.Lock()
	defer in.rs.mu.Unlock()
	return in.rs.tokens
}

// paramsOf returns the parameters of a request or update, nil if m is neither.
func paramsOf(m wire.Message) *wire.Params {
	switch m := m.(type) {
	case *wire.Subscribe:
		return &m.Params
	case *wire.Publish:
		return &m.Params
	case *wire.Fetch:
		return &m.Params
	case *wire.TrackStatus:
		return &m.Params
	case *wire.PublishNamespace:
		return &m.Params
	case *wire.SubscribeNamespace:
		return &m.Params
	case *wire.SubscribeTracks:
		return &m.Params
	case *wire.RequestUpdate:
		return &m.Params
	}
	return nil
}

// takeTokens resolves the tokens of a message of the peer. An error is the end
// of the session: a message cannot be refused for what an earlier one should
// have registered, as the code for that is one of sessions alone.
func (s *Session) takeTokens(m wire.Message) ([]Token, error) {
	p := paramsOf(m)
	if p == nil || len(p.Tokens) == 0 {
		return nil, nil
	}
	return s.theirTokens.take(p.Tokens, false)
}

// settleTokens resolves the tokens of a message in place, so that they come by
// value. It is for messages that are taken up in another order than they come.
func (s *Session) settleTokens(m wire.Message) error {
	tokens, err := s.takeTokens(m)
	if err != nil {
		return err
	}
	if p := paramsOf(m); p != nil {
		p.Tokens = nil
		for _, t := range tokens {
			p.Tokens = append(p.Tokens, wire.Token{AliasType: wire.TokenUseValue, Type: t.Type, Value: t.Value})
		}
	}
	return nil
}

// tokenCache has the tokens that the peer has registered.
type tokenCache struct {
	size uint64 // what our SETUP says it may take; set before use

	mu      sync.Mutex // guards what follows
	used    uint64
	byAlias map[uint64]Token
}

// tokenCost is what an entry takes of a cache ("MAX_AUTH_TOKEN_CACHE_SIZE").
func tokenCost(t Token) uint64 { return 16 + uint64(len(t.Value)) }

// take resolves tokens in order. In SETUP, what finds no room is used and not
// kept: the peer could not know how much there is.
func (c *tokenCache) take(tokens []wire.Token, setup bool) (resolved []Token, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range tokens {
		w := &tokens[i]
		t := Token{Type: w.Type, Value: w.Value}
		known, registered := c.byAlias[w.Alias]
		switch w.AliasType {
		case wire.TokenRegister:
			switch {
			case registered:
				return nil, &SessionError{Code: moqt.SessionDuplicateTokenAlias, Reason: fmt.Sprintf("token alias %d is registered already", w.Alias)}
			case tokenCost(t) <= c.size-c.used:
				if c.byAlias == nil {
					c.byAlias = make(map[uint64]Token)
				}
				c.byAlias[w.Alias] = t
				c.used += tokenCost(t)
			case !setup:
				return nil, &SessionError{Code: moqt.SessionTokenCacheOverflow, Reason: fmt.Sprintf("the token cache has room for %d bytes, %d are in use", c.size, c.used)}
			}
		case wire.TokenUseAlias, wire.TokenDelete:
			if !registered {
				return nil, &SessionError{Code: moqt.SessionUnknownTokenAlias, Reason: fmt.Sprintf("token alias %d is not registered", w.Alias)}
			}
			if w.AliasType == wire.TokenDelete {
				delete(c.byAlias, w.Alias)
				c.used -= tokenCost(known)
				continue
			}
			t = known
		}
		if !slices.ContainsFunc(resolved, t.equal) {
			resolved = append(resolved, t)
		}
	}
	return resolved, nil
}

// tokenSender tracks what the peer's cache has of our tokens.
//
// Requests go by streams of their own and may overtake each other, so an alias
// is used only after the request that registers it was answered, and deleted
// only when nothing is under way that uses it. Its room is free again when the
// request that deletes it was answered. One that is never answered leaves both
// in doubt, and so unused.
type tokenSender struct {
	mu    sync.Mutex // guards what follows
	room  uint64     // of the peer's cache, not in use
	next  uint64     // alias
	clock uint64     // counts uses
	known []*sentToken
}

// maxSentTokens is how many tokens are sent by alias at a time.
const maxSentTokens = 64

type sentToken struct {
	Token
	alias uint64
	ready bool // the peer has it
	using int  // requests under way that use it
	last  uint64
}

// attach puts tokens into a message and returns what is to be called when that
// has been answered.
func (c *tokenSender) attach(p *wire.Params, tokens []Token) (answered func()) {
	if len(tokens) == 0 {
		return func() {}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var used, fresh []*sentToken
	var retired *sentToken
	for i, t := range tokens {
		if slices.ContainsFunc(tokens[:i], t.equal) {
			continue // a message must not have a token twice
		}
		at := slices.IndexFunc(c.known, func(k *sentToken) bool { return k.equal(t) })
		switch {
		case at >= 0 && c.known[at].ready:
			k := c.known[at]
			c.clock++
			k.using, k.last = k.using+1, c.clock
			used = append(used, k)
			p.Tokens = append(p.Tokens, wire.Token{AliasType: wire.TokenUseAlias, Alias: k.alias})
		case at < 0 && tokenCost(t) <= c.room && len(c.known) < maxSentTokens:
			c.clock++
			k := &sentToken{Token: t, alias: c.next, last: c.clock}
			c.next++
			c.room -= tokenCost(t)
			c.known = append(c.known, k)
			fresh = append(fresh, k)
			p.Tokens = append(p.Tokens, wire.Token{AliasType: wire.TokenRegister, Alias: k.alias, Type: t.Type, Value: t.Value})
		default:
			p.Tokens = append(p.Tokens, wire.Token{AliasType: wire.TokenUseValue, Type: t.Type, Value: t.Value})
			if at < 0 && retired == nil {
				retired = c.retireLocked()
			}
		}
	}
	if retired != nil {
		p.Tokens = append(p.Tokens, wire.Token{AliasType: wire.TokenDelete, Alias: retired.alias})
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, k := range used {
			k.using--
		}
		for _, k := range fresh {
			k.ready = true
		}
		if retired != nil {
			c.room += tokenCost(retired.Token)
		}
	}
}

// retireLocked takes away the token that was not used for longest, to make room.
func (c *tokenSender) retireLocked() *sentToken {
	oldest := -1
	for i, k := range c.known {
		if k.ready && k.using == 0 && (oldest < 0 || k.last < c.known[oldest].last) {
			oldest = i
		}
	}
	if oldest < 0 {
		return nil
	}
	k := c.known[oldest]
	c.known = slices.Delete(c.known, oldest, oldest+1)
	return k
}

// setTokens takes note of the tokens of a request, or of an update of it.
func (rs *requestStream) setTokens(tokens []Token) {
	if len(tokens) == 0 {
		return
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.tokens = tokens
}
