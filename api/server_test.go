package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/api/storetest"
	"github.com/tributary-live/tributary/transport/moqt"
)

func newServer(t *testing.T, cfg api.ServerConfig) *api.Server {
	t.Helper()
	if cfg.Store == nil {
		cfg.Store = new(api.MemStore)
	}
	s, err := api.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ask sends one request as curl would; headers are "Name: value".
func ask(s http.Handler, method, path, body string, headers ...string) (int, string, http.Header) {
	r := httptest.NewRequest(method, "http://api.example:4481"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String()), w.Header()
}

const (
	lease1 = `{"node":"r1","url":"moqt://r1:4443","lease_key":"key-of-the-first-1","ttl_ms":10000}`
	lease2 = `{"node":"r1","url":"moqt://r1:4443","lease_key":"key-of-the-second-2","ttl_ms":10000}`
	other  = `{"node":"r2","url":"https://r2:4443/x","lease_key":"key-of-the-second-2"}`
)

func TestRecordsOverREST(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, api.ServerConfig{})
		for i, step := range []struct {
			method, path, body string
			code               int
			want               string
		}{
			{"GET", "/origin/live-alice", "", 404, `{"error":"no such origin"}`},
			{"POST", "/origin/live-alice", lease1, 200, `{"lease_ms":10000}`},
			{"POST", "/origin/live-alice", lease1, 200, `{"lease_ms":10000}`},
			{"POST", "/origin/live-alice", lease2, 409, `{"error":"the origin is held under another lease key"}`},
			{"POST", "/origin/live/alice", other, 200, `{"lease_ms":15000}`},
			{"GET", "/origin/live-alice", "", 200, `{"namespace":"live-alice","url":"moqt://r1:4443","origins":[` +
				`{"node":"r1","url":"moqt://r1:4443","expires_in_ms":10000},{"node":"r2","url":"https://r2:4443/x","expires_in_ms":15000}]}`},
			{"GET", "/origin/live/alice/", "", 200, `"namespace":"live-alice"`},
			{"GET", "/origin/live/alice/cam/hd", "", 200, `"namespace":"live-alice"`},
			{"HEAD", "/origin/live-alice", "", 200, ``},
			{"GET", "/origins?prefix=live&limit=1", "", 200, `{"origins":[{"namespace":"live-alice","node":"r1","url":"moqt://r1:4443","expires_in_ms":10000}],"truncated":true}`},
			{"GET", "/origins?prefix=other", "", 200, `{"origins":[]}`},
			{"PATCH", "/origin/live-alice", lease2, 403, `{"error":"the lease key is not that of the origin"}`},
			{"PATCH", "/origin/live-bob", lease1, 404, `{"error":"no such origin"}`},
			{"PATCH", "/origin/live-alice", `{"node":"r1","lease_key":"key-of-the-first-1","ttl_ms":20000}`, 200, `{"lease_ms":20000}`},
			{"DELETE", "/origin/live-alice", lease2, 403, `{"error"`},
			{"DELETE", "/origin/live-alice", `{"node":"r1","lease_key":"key-of-the-first-1"}`, 204, ``},
			{"DELETE", "/origin/live-alice", `{"node":"r1","lease_key":"key-of-the-first-1"}`, 404, `{"error"`},
			{"GET", "/origin/live-alice", "", 200, `{"namespace":"live-alice","url":"https://r2:4443/x","origins":[{"node":"r2","url":"https://r2:4443/x","expires_in_ms":15000}]}`},
		} {
			code, body, h := ask(s, step.method, step.path, step.body)
			if code != step.code || !strings.Contains(body, step.want) || step.want == "" && step.method != "HEAD" && body != "" {
				t.Errorf("step %d: %s %s = %d %s, want %d %s", i, step.method, step.path, code, body, step.code, step.want)
			}
			if h.Get("Access-Control-Allow-Origin") != "" || h.Get("Cache-Control") != "no-store" {
				t.Errorf("step %d: headers = %v, want no CORS and no-store", i, h)
			}
		}
		time.Sleep(16 * time.Second)
		if code, body, _ := ask(s, "GET", "/origin/live-alice", ""); code != 404 {
			t.Errorf("after the lease: GET = %d %s, want 404", code, body)
		}
	})
}

