package app

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/urfave/cli/v2"
)

// Admin describes the listener for those who run the program: /livez, /readyz,
// /metrics, /state and /debug/pprof/. It has no access control, so it belongs
// on loopback or a private network, never on the media port.
type Admin struct {
	// Addr is where to listen. If empty there is no listener. If it has no host
	// (":4480") it is on 127.0.0.1: all interfaces are asked for by name
	// ("0.0.0.0:4480").
	Addr string
	// Ready says why the program cannot take work now. If nil, it always can.
	// It must answer within a second or so.
	Ready func() error
	// State returns what /state shows as JSON. If nil, that is an empty object.
	State func() any
	// Pages are others, by the pattern of [http.ServeMux].
	Pages map[string]http.HandlerFunc
	// Commands are what an operator can have done: POST /NAME with parameters in
	// the query. The answer is a sentence; an error is the caller's mistake. A web
	// page's POST from another origin is refused.
	Commands map[string]func(url.Values) (string, error)
	// Registry is what /metrics shows. If nil, that is nothing.
	Registry prometheus.Gatherer
	// Logger gets the listener's troubles. If nil, they are not told.
	Logger *slog.Logger
}

// AdminFlag returns the flag --admin, with addr where it is not given. pages are
// those of [Admin].Pages that are told.
func AdminFlag(addr string, pages ...string) cli.Flag {
	list := strings.Join(append([]string{"/livez", "/readyz", "/metrics", "/state"}, pages...), ", ")
	return &cli.StringFlag{Name: "admin", Value: addr, Usage: "serve " + list + " and /debug/pprof on `ADDR`; \"\" for nowhere"}
}

// Handler returns the pages without a listener.
func (a Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.HandleFunc("GET /state", a.state)
	for pattern, page := range a.Pages {
		mux.HandleFunc(pattern, page)
	}
	if a.Registry != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(a.Registry, promhttp.HandlerOpts{}))
	}
	for name, do := range a.Commands {
		mux.Handle("POST /"+name, http.NewCrossOriginProtection().Handler(command(do)))
	}
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func command(do func(url.Values) (string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := do(r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, answer)
	})
}

func (a Admin) readyz(w http.ResponseWriter, r *http.Request) {
	if a.Ready != nil {
		if err := a.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ok")
}

func (a Admin) state(w http.ResponseWriter, r *http.Request) {
	var state any = struct{}{}
	if a.State != nil {
		state = a.State()
	}
	body, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(body, '\n'))
}

// AdminServer is a running [Admin] listener.
type AdminServer struct {
	srv *http.Server
	ln  net.Listener
	wg  sync.WaitGroup
}

// Start listens and serves until Close. Without an Addr it does neither.
func (a Admin) Start() (*AdminServer, error) {
	s := &AdminServer{}
	if a.Addr == "" {
		return s, nil
	}
	addr := a.Addr
	if host, port, err := net.SplitHostPort(addr); err == nil && host == "" {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, ListenError("admin", addr, err)
	}
	log := a.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	handler := a.Handler()
	if ip := ln.Addr().(*net.TCPAddr).IP; ip.IsLoopback() {
		handler = localOnly(handler)
	}
	s.ln = ln
	s.srv = &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // a profile may take that long
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	s.wg.Go(func() {
		if err := s.srv.Serve(ln); err != http.ErrServerClosed {
			log.Error("admin listener ended", "err", err)
		}
	})
	log.Info("admin listening", "addr", ln.Addr().String())
	return s, nil
}

// Addr returns where s listens, or nil if nowhere.
func (s *AdminServer) Addr() net.Addr {
	if s.ln == nil {
		return nil
	}
	return s.ln.Addr()
}

// Close ends the listener and its connections, and waits for its goroutine.
func (s *AdminServer) Close() error {
	if s.srv == nil {
		return nil
	}
	err := s.srv.Close()
	s.wg.Wait()
	return err
}

// localOnly refuses requests that name this machine by another name than
// localhost or an IP address: a web page elsewhere can point its own name at
// 127.0.0.1 and would then read these pages as its own.
func localOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if host != "localhost" && net.ParseIP(trimBrackets(host)) == nil {
			http.Error(w, "the admin pages are served to localhost and IP addresses only", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func trimBrackets(host string) string {
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		return host[1 : n-1]
	}
	return host
}
