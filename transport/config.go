package transport

import (
	"context"
	"log/slog"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlogwriter"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// Config is what a session is told by its owner. A nil *Config and the zero
// value both work; it is copied on use.
type Config struct {
	// Versions are the drafts to offer, in order of preference. If empty, they
	// are those of [Versions].
	Versions []moqt.Version
	// Limits bound what a peer can make this end hold or wait for.
	Limits Limits
	// Logger gets what a session has to say. If nil, nothing is logged.
	Logger *slog.Logger
	// Implementation is sent as MOQT_IMPLEMENTATION. If empty, it is
	// "tributary/0"; "-" sends none.
	Implementation string
	// Tracer begins the qlog trace of a connection, or returns nil for one that
	// is to have none; package qlog has one. Connections of QUIC pass their id.
	// It must not block. If nil, nothing is traced, unless [Dialer.QUIC] or
	// [ListenConfig.QUIC] has a Tracer of its own, which goes first.
	Tracer func(ctx context.Context, isClient bool, id quic.ConnectionID) qlogwriter.Trace
	// Options are setup options of extensions, in ascending order of type. Peers
	// that do not know one ignore it.
	Options moqt.Properties
	// Extensions are what this end can do beside the draft, where the peer can.
	Extensions []Extension
	// Tokens are the authorization tokens to send in SETUP. Those for single
	// requests go by [WithTokens].
	Tokens []Token
}

// Limits bound what one session's peer can cost. Each zero field means its
// default.
type Limits struct {
	// SetupTimeout is how long to wait for the peer's SETUP. 10 s; then the
	// session ends with CONTROL_MESSAGE_TIMEOUT.
	SetupTimeout time.Duration
	// MessageTimeout is how long a message or header may take from its first
	// byte, or a new stream to its first message, to the end, and how long a
	// message to the peer may wait for flow control. 10 s.
	MessageTimeout time.Duration
	// StallTimeout is how long an object that has begun may make no progress.
	// 30 s; then the session ends with DATA_STREAM_TIMEOUT.
	StallTimeout time.Duration
	// ResponseTimeout is how long a request of ours waits for the answer where
	// the caller's context does not end it sooner. 30 s.
	ResponseTimeout time.Duration
	// UnknownAliasWait is how long a data stream may wait for the message that
	// tells its track. 2 s; then the stream is stopped.
	UnknownAliasWait time.Duration
	// MaxUnknownAlias is how many data streams may wait so at once. 64.
	MaxUnknownAlias int
	// MaxRequests is how many requests of the peer may be open at once. 1024;
	// more are refused with EXCESSIVE_LOAD.
	MaxRequests int
	// RequestRate is how many requests a second the peer may make, after the first
	// MaxRequests: it saves up as many. 200; more are refused with EXCESSIVE_LOAD
	// and may be made again a second later.
	RequestRate int
	// DoneWait is how long a subscription waits for late streams after
	// PUBLISH_DONE. 2 s.
	DoneWait time.Duration
	// TokenCacheSize is what the authorization tokens that the peer registers may
	// take, bytes: of each its length and 16. 8 KiB; less than 0 is nothing, so
	// that tokens come by value. More ends the session with
	// AUTH_TOKEN_CACHE_OVERFLOW.
	TokenCacheSize int64
	// MaxObjectSize bounds an object's payload, bytes. 32 MiB; the stream of a
	// larger one is stopped.
	MaxObjectSize int64
	// MaxRequestUpdates is how many updates of one request the peer may send
	// ahead of the answers, in drafts that have such a limit. 16; beyond it the
	// session ends with TOO_MANY_REQUEST_UPDATES.
	MaxRequestUpdates int
	// MaxFilterRanges is how many ranges the range filters of one request of the
	// peer may have. 64; a request with more is refused with INVALID_FILTER.
	MaxFilterRanges int
	// MaxPropertiesSize bounds an object's properties, bytes. 16 KiB.
	MaxPropertiesSize int64
}

// Versions returns the drafts that are implemented, in the order in which they
// are offered and chosen: the newest that other implementations have been met
// with come first. Of draft-22 there are peers that write its filters as draft-21
// does, so one that both ends have besides is better.
func Versions() []moqt.Version {
	var vs []moqt.Version
	for _, v := range []moqt.Version{moqt.Draft21, moqt.Draft20, moqt.Draft18, moqt.Draft19, moqt.Draft22, moqt.Draft16} {
		if _, ok := wire.ProfileFor(v); ok {
			vs = append(vs, v)
		}
	}
	return vs
}

func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

func (c *Config) withDefaults() Config {
	var d Config
	if c != nil {
		d = *c
	}
	if len(d.Versions) == 0 {
		d.Versions = Versions()
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	d.Implementation = or(d.Implementation, "tributary/0")
	if d.Implementation == "-" {
		d.Implementation = ""
	}
	l := &d.Limits
	l.SetupTimeout = or(l.SetupTimeout, 10*time.Second)
	l.MessageTimeout = or(l.MessageTimeout, 10*time.Second)
	l.StallTimeout = or(l.StallTimeout, 30*time.Second)
	l.ResponseTimeout = or(l.ResponseTimeout, 30*time.Second)
	l.UnknownAliasWait = or(l.UnknownAliasWait, 2*time.Second)
	l.MaxUnknownAlias = or(l.MaxUnknownAlias, 64)
	l.MaxRequests = or(l.MaxRequests, 1024)
	l.RequestRate = or(l.RequestRate, 200)
	l.DoneWait = or(l.DoneWait, 2*time.Second)
	l.MaxRequestUpdates = or(l.MaxRequestUpdates, 16)
	l.MaxFilterRanges = or(l.MaxFilterRanges, 64)
	l.TokenCacheSize = or(l.TokenCacheSize, 8<<10)
	l.MaxObjectSize = or(l.MaxObjectSize, 32<<20)
	l.MaxPropertiesSize = or(l.MaxPropertiesSize, 16<<10)
	return d
}

func (l *Limits) wire() wire.Limits {
	return wire.Limits{MaxObjectSize: uint64(l.MaxObjectSize), MaxPropertiesSize: uint64(l.MaxPropertiesSize)}
}
