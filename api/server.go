package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ServerConfig says how a [Server] behaves. The zero value but for Store works.
type ServerConfig struct {
	// Store keeps the origins. It must be set.
	Store Store
	// Lease is how long a record lives that asks for no time of its own. If
	// zero, it is 15 seconds.
	Lease time.Duration
	// MinLease and MaxLease bound what may be asked for; more or less is cut to
	// them. If zero, they are 1 second and 10 minutes.
	MinLease, MaxLease time.Duration
	// Tokens are the bearer tokens of which a request must have one. If empty,
	// everybody who can reach the server may use it.
	Tokens []string
	// AllowRelays are the hosts, or host:port, that the URL of an origin may
	// have: a relay dials whatever URL it finds here. If empty, all may be.
	AllowRelays []string
	// Timeout bounds the work for one request. If zero, it is 1.5 seconds.
	Timeout time.Duration
	// Registry gets the server's metrics. If nil, there are none.
	Registry prometheus.Registerer
	// Logger gets the store's failures. If nil, nothing is logged.
	Logger *slog.Logger
}

// Server is the REST server of the origin table, an http.Handler:
//
//	GET    /origin/<namespace>  its origins, or those of its longest prefix: 200, 404
//	POST   /origin/<namespace>  add or renew: {"node","url","lease_key","ttl_ms"}: 200, 409, 422
//	PATCH  /origin/<namespace>  renew only: {"node","lease_key","ttl_ms"}: 200, 403, 404
//	DELETE /origin/<namespace>  {"node","lease_key"}: 204, 403, 404
//	GET    /origins?prefix=P&limit=N  all under a prefix
//	POST   /origins  as above for up to 256 {"namespaces"} at once: 200 with those that failed
//	DELETE /origins  likewise
//	GET    /livez, /readyz
//
// [ParseNamespace] says how a namespace is written. A record belongs to whoever
// knows its lease key; another key is 409 on POST and 403 on PATCH and DELETE.
// Errors are {"error"}: 400 for what cannot be meant, 401 without the token, 413
// and 415 for bodies too large or not JSON, 503 while the store cannot be
// reached or has no room.
//
// There is no CORS, and requests of web pages that change anything are refused.
type Server struct {
	cfg     ServerConfig
	tokens  [][sha256.Size]byte
	cors    *http.CrossOriginProtection
	metrics *serverMetrics
}

// NewServer returns a server for cfg. It starts nothing.
func NewServer(cfg ServerConfig) (*Server, error) {
	if cfg.Store == nil {
		return nil, errors.New("api: server without a store")
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&cfg.Lease, 15*time.Second)
	def(&cfg.MinLease, time.Second)
	def(&cfg.MaxLease, 10*time.Minute)
	def(&cfg.Timeout, 1500*time.Millisecond)
	if cfg.Lease < cfg.MinLease || cfg.Lease > cfg.MaxLease {
		return nil, fmt.Errorf("api: lease of %v: want %v to %v", cfg.Lease, cfg.MinLease, cfg.MaxLease)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.AllowRelays = slices.Clone(cfg.AllowRelays)
	s := &Server{cfg: cfg, cors: http.NewCrossOriginProtection(), metrics: newServerMetrics(cfg.Registry)}
	for _, t := range cfg.Tokens {
		s.tokens = append(s.tokens, sha256.Sum256([]byte(t)))
	}
	return s, nil
}

// ServeHTTP implements http.Handler. Paths are split by hand: http.ServeMux
// would clean what looks like a dot or an empty segment, and both may be part of
// a namespace.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Timeout)
	defer cancel()
	r = r.WithContext(ctx)
	status, body := s.answer(w, r)
	s.metrics.count(r.Method, status, time.Since(start))
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// Errors of writing are the client's going.
	switch body := body.(type) {
	case nil:
		w.WriteHeader(status)
	case string:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		io.WriteString(w, body+"\n")
	default:
		h.Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(body)
	}
}

// answer carries r out. Only headers are written to w.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) (status int, body any) {
	path := r.URL.EscapedPath()
	ns, one := strings.CutPrefix(path, "/origin/")
	switch {
	case path == "/livez":
		return s.health(w, r, func(context.Context) error { return nil })
	case path == "/readyz":
		return s.health(w, r, s.cfg.Store.Ping)
	case !one && path != "/origins":
		// In plain text, so that no client takes it for "no such origin".
		return http.StatusNotFound, "there are /origin/<namespace>, /origins, /livez and /readyz"
	}
	if !s.authorized(r) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return http.StatusUnauthorized, errorAnswer{"the bearer token is missing or wrong"}
	}
	result, err := s.dispatch(w, r, one, ns)
	if err != nil {
		return s.fail(w, r, err)
	}
	if result == nil {
		return http.StatusNoContent, nil
	}
	return http.StatusOK, result
}

