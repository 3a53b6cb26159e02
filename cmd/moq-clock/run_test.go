package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/devcert"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// serve runs a server for the test, whose sessions are given to handle, and
// returns its URL and its certificate's fingerprint.
func serve(t *testing.T, handle func(ctx context.Context, sess *transport.Session)) (url, fingerprint string) {
	t.Helper()
	certs, err := devcert.New()
	if err != nil {
		t.Fatal(err)
	}
	pc, err := transport.ListenUDP(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &transport.Server{TLSConfig: &tls.Config{GetCertificate: certs.GetCertificate},
		Handler: transport.HandlerFunc(func(ctx context.Context, sess *transport.Session) error {
			handle(ctx, sess)
			return nil
		})}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(context.WithoutCancel(t.Context()), pc) }()
	t.Cleanup(func() {
		srv.Close()
		<-served
	})
	return "moqt://" + pc.LocalAddr().String(), certs.Fingerprints()[0]
}

// command runs moq-clock and returns what it prints.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	a := newApp()
	a.Writer = &out
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	code = app.Run(ctx, a, append([]string{"moq-clock", "--log-level", "off"}, args...), &errs)
	return code, out.String(), errs.String()
}

// The subscriber prints a line for each second, and ends well with the track.
func TestSubscribe(t *testing.T) {
	url, fingerprint := serve(t, func(ctx context.Context, sess *transport.Session) {
		req, err := sess.Accept(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		sub, ok := req.(*transport.SubscribeRequest)
		if !ok || sub.Track != moqt.NS("studio", "clock").Track("utc") {
			t.Errorf("request %T %v", req, sub)
			return
		}
		track, err := sub.Accept(nil)
		if err != nil {
			t.Error(err)
			return
		}
		g, err := track.OpenGroup(ctx, 1)
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(g, "2026-11-20T15:04:05Z")
		fmt.Fprint(g, "2026-11-20T15:04:06Z")
		g.Close()
		track.Close()
		<-sess.Context().Done()
	})
	code, stdout, stderr := command(t, "--tls-fingerprint", fingerprint, "--namespace", "studio/clock", "--track", "utc", url)
	if code != 0 || stdout != "2026-11-20T15:04:05Z\n2026-11-20T15:04:06Z\n" {
		t.Errorf("moq-clock = %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// The publisher connects again when the relay goes, and ends when it is refused.
func TestPublish(t *testing.T) {
	turns := make(chan int, 3)
	for i := range 3 {
		turns <- i
	}
	heard := make(chan string, 3)
	url, fingerprint := serve(t, func(ctx context.Context, sess *transport.Session) {
		req, err := sess.Accept(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		ann, ok := req.(*transport.AnnounceRequest)
		if !ok || ann.Namespace != moqt.NS("clock") {
			t.Errorf("request %T", req)
			return
		}
		if <-turns == 2 {
			ann.Reject(moqt.RequestUnauthorized, "no clocks here")
			<-sess.Context().Done()
			return
		}
		if err := ann.Accept(); err != nil {
			t.Error(err)
		}
		track, err := sess.Subscribe(ctx, moqt.NS("clock").Track("now"), nil)
		if err != nil {
			t.Error(err)
			return
		}
		for o, err := range track.Objects(ctx) {
			if err != nil {
				t.Error(err)
			}
			heard <- string(o.Payload)
			return // and the server closes the session
		}
	})
	code, stdout, stderr := command(t, "--publish", "--tls-fingerprint", fingerprint, url)
	if code != 1 || stdout != "" || stderr != "moq-clock: announce clock: request refused: UNAUTHORIZED: no clocks here\n" {
		t.Errorf("moq-clock --publish = %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if len(heard) != 2 {
		t.Errorf("%d sessions heard the clock, want 2", len(heard))
	}
	for range len(heard) {
		payload := <-heard
		if when, err := time.Parse(time.RFC3339, payload); err != nil || time.Since(when).Abs() > time.Minute {
			t.Errorf("the clock said %q at %v", payload, time.Now())
		}
	}
}

func TestMistakes(t *testing.T) {
	url, fingerprint := serve(t, func(ctx context.Context, sess *transport.Session) {
		for {
			req, err := sess.Accept(ctx)
			if err != nil {
				return
			}
			req.Reject(moqt.RequestDoesNotExist, "there is no clock")
		}
	})
	for _, tt := range []struct {
		name, args string
		code       int
		want       string
	}{
		{"no URL", "", 2, "URL is missing: moq-clock [flags] URL"},
		{"no namespace", "--namespace / " + url, 2, "--namespace: a clock needs one"},
		{"bad namespace", "--namespace a//b " + url, 2, "--namespace: "},
		{"wrong scheme", "http://localhost:1/", 2, "must begin with moqt:// (QUIC) or https://"},
		{"not trusted", url, 1, "name its root with --tls-root FILE"},
		{"not trusted by the publisher", "--publish " + url, 1, "name its root with --tls-root FILE"},
		{"refused", "--tls-fingerprint " + fingerprint + " " + url, 1, "moq-clock: subscribe to clock--now: request refused: DOES_NOT_EXIST: there is no clock; start a clock with moq-clock --publish " + url},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := command(t, strings.Fields(tt.args)...)
			if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("moq-clock = %d, stdout %q, stderr %q, want %d and one line with %q", code, stdout, stderr, tt.code, tt.want)
			}
		})
	}
}
