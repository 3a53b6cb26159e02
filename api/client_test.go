package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/transport/moqt"
)

var ns = moqt.NS

// wire carries requests to a handler without sockets, so that it works in a
// bubble of virtual time. While down is set it fails as a refused connection.
type wire struct {
	handler http.Handler
	down    func() bool
	seen    func(*http.Request)
}

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if w.seen != nil {
		w.seen(r)
	}
	if w.down != nil && w.down() {
		return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec.Result(), nil
}

func newClient(t *testing.T, w wire, cfg api.ClientConfig) *api.Client {
	t.Helper()
	cfg.URL = "http://api.example:4481"
	cfg.HTTP = &http.Client{Transport: w, Timeout: 2 * time.Second}
	c, err := api.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClient(t *testing.T) {
	store := new(api.MemStore)
	srv := httptest.NewServer(newServer(t, api.ServerConfig{Store: store, Tokens: []string{"t0ken"}}))
	defer srv.Close()
	dial := func(token string) *api.Client {
		c, err := api.NewClient(api.ClientConfig{URL: srv.URL + "/", Token: token})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c, rival, ctx := dial("t0ken"), dial("t0ken"), t.Context()
	name := ns("live", "a/b\x00ü", "..")
	o := api.Origin{Namespace: name, Node: "https://r1:4443", URL: "https://r1:4443"}
	for i, step := range []struct {
		got, want error
	}{
		{c.Put(ctx, o, 0), nil},
		{c.Put(ctx, o, 20*time.Second), nil},
		{rival.Put(ctx, o, 0), api.ErrConflict},
		{rival.Refresh(ctx, name, o.Node, 0), api.ErrForbidden},
		{c.Refresh(ctx, name, o.Node, time.Minute), nil},
		{c.Refresh(ctx, ns("other"), o.Node, 0), api.ErrNotFound},
		{rival.Delete(ctx, name, o.Node), api.ErrForbidden},
		{dial("").Put(ctx, o, 0), &api.StatusError{Code: 401, Message: "the bearer token is missing or wrong"}},
		{c.Put(ctx, api.Origin{Node: "r", URL: "moqt://r"}, 0), api.ErrInvalid},
		{c.Put(ctx, api.Origin{Namespace: name, Node: "r", URL: "http://r"}, 0), api.ErrInvalid},
		{c.Delete(ctx, name, ""), api.ErrInvalid},
		{c.Refresh(ctx, ns(), "r", 0), api.ErrInvalid},
	} {
		var status *api.StatusError
		if errors.As(step.want, &status) {
			if got := new(api.StatusError); !errors.As(step.got, &got) || *got != *status {
				t.Errorf("step %d: %v, want %v", i, step.got, step.want)
			}
		} else if !errors.Is(step.got, step.want) {
			t.Errorf("step %d: %v, want %v", i, step.got, step.want)
		}
	}
	deeper, err := name.Join(ns("track"))
	if err != nil {
		t.Fatal(err)
	}
	found, err := c.Lookup(ctx, deeper)
	if err != nil || len(found) != 1 || found[0].Namespace != name || found[0].Node != o.Node || found[0].URL != o.URL {
		t.Errorf("Lookup = %+v, %v, want %+v", found, err, o)
	} else if left := time.Until(found[0].Expires); left < 50*time.Second || left > time.Minute {
		t.Errorf("ends in %v, want about a minute", left)
	}
	all, err := c.List(ctx, ns("live"), 10)
	if err != nil || len(all) != 1 || all[0].Namespace != name {
		t.Errorf("List = %+v, %v, want the one origin", all, err)
	}
	if all, err = c.List(ctx, ns(), 0); err != nil || len(all) != 1 {
		t.Errorf("List of all = %+v, %v, want the one origin", all, err)
	}
	if err := c.Delete(ctx, name, o.Node); err != nil || store.Len() != 0 {
		t.Errorf("Delete = %v, %d records left", err, store.Len())
	}
	for _, n := range []moqt.Namespace{name, ns()} {
		if _, err := c.Lookup(ctx, n); !errors.Is(err, api.ErrNotFound) {
			t.Errorf("Lookup(%v) = %v, want ErrNotFound", n, err)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Lookup(cancelled, name); !errors.Is(err, context.Canceled) || errors.Is(err, api.ErrUnavailable) {
		t.Errorf("Lookup by one who gave up = %v, want context.Canceled", err)
	}
	c.Close()
	srv.Close()
	if _, err := c.Lookup(ctx, name); !errors.Is(err, api.ErrUnavailable) {
		t.Errorf("Lookup without a server = %v, want ErrUnavailable", err)
	}
}

// What answers may be another service, a proxy, or someone hostile.
func TestClientDistrustsAnswers(t *testing.T) {
	origin := func(node, url string) string {
		return fmt.Sprintf(`{"namespace":"a","url":"x","origins":[{"node":%q,"url":%q,"expires_in_ms":1}]}`, node, url)
	}
	for _, tt := range []struct {
		name, body string
		code       int
		want       error
	}{
		{"good", origin("r", "moqt://r"), 200, nil},
		{"lease for ever", `{"namespace":"a","origins":[{"node":"r","url":"moqt://r","expires_in_ms":9223372036854775807}]}`, 200, nil},
		{"none", `{"namespace":"a","origins":[]}`, 200, api.ErrNotFound},
		{"no JSON", `<html>`, 200, api.ErrUnavailable},
		{"bad URL", origin("r", "file:///etc/passwd"), 200, api.ErrUnavailable},
		{"bad node", origin("r\nx", "moqt://r"), 200, api.ErrUnavailable},
		{"bad namespace", `{"namespace":"a--b","origins":[{"node":"r","url":"moqt://r"}]}`, 200, api.ErrUnavailable},
		{"empty namespace", `{"origins":[{"node":"r","url":"moqt://r"}]}`, 200, api.ErrUnavailable},
		{"another's 404", `<html>`, 404, api.ErrUnavailable},
		{"ours", `{"error":"no such origin"}`, 404, api.ErrNotFound},
		{"ours, internal", `{"error":"internal error"}`, 500, api.ErrUnavailable},
		{"ours, full", `{"error":"the store is full"}`, 503, api.ErrFull},
		{"a proxy", `Bad Gateway`, 502, api.ErrUnavailable},
		{"redirect", ``, 302, api.ErrUnavailable},
		{"endless", strings.Repeat(" ", 9<<20), 200, api.ErrUnavailable},
		{"endless error", `{"error":"` + strings.Repeat("x", 1<<20) + `"}`, 404, api.ErrNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					t.Error("the client followed a redirect")
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.code)
				io.WriteString(w, tt.body)
			}))
			defer srv.Close()
			c, err := api.NewClient(api.ClientConfig{URL: srv.URL})
			if err != nil {
				t.Fatal(err)
			}
			found, err := c.Lookup(t.Context(), ns("a"))
			if !errors.Is(err, tt.want) || (err == nil) != (len(found) == 1) {
				t.Errorf("Lookup = %v, %v, want %v", found, err, tt.want)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
			kinds := []error{api.ErrNotFound, api.ErrUnavailable, api.ErrFull}
			if n := len(slices.DeleteFunc(kinds, func(k error) bool { return !errors.Is(err, k) })); err != nil && n != 1 {
				t.Errorf("%v is %d kinds of error, want 1", err, n)
			}
		})
	}
}

func TestNewClient(t *testing.T) {
	for _, url := range []string{"", "api:4481", "moqt://h", "http://", "://", "/x"} {
		if _, err := api.NewClient(api.ClientConfig{URL: url}); err == nil || !strings.Contains(err.Error(), "want http://") {
			t.Errorf("NewClient(%q) = %v, want a sentence about the URL", url, err)
		}
	}
	if _, err := api.NewClient(api.ClientConfig{URL: "http://h", LeaseKey: "short"}); !errors.Is(err, api.ErrInvalid) {
		t.Errorf("NewClient with a short key = %v, want ErrInvalid", err)
	}
}