func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, one bool, ns string) (any, error) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if one {
			return s.lookup(r, ns)
		}
		return s.list(r)
	case http.MethodPost, http.MethodDelete:
	case http.MethodPatch:
		if one {
			break
		}
		fallthrough
	default:
		w.Header().Set("Allow", "GET, HEAD, POST, PATCH, DELETE")
		return nil, &StatusError{http.StatusMethodNotAllowed, "method not allowed here"}
	}
	// No web page has business here. A browser tells on a page of another
	// origin; a page that has pointed its own name at this server is one of no
	// other origin, but a browser names it all the same.
	if err := s.cors.Check(r); err != nil || r.Header.Get("Origin") != "" {
		return nil, &StatusError{http.StatusForbidden, "requests of web pages are refused"}
	}
	if one {
		return s.change(w, r, ns)
	}
	return s.batch(w, r)
}

func (s *Server) authorized(r *http.Request) bool {
	if len(s.tokens) == 0 {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	match := 0
	for _, t := range s.tokens {
		match |= subtle.ConstantTimeCompare(t[:], sum[:])
	}
	return match == 1 && strings.EqualFold(scheme, "Bearer")
}

func (s *Server) health(w http.ResponseWriter, r *http.Request, check func(context.Context) error) (int, any) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return http.StatusMethodNotAllowed, errorAnswer{"method not allowed here"}
	}
	if err := check(r.Context()); err != nil {
		return s.fail(w, r, err)
	}
	return http.StatusOK, struct{}{}
}

// fail answers with err, and logs what is no fault of the client.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) (int, any) {
	status, text := describe(err)
	if status >= 500 {
		s.cfg.Logger.Warn("origin request failed", "method", r.Method, "status", status, "err", err)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	return status, errorAnswer{text}
}

// describe turns err into a status and a sentence. What a store says beyond
// that it cannot be reached is for the log: it may name hosts and keys.
func describe(err error) (status int, text string) {
	status = statusOf(err)
	switch {
	case status == http.StatusInternalServerError:
		return status, "internal error"
	case errors.Is(err, ErrFull):
		return status, ErrFull.Error()
	case status == http.StatusServiceUnavailable:
		return status, ErrUnavailable.Error()
	}
	return status, err.Error()
}

// statusOf and the reverse in [StatusError.Is] are the one table of both ends.
func statusOf(err error) int {
	var status *StatusError
	switch {
	case errors.As(err, &status):
		return status.Code
	case errors.Is(err, ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, ErrForbidden):
		return http.StatusForbidden
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, ErrConflict):
		return http.StatusConflict
	case errors.Is(err, ErrRefused):
		return http.StatusUnprocessableEntity
	case errors.Is(err, ErrFull), errors.Is(err, ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// StatusError is an answer of the server that is no success.
type StatusError struct {
	Code    int    // HTTP status
	Message string // of the server
}

func (e *StatusError) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Code) }

// Is reports whether e is the answer that stands for one of the errors of this
// package.
func (e *StatusError) Is(target error) bool {
	switch target {
	case ErrInvalid:
		return e.Code == http.StatusBadRequest
	case ErrForbidden:
		return e.Code == http.StatusForbidden
	case ErrNotFound:
		return e.Code == http.StatusNotFound
	case ErrConflict:
		return e.Code == http.StatusConflict
	case ErrRefused:
		return e.Code == http.StatusUnprocessableEntity
	case ErrFull:
		return e.Code == http.StatusServiceUnavailable && e.Message == ErrFull.Error()
	case ErrUnavailable:
		return e.Code >= 500 && e.Message != ErrFull.Error()
	}
	return false
}

// readBody reads a JSON body of at most max bytes into v. The content type is
// required: a form on a web page cannot send it.
func readBody(w http.ResponseWriter, r *http.Request, max int64, v any) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return &StatusError{http.StatusUnsupportedMediaType, "want Content-Type: application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, max))
	if err != nil {
		if errors.As(err, new(*http.MaxBytesError)) {
			return &StatusError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", max)}
		}
		return fmt.Errorf("%w: body: %w", ErrInvalid, err)
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: body: %w", ErrInvalid, err)
	}
	return nil
}