func TestLeaseBounds(t *testing.T) {
	s := newServer(t, api.ServerConfig{MinLease: 2 * time.Second, MaxLease: time.Minute})
	for ttl, want := range map[string]string{
		"0": "15000", "1": "2000", "2000": "2000", "60000": "60000", "60001": "60000", "9223372036854775807": "60000",
	} {
		body := fmt.Sprintf(`{"node":"r1","url":"moqt://r1","lease_key":"key-of-the-first-1","ttl_ms":%s}`, ttl)
		if code, got, _ := ask(s, "POST", "/origin/a", body); code != 200 || got != `{"lease_ms":`+want+`}` {
			t.Errorf("ttl %s: %d %s, want %s", ttl, code, got, want)
		}
	}
	for _, cfg := range []api.ServerConfig{{}, {Store: new(api.MemStore), Lease: time.Hour}, {Store: new(api.MemStore), Lease: time.Millisecond}} {
		if _, err := api.NewServer(cfg); err == nil {
			t.Errorf("NewServer(%+v) = nil error", cfg)
		}
	}
}

func TestBadRequests(t *testing.T) {
	var s *api.Server
	withURL := func(url string) string {
		b, _ := json.Marshal(map[string]string{"node": "r1", "url": url, "lease_key": "key-of-the-first-1"})
		return string(b)
	}
	deep := "/origin/" + strings.Repeat("a/", 33)
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		code                     int
		want                     string
	}{
		{"no page", "GET", "/", "", nil, 404, "there are /origin"},
		{"no page below", "GET", "/origin", "", nil, 404, "there are /origin"},
		{"dots are no way out", "GET", "/origin/a/../../livez", "", nil, 404, "no such origin"},
		{"empty namespace", "GET", "/origin/", "", nil, 404, "no such origin"},
		{"empty namespace written", "POST", "/origin/", lease1, nil, 400, "empty namespace"},
		{"empty field", "GET", "/origin/a//b", "", nil, 400, "field 1 is empty"},
		{"empty field in printed form", "GET", "/origin/a--b", "", nil, 400, "field 1 is empty"},
		{"only slashes", "GET", "/origin//", "", nil, 400, "field 0 is empty"},
		{"bad escape", "GET", "/origin/a.2", "", nil, 400, "a period must be followed"},
		{"needless escape", "GET", "/origin/a.61", "", nil, 400, "a period must be followed"},
		{"33 fields", "GET", deep, "", nil, 400, "33 fields"},
		{"33 fields in printed form", "GET", "/origin/" + strings.Repeat("a-", 32) + "a", "", nil, 400, "33 fields"},
		{"long namespace", "GET", "/origin/" + strings.Repeat("a", 4097), "", nil, 400, "4097 bytes"},
		{"bad limit", "GET", "/origins?limit=-1", "", nil, 400, "limit"},
		{"bad prefix", "GET", "/origins?prefix=a--b", "", nil, 400, "empty"},
		{"method", "PUT", "/origin/a", lease1, nil, 405, "method"},
		{"OPTIONS", "OPTIONS", "/origin/a", "", nil, 405, "method"},
		{"PATCH of many", "PATCH", "/origins", lease1, nil, 405, "method"},
		{"POST to a page", "POST", "/livez", lease1, nil, 405, "method"},
		{"no content type", "POST", "/origin/a", lease1, []string{"Content-Type: "}, 415, "application/json"},
		{"form", "POST", "/origin/a", "url=moqt://r1", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "application/json"},
		{"text", "DELETE", "/origin/a", lease1, []string{"Content-Type: text/plain"}, 415, "application/json"},
		{"charset is fine", "POST", "/origin/a", lease1, []string{"Content-Type: application/json; charset=utf-8"}, 200, "lease_ms"},
		{"no body", "POST", "/origin/a", "", []string{"Content-Type: application/json"}, 400, "body"},
		{"cut JSON", "POST", "/origin/a", lease1[:40], nil, 400, "body"},
		{"more after it", "POST", "/origin/a", lease1 + lease1, nil, 400, "body"},
		{"list", "POST", "/origin/a", "[" + lease1 + "]", nil, 400, "body"},
		{"wrong type", "POST", "/origin/a", `{"ttl_ms":"10s"}`, nil, 400, "body"},
		{"deep JSON", "POST", "/origin/a", strings.Repeat("[", 20000), nil, 400, "body"},
		{"large body", "POST", "/origin/a", `{"node":"` + strings.Repeat("x", 64<<10) + `"}`, nil, 413, "65536"},
		{"large batch", "POST", "/origins", `{"node":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "1048576"},
		{"no node", "POST", "/origin/a", `{"url":"moqt://r1","lease_key":"key-of-the-first-1"}`, nil, 400, "node"},
		{"node with newline", "POST", "/origin/a", `{"node":"a\nb","url":"moqt://r1","lease_key":"key-of-the-first-1"}`, nil, 400, "node"},
		{"long node", "POST", "/origin/a", `{"node":"` + strings.Repeat("x", 256) + `","url":"moqt://r1","lease_key":"key-of-the-first-1"}`, nil, 400, "node"},
		{"no key", "POST", "/origin/a", `{"node":"r1","url":"moqt://r1"}`, nil, 400, "lease key"},
		{"short key", "DELETE", "/origin/a", `{"node":"r1","lease_key":"123456789012345"}`, nil, 400, "lease key"},
		{"long key", "PATCH", "/origin/a", `{"node":"r1","lease_key":"` + strings.Repeat("k", 129) + `"}`, nil, 400, "lease key"},
		{"negative lease", "POST", "/origin/a", `{"node":"r1","url":"moqt://r1","lease_key":"key-of-the-first-1","ttl_ms":-1}`, nil, 400, "lease"},
		{"no URL", "POST", "/origin/a", withURL(""), nil, 400, "moqt:// or https://"},
		{"http", "POST", "/origin/a", withURL("http://r1"), nil, 400, "moqt:// or https://"},
		{"file", "POST", "/origin/a", withURL("file:///etc/passwd"), nil, 400, "moqt:// or https://"},
		{"no host", "POST", "/origin/a", withURL("moqt://:4443"), nil, 400, "no host"},
		{"user", "POST", "/origin/a", withURL("https://u:secret@r1"), nil, 400, "no user"},
		{"fragment", "POST", "/origin/a", withURL("https://r1#x"), nil, 400, "no fragment"},
		{"URL with newline", "POST", "/origin/a", withURL("https://r1/\r\nx"), nil, 400, "no URL"},
		{"long URL", "POST", "/origin/a", withURL("https://r1/" + strings.Repeat("x", 2048)), nil, 400, "2059 bytes"},
		{"empty batch", "POST", "/origins", lease1, nil, 400, "0 namespaces"},
		{"batch too large", "DELETE", "/origins", `{"node":"r1","lease_key":"key-of-the-first-1","namespaces":["a"` + strings.Repeat(`,"a"`, 256) + `]}`, nil, 400, "257 namespaces"},
		{"page of another site", "POST", "/origin/a", lease1, []string{"Sec-Fetch-Site: cross-site"}, 403, "web pages"},
		{"page with a rebound name", "POST", "/origin/a", lease1, []string{"Origin: http://api.example:4481"}, 403, "web pages"},
		{"page deleting", "DELETE", "/origins", lease1, []string{"Origin: null"}, 403, "web pages"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s = newServer(t, api.ServerConfig{})
			code, body, _ := ask(s, tt.method, tt.path, tt.body, tt.headers...)
			if code != tt.code || !strings.Contains(body, tt.want) || len(body) > 500 || strings.Contains(body, "secret") {
				t.Errorf("%s %.60s = %d %.200s, want %d with %q", tt.method, tt.path, code, body, tt.code, tt.want)
			}
		})
	}
}

// Origins outside the list of relays are not written: whoever reads them dials.
func TestAllowedRelays(t *testing.T) {
	store := new(api.MemStore)
	s := newServer(t, api.ServerConfig{Store: store, AllowRelays: []string{"relay1.example", "[::1]:4443", "10.0.0.1:443"}})
	post := func(url string) int {
		body, _ := json.Marshal(map[string]string{"node": "r1", "url": url, "lease_key": "key-of-the-first-1"})
		code, _, _ := ask(s, "POST", "/origin/a", string(body))
		return code
	}
	for _, url := range []string{
		"moqt://relay1.example.evil.example:4443", "moqt://evil.example/relay1.example", "https://127.0.0.1:4480/debug/pprof",
		"moqt://169.254.169.254", "https://localhost", "moqt://evil-relay1.example", "https://[::1]:22", "moqt://10.0.0.1:22",
		"moqt://relay1.example.:4443", "moqt://[::ffff:10.0.0.1]:443",
	} {
		if code := post(url); code != 422 {
			t.Errorf("POST of %s = %d, want 422", url, code)
		}
	}
	if store.Len() != 0 {
		t.Errorf("%d records written, want none", store.Len())
	}
	for _, url := range []string{"moqt://relay1.example:4443", "https://RELAY1.example/x", "moqt://[::1]:4443", "https://10.0.0.1"} {
		if code := post(url); code != 200 {
			t.Errorf("POST of %s = %d, want 200", url, code)
		}
	}
}

func TestTokens(t *testing.T) {
	s := newServer(t, api.ServerConfig{Tokens: []string{"new-token", "old-token"}})
	for _, tt := range []struct {
		method, path, header string
		code                 int
	}{
		{"GET", "/origin/a", "", 401},
		{"GET", "/origins", "Authorization: Bearer ", 401},
		{"POST", "/origin/a", "Authorization: Bearer new-toke", 401},
		{"POST", "/origin/a", "Authorization: new-token", 401},
		{"POST", "/origin/a", "Authorization: Basic new-token", 401},
		{"POST", "/origin/a", "Authorization: Bearer new-token", 200},
		{"DELETE", "/origin/a", "Authorization: bearer old-token", 204},
		{"GET", "/livez", "", 200},
		{"GET", "/readyz", "", 200},
	} {
		body := ""
		if tt.method != "GET" {
			body = lease1
		}
		code, _, h := ask(s, tt.method, tt.path, body, tt.header)
		if code != tt.code || (code == 401) != (h.Get("WWW-Authenticate") == "Bearer") {
			t.Errorf("%s %s with %q = %d, want %d", tt.method, tt.path, tt.header, code, tt.code)
		}
	}
}

func TestBatch(t *testing.T) {
	store := new(api.MemStore)
	s := newServer(t, api.ServerConfig{Store: store})
	ask(s, "POST", "/origin/b", lease2)
	code, body, _ := ask(s, "POST", "/origins",
		`{"node":"r1","url":"moqt://r1:4443","lease_key":"key-of-the-first-1","namespaces":["a","b","c-d","x--y",""]}`)
	want := `{"lease_ms":15000,"failed":[{"namespace":"b","status":409,"error":"the origin is held under another lease key"},` +
		`{"namespace":"x--y","status":400,"error":"invalid request: moqt: namespace field 1 is empty"},` +
		`{"namespace":"","status":400,"error":"invalid request: the empty namespace would have every track as its own"}]}`
	if code != 200 || body != want {
		t.Errorf("POST /origins = %d %s, want 200 %s", code, body, want)
	}
	if store.Len() != 3 {
		t.Errorf("%d records, want 3", store.Len())
	}
	code, body, _ = ask(s, "DELETE", "/origins", `{"node":"r1","lease_key":"key-of-the-first-1","namespaces":["a","b","c-d"]}`)
	if code != 200 || !strings.Contains(body, `"failed":[{"namespace":"b","status":403`) || store.Len() != 1 {
		t.Errorf("DELETE /origins = %d %s, %d records left, want 1", code, body, store.Len())
	}
}

// broken is a store whose every answer is err, when the context ends.
type broken struct {
	err  error
	hang bool
}

func (b broken) do(ctx context.Context) error {
	if b.hang {
		<-ctx.Done()
	}
	return b.err
}

func (b broken) Put(ctx context.Context, _ api.Origin, _ api.Lease) error { return b.do(ctx) }
func (b broken) Refresh(ctx context.Context, _ moqt.Namespace, _ string, _ api.Lease) error {
	return b.do(ctx)
}
func (b broken) Delete(ctx context.Context, _ moqt.Namespace, _, _ string) error { return b.do(ctx) }
func (b broken) Lookup(ctx context.Context, _ moqt.Namespace) ([]api.Origin, error) {
	return nil, b.do(ctx)
}
func (b broken) List(ctx context.Context, _ moqt.Namespace, _ int) ([]api.Origin, error) {
	return nil, b.do(ctx)
}
func (b broken) Ping(ctx context.Context) error { return b.do(ctx) }

func TestBrokenStore(t *testing.T) {
	gone := fmt.Errorf("%w: dial tcp 10.1.2.3:6379: refused", api.ErrUnavailable)
	many := strings.Replace(lease1, `{`, `{"namespaces":["a","b","c"],`, 1)
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			name  string
			store broken
			code  int
			want  string
		}{
			{"away", broken{err: gone}, 503, `{"error":"the origin store cannot be reached"}`},
			{"hangs", broken{err: context.DeadlineExceeded, hang: true}, 503, `{"error":"the origin store cannot be reached"}`},
			{"full", broken{err: api.ErrFull}, 503, `{"error":"the store is full"}`},
			{"odd", broken{err: errors.New("secret detail")}, 500, `{"error":"internal error"}`},
		} {
			s := newServer(t, api.ServerConfig{Store: tt.store})
			for _, r := range [][3]string{
				{"GET", "/origin/a"}, {"GET", "/origins"}, {"POST", "/origin/a", lease1}, {"PATCH", "/origin/a", lease1},
				{"DELETE", "/origin/a", lease1}, {"POST", "/origins", many}, {"DELETE", "/origins", many}, {"GET", "/readyz"},
			} {
				start := time.Now()
				code, body, h := ask(s, r[0], r[1], r[2])
				wantCode, want := tt.code, tt.want
				switch {
				case r[1] == "/readyz" && tt.name == "odd":
					wantCode = 500
				case r[1] == "/origins" && r[0] != "GET" && tt.name != "away":
					wantCode, want = 200, fmt.Sprintf(`"failed":[{"namespace":"a","status":%d`, tt.code)
				}
				if code != wantCode || !strings.Contains(body, want) || strings.Contains(body, "secret") || strings.Contains(body, "10.1.2.3") {
					t.Errorf("%s: %s %s = %d %s, want %d %s", tt.name, r[0], r[1], code, body, wantCode, want)
				}
				if code == 503 && h.Get("Retry-After") == "" {
					t.Errorf("%s: %s %s: no Retry-After", tt.name, r[0], r[1])
				}
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("%s: %s %s took %v, want at most 2s", tt.name, r[0], r[1], took)
				}
			}
			if code, _, _ := ask(s, "GET", "/livez", ""); code != 200 {
				t.Errorf("%s: /livez = %d, want 200", tt.name, code)
			}
		}
		storetest.Unavailable(t, broken{err: gone}, time.Second)
	})
}

func TestServerMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	s := newServer(t, api.ServerConfig{Registry: reg})
	ask(s, "GET", "/origin/a", "")
	ask(s, "POST", "/origin/a", lease1)
	ask(s, "BREW", "/origin/a", "")
	_, text, _ := ask(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}), "GET", "/metrics", "")
	for _, want := range []string{
		`moq_api_requests_total{method="GET",status="404"} 1`,
		`moq_api_requests_total{method="POST",status="200"} 1`,
		`moq_api_requests_total{method="other",status="405"} 1`,
		`moq_api_request_seconds_count 3`,
	} {
		if !strings.Contains(text+"\n", want+"\n") {
			t.Errorf("metrics have no %s:\n%s", want, text)
		}
	}
}

func FuzzParseNamespace(f *testing.F) {
	for _, s := range []string{"", "a", "a-b", "live/alice", "my-cam/", "a.2db", "a%2Fb/c", "%", "//", "a--b", ".", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ns, err := api.ParseNamespace(s)
		if err != nil {
			if !errors.Is(err, api.ErrInvalid) {
				t.Errorf("ParseNamespace(%q) = %v, want an ErrInvalid", s, err)
			}
			return
		}
		if again, err := api.ParseNamespace(ns.String()); err != nil || again != ns {
			t.Errorf("ParseNamespace(%q) = %v, printed %q, which is read as %v (%v)", s, ns.Fields(), ns, again.Fields(), err)
		}
	})
}

func TestParseNamespace(t *testing.T) {
	for in, want := range map[string]moqt.Namespace{
		"":              moqt.NS(),
		"live":          moqt.NS("live"),
		"live-alice":    moqt.NS("live", "alice"),
		"live/":         moqt.NS("live"),
		"my-cam/":       moqt.NS("my-cam"),
		"live/my-cam":   moqt.NS("live", "my-cam"),
		"live-my.2dcam": moqt.NS("live", "my-cam"),
		"a%2Fb/c.d":     moqt.NS("a/b", "c.d"),
		"a/%2e%2e/b":    moqt.NS("a", "..", "b"),
		"%61":           moqt.NS("a"),
	} {
		if got, err := api.ParseNamespace(in); err != nil || got != want {
			t.Errorf("ParseNamespace(%q) = %v, %v, want %v", in, got.Fields(), err, want.Fields())
		}
	}
}
