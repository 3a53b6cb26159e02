package app

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAdminPages(t *testing.T) {
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "moq_test_things_total"})
	reg.MustRegister(c)
	c.Inc()
	var notReady error
	s, err := Admin{
		Addr: ":0", Registry: reg,
		Ready: func() error { return notReady },
		State: func() any { return map[string]int{"sessions": 3} },
		Commands: map[string]func(url.Values) (string, error){"go": func(q url.Values) (string, error) {
			if q.Get("to") == "" {
				return "", errors.New("where to?")
			}
			return "gone to " + q.Get("to"), nil
		}},
	}.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if ip := s.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		t.Errorf("listens on %v, want loopback", ip)
	}
	get := func(path, host string) (int, string) {
		req, _ := http.NewRequest("GET", "http://"+s.Addr().String()+path, nil)
		if host != "" {
			req.Host = host
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	check := func(path, host string, code int, want string) {
		t.Helper()
		if got, body := get(path, host); got != code || !strings.Contains(body, want) {
			t.Errorf("GET %s of %q = %d %q, want %d with %q", path, host, got, body, code, want)
		}
	}
	post := func(path, origin string, code int, want string) {
		t.Helper()
		req, _ := http.NewRequest("POST", "http://"+s.Addr().String()+path, nil)
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != code || !strings.Contains(string(body), want) {
			t.Errorf("POST %s from %q = %d %q, want %d with %q", path, origin, resp.StatusCode, body, code, want)
		}
	}
	post("/go?to=there", "", 200, "gone to there")
	post("/go", "", 400, "where to?")
	post("/go?to=there", "https://evil.example", 403, "cross-origin")
	check("/go?to=there", "", 405, "")
	check("/livez", "", 200, "ok")
	check("/readyz", "", 200, "ok")
	check("/state", "", 200, `"sessions": 3`)
	check("/metrics", "", 200, "moq_test_things_total 1")
	check("/debug/pprof/", "", 200, "goroutine")
	check("/debug/pprof/goroutine?debug=1", "", 200, "TestAdminPages")
	check("/nothing", "", 404, "")
	check("/state", "localhost:4480", 200, "sessions")
	check("/state", "[::1]:4480", 200, "sessions")
	check("/state", "rebound.example:4480", 403, "localhost")
	notReady = errors.New("no upstream")
	check("/readyz", "", 503, "no upstream")
	check("/livez", "", 200, "ok")
	http.DefaultClient.CloseIdleConnections()
}

func TestAdminWithoutAddr(t *testing.T) {
	s, err := Admin{}.Start()
	if err != nil || s.Addr() != nil || s.Close() != nil {
		t.Errorf("Start = %v, Addr = %v, want no listener and no error", err, s.Addr())
	}
}

func TestAdminPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = Admin{Addr: ln.Addr().String()}.Start()
	if err == nil || !strings.Contains(err.Error(), "already in use") || !strings.Contains(err.Error(), "--admin") {
		t.Errorf("Start = %v, want a sentence about --admin", err)
	}
}

func TestAdminStateThatIsNoJSON(t *testing.T) {
	s, err := Admin{Addr: ":0", State: func() any { return func() {} }}.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	resp, err := http.Get("http://" + s.Addr().String() + "/state")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 500 {
		t.Errorf("GET /state = %d, want 500", resp.StatusCode)
	}
}
