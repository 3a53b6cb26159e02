package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/tributary-live/tributary/internal/tasks"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/qlog"
	"github.com/tributary-live/tributary/transport/wire"
)

// Session is a MOQT session with one peer. All methods may be called
// concurrently. A session ends when either side closes it or its connection is
// lost; [Session.Context] tells when and why.
//
// What the peer asks for comes out of [Session.Accept], which must be called in
// a loop by whoever wants to serve.
type Session struct {
	conn    Conn
	info    ConnInfo
	profile *wire.Profile
	cfg     Config
	wlimits wire.Limits
	log     *slog.Logger
	cancel  context.CancelCauseFunc
	ctx     context.Context
	wg      tasks.Group // every goroutine of the session; Close waits

	control   SendStream    // SETUP goes out by it, and at most one GOAWAY after; nil with a mux
	mux       *mux          // the control stream where requests share it, else nil
	guessed   bool          // the draft was told by the peer's first stream
	begun     chan struct{} // closed when SETUP was exchanged
	peerSetup *wire.Setup   // set before NewSession returns
	requests  chan Request
	pace      *rate.Limiter // of the peer's requests
	nextID    atomic.Uint64
	sched     sched
	unacked   unacked

	setupTokens []Token // of peerSetup
	theirTokens tokenCache
	ourTokens   tokenSender
	trace       *tracer                   // nil without a trace
	why         atomic.Pointer[endReason] // set when this end begins to end the session

	mu          sync.Mutex // guards what follows
	peerIDs     idSet
	openPeer    int                             // requests of the peer that are open
	aliases     map[uint64]readers              // incoming tracks by the peer's alias
	retired     retired                         // aliases whose late streams are dropped
	aliasSet    chan struct{}                   // closed and replaced when an alias or a request becomes known
	waiting     int                             // data streams that wait for their alias
	readers     map[moqt.TrackName]*TrackReader // running subscriptions with this end as subscriber, where there may be one to a track
	unaliased   int                             // of them all, those whose alias is not known
	writers     map[moqt.TrackName]*TrackWriter // subscriptions in which this end is the publisher
	subscribes  map[uint64]*TrackWriter         // the same by request id; nil while a SUBSCRIBE has only just come
	fetches     map[uint64]*FetchReader         // our FETCHes by request id
	nextAlias   uint64
	watches     []watch // prefixes that the peer watches
	goawaySent  bool
	goawayRecv  *Goaway
	goawayEvent chan struct{} // closed when goawayRecv is set
	setupSeen   bool
}

// Goaway is the peer's wish that the session move elsewhere.
type Goaway struct {
	URI     string        // where to; "" is the same place
	Timeout time.Duration // how long the peer will wait; 0 is as soon as possible
}

// NewSession exchanges SETUP on conn and returns the session. It takes over
// conn, also when it fails. The context bounds the exchange, not the session.
// Where one side closed the connection over it the error is a [*SessionError].
func NewSession(ctx context.Context, conn Conn, c *Config) (*Session, error) {
	cfg := c.withDefaults()
	setupCtx, cancel := context.WithTimeoutCause(ctx, cfg.Limits.SetupTimeout,
		&SessionError{Code: moqt.SessionControlMessageTimeout, Reason: "no SETUP within " + cfg.Limits.SetupTimeout.String()})
	defer cancel()
	info, own := conn.Info(), conn
	guessed := info.Version == 0 && !info.Client
	if guessed {
		var err error
		if conn, info.Version, err = firstStream(setupCtx, conn, &cfg); err != nil {
			return nil, fmt.Errorf("moqt: set up session: %w", err)
		}
	}
	profile, ok := wire.ProfileFor(info.Version)
	if !ok {
		err := &SessionError{Code: moqt.SessionVersionNegotiation, Reason: fmt.Sprintf("%v is not spoken here", info.Version)}
		conn.CloseWithError(err.Code, err.Reason)
		return nil, err
	}
	if profile.StreamCodesDiffer() {
		conn = &codedConn{conn, profile}
	}
	s := &Session{
		conn: conn, info: info, guessed: guessed, profile: profile, cfg: cfg, wlimits: cfg.Limits.wire(),
		log:         cfg.Logger.With("version", info.Version.String()),
		requests:    make(chan Request),
		pace:        rate.NewLimiter(rate.Limit(cfg.Limits.RequestRate), cfg.Limits.MaxRequests),
		aliases:     make(map[uint64]readers),
		aliasSet:    make(chan struct{}),
		readers:     make(map[moqt.TrackName]*TrackReader),
		writers:     make(map[moqt.TrackName]*TrackWriter),
		subscribes:  make(map[uint64]*TrackWriter),
		fetches:     make(map[uint64]*FetchReader),
		goawayEvent: make(chan struct{}),
		begun:       make(chan struct{}),
	}
	if !profile.RequestStreams() {
		s.mux = s.newMux()
	}
	if info.RemoteAddr != nil {
		s.log = s.log.With("remote", info.RemoteAddr.String())
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	if s.trace = newTracer(ctx, own, info.Version, &cfg); s.trace != nil {
		context.AfterFunc(s.ctx, s.trace.close)
	}
	s.sched.first = levelData
	if info.WebTransport {
		s.sched.first = levelWebTransport
	}
	if info.Client {
		s.peerIDs.next = 1
	} else {
		s.nextID.Store(1)
	}
	context.AfterFunc(s.ctx, s.unacked.stop)
	stopConn := context.AfterFunc(conn.Context(), func() {
		if why := s.why.Load(); why != nil {
			s.cancel(why.err)
		}
		s.cancel(context.Cause(conn.Context()))
	})
	if err := s.start(setupCtx); err != nil {
		stopConn()
		switch {
		case s.over():
			err = s.reason()
		case setupCtx.Err() != nil:
			err = context.Cause(setupCtx)
		}
		s.end(err)
		s.wg.Wait()
		return nil, fmt.Errorf("moqt: set up session: %w", err)
	}
	return s, nil
}

// start sends our SETUP, starts the accept loops and waits for the peer's.
func (s *Session) start(ctx context.Context) error {
	got := make(chan *wire.Setup, 1)
	accept := func() { s.acceptBidi(got) }
	if err := s.openControl(ctx, got); err != nil {
		return err
	}
	s.wg.Go(func() { s.acceptUni(got) })
	atOnce := s.mux != nil && !s.info.Client // the control stream is one of those
	if atOnce {
		s.wg.Go(accept)
	}
	select {
	case s.peerSetup = <-got:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
	var err error
	if s.setupTokens, err = s.theirTokens.take(s.peerSetup.Tokens, true); err != nil {
		return err
	}
	s.ourTokens.room = s.peerSetup.TokenCacheSize
	close(s.begun)
	if !atOnce {
		s.wg.Go(accept)
	}
	s.wg.Go(s.readDatagrams)
	if s.info.Client && s.profile.Padding() && s.conn.Stats().BytesReceived > 0 {
		s.wg.Go(s.watchSilence)
	}
	s.log.Debug("session open", "implementation", printable(s.peerSetup.Implementation))
	return nil
}

// openControl opens our control stream, unless the peer does, and sends SETUP.
func (s *Session) openControl(ctx context.Context, got chan<- *wire.Setup) error {
	if s.mux != nil && !s.info.Client {
		return nil
	}
	if s.mux != nil {
		st, err := s.conn.OpenStream(ctx)
		if err != nil {
			return err
		}
		s.wg.Go(func() { s.end(s.mux.start(s.newStreamLane(st, true), nil, got)) })
		return nil
	}
	st, err := s.conn.OpenUniStream(ctx)
	if err != nil {
		return err
	}
	st.SetPriority(levelControl, true)
	s.control = st
	s.trace.stream(st, qlog.StreamControl)
	return s.sendControl(s.ownSetup())
}

// ownSetup returns the SETUP of this end.
func (s *Session) ownSetup() *wire.Setup {
	s.theirTokens.size = uint64(max(0, s.cfg.Limits.TokenCacheSize))
	options := slices.Clone(s.cfg.Options)
	for _, e := range s.cfg.Extensions {
		options = append(options, e.Option)
	}
	if s.profile.Grease() {
		options = append(options, greaseOption())
	}
	slices.SortStableFunc(options, func(a, b moqt.Property) int { return cmp.Compare(a.Type, b.Type) })
	setup := &wire.Setup{Implementation: s.cfg.Implementation, Unknown: options, TokenCacheSize: s.theirTokens.size}
	if s.profile.RangeFilters() {
		setup.MaxFilterRanges = wire.Some(uint64(s.cfg.Limits.MaxFilterRanges))
	}
	if s.profile.UpdateCredit() {
		setup.MaxRequestUpdates = wire.Some(uint64(s.cfg.Limits.MaxRequestUpdates))
	}
	for _, t := range s.cfg.Tokens { // the peer's room for aliases is not known yet
		setup.Tokens = append(setup.Tokens, wire.Token{AliasType: wire.TokenUseValue, Type: t.Type, Value: t.Value})
	}
	if s.info.Client && !s.info.WebTransport {
		setup.Path, setup.Authority = wire.Some(s.info.Path), wire.Some(s.info.Authority)
	}
	return setup
}

// sendControl writes m on the control stream. Its calls must not overlap.
func (s *Session) sendControl(m wire.Message) error {
	if s.mux != nil {
		return s.mux.send(m)
	}
	b, err := s.profile.AppendMessage(nil, m)
	if err != nil {
		return err
	}
	s.trace.sent(s.profile, s.control, 0, m, b)
	s.control.SetWriteDeadline(s.messageDeadline())
	_, err = s.control.Write(b)
	return err
}

// messageDeadline is until when a message that is written now must be out.
func (s *Session) messageDeadline() time.Time { return time.Now().Add(s.cfg.Limits.MessageTimeout) }

// messageTooLate ends the session over a message that did not come to its end.
func (s *Session) messageTooLate() error {
	return s.fail(moqt.SessionControlMessageTimeout, "a message took more than %v to come", s.cfg.Limits.MessageTimeout)
}

// Version returns the negotiated draft.
func (s *Session) Version() moqt.Version { return s.info.Version }

// Info returns what is known of the connection.
func (s *Session) Info() ConnInfo { return s.info }

// Path returns the path and query of the URL that the client dialled.
func (s *Session) Path() string {
	if s.info.Client || s.info.WebTransport {
		return s.info.Path
	}
	return s.peerSetup.Path.Value
}

// Authority returns the authority of the URL that the client dialled.
func (s *Session) Authority() string {
	if s.info.Client || s.info.WebTransport {
		return s.info.Authority
	}
	return s.peerSetup.Authority.Value
}

// PeerImplementation returns the peer's MOQT_IMPLEMENTATION in printable form.
func (s *Session) PeerImplementation() string { return printable(s.peerSetup.Implementation) }

// PeerOption returns the peer's setup option of an extension, and false if it
// sent none.
func (s *Session) PeerOption(typ uint64) (moqt.Property, bool) {
	for _, o := range s.peerSetup.Unknown {
		if o.Type == typ {
			return o, true
		}
	}
	return moqt.Property{}, false
}

// Context is cancelled when the session ends; context.Cause tells why, as
// [*SessionError] where a side closed it.
func (s *Session) Context() context.Context { return s.ctx }

// Stats returns the figures of the connection.
func (s *Session) Stats() ConnStats { return s.conn.Stats() }

// Close ends the session with NO_ERROR and waits for its goroutines.
func (s *Session) Close() error { return s.CloseWithError(moqt.SessionNoError, "") }

// CloseWithError ends the session with code and waits for its goroutines. If it
// had ended before, it only waits. It must not be called from a callback such as
// PublishOptions.Largest, which one of those goroutines may be running.
func (s *Session) CloseWithError(code moqt.SessionCode, reason string) error {
	s.end(&SessionError{Code: code, Reason: reason})
	s.wg.Wait()
	return nil
}

// endReason is why this end ends the session.
type endReason struct{ err error }

// over reports whether the session has ended, or is about to: its connection
// may be closed a moment before its context is.
func (s *Session) over() bool { return s.why.Load() != nil || s.ctx.Err() != nil }

// reason returns why the session is over.
func (s *Session) reason() error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return s.why.Load().err
}

// cause is reason for a caller's eyes: ErrClosed if this end closed it well.
func (s *Session) cause() error {
	err := s.reason()
	var se *SessionError
	if errors.As(err, &se) && !se.Remote && se.Code == moqt.SessionNoError {
		return ErrClosed
	}
	return err
}

// end turns the first error of any of the session's goroutines into the code
// the connection is closed with. It is the one place that does. The connection
// goes first: goroutines that see the context end cancel their streams, which
// the peer must not take for the end of those alone.
func (s *Session) end(err error) {
	if err == nil || s.ctx.Err() != nil {
		return
	}
	if s.conn.Context().Err() != nil { // the peer was first
		s.cancel(context.Cause(s.conn.Context()))
		return
	}
	var se *SessionError
	var we *wire.Error
	switch {
	case errors.As(err, &se):
	case errors.As(err, &we):
		se = &SessionError{Code: we.Code, Reason: err.Error()}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		se = &SessionError{Code: moqt.SessionNoError, Reason: "given up"}
	default: // the connection's own
		if s.why.CompareAndSwap(nil, &endReason{err}) {
			s.conn.CloseWithError(moqt.SessionInternalError, err.Error())
			s.cancel(err)
		}
		return
	}
	if !s.why.CompareAndSwap(nil, &endReason{se}) {
		return // another goroutine was first
	}
	if !se.Remote && se.Code != moqt.SessionNoError {
		s.log.Info("session failed", "err", se)
	}
	s.conn.CloseWithError(se.Code, se.Reason)
	s.cancel(se)
}

func (s *Session) fail(code moqt.SessionCode, format string, args ...any) error {
	err := &SessionError{Code: code, Reason: fmt.Sprintf(format, args...)}
	s.end(err)
	return err
}

// readControl handles what the peer says on its control stream after SETUP.
func (s *Session) readControl(src *timedStream, r *wire.Reader) error {
	for {
		src.next(r.Buffered() > 0)
		m, err := s.profile.ReadMessage(r, wire.On{Control: true})
		switch {
		case err == io.EOF:
			return s.fail(moqt.SessionProtocolViolation, "control stream closed")
		case err != nil:
			return s.controlError(err)
		}
		s.trace.read(src, r, 0, m)
		goaway, ok := m.(*wire.Goaway)
		if !ok {
			return s.fail(moqt.SessionProtocolViolation, "%v on the control stream after SETUP", m.Kind())
		}
		if err := s.gotGoaway(goaway); err != nil {
			return err
		}
	}
}

// controlError says what an error of reading the control stream means.
func (s *Session) controlError(err error) error {
	switch {
	case isStream(err):
		return s.fail(moqt.SessionProtocolViolation, "control stream reset")
	case isTimeout(err):
		return s.messageTooLate()
	}
	return err
}

// isStream reports whether err is a stream's end and not the session's.
func isStream(err error) bool {
	var se *StreamError
	return errors.As(err, &se)
}

// checkSetup refuses a SETUP that breaks the rules of "Setup Options".
func (s *Session) checkSetup(m *wire.Setup) error {
	direct := !s.info.Client && !s.info.WebTransport
	if m.Path.Set && !direct {
		return &SessionError{Code: moqt.SessionInvalidPath, Reason: "PATH may come only from a client on raw QUIC"}
	}
	if m.Authority.Set && !direct {
		return &SessionError{Code: moqt.SessionInvalidAuthority, Reason: "AUTHORITY may come only from a client on raw QUIC"}
	}
	if m.Path.Set && !validPath(m.Path.Value) {
		return &SessionError{Code: moqt.SessionMalformedPath, Reason: "PATH must be empty or begin with / and hold no spaces or fragment"}
	}
	if m.Authority.Set && !validAuthority(m.Authority.Value) {
		return &SessionError{Code: moqt.SessionMalformedAuthority, Reason: "AUTHORITY must be host or host:port"}
	}
	for _, t := range m.Tokens {
		if t.AliasType == wire.TokenDelete || t.AliasType == wire.TokenUseAlias {
			return &SessionError{Code: moqt.SessionProtocolViolation, Reason: "SETUP refers to a token alias"}
		}
	}
	return nil
}
