package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport"
)

func TestParseRelays(t *testing.T) {
	const a, b = "moqt://a:1", "moqt://b:2"
	for _, tt := range []struct {
		args        []string
		track, want string // part of the error
	}{
		{[]string{a}, "", ""},
		{[]string{a, b}, "", ""},
		{[]string{a + "#msf:room-camera--catalog", b}, "catalog", ""},
		{[]string{a + "#msf:room-camera--catalog", b + "#msf:room-camera--catalog"}, "catalog", ""},
		{[]string{a, b + "#msf:room-camera--catalog"}, "", "names another broadcast than " + a},
		{[]string{a, b + "#msf"}, "", "has no type"},
		{[]string{a, "--json"}, "", "--json stands after " + a + ": flags go first"},
	} {
		r, track, err := parseRelays(tt.args)
		switch {
		case tt.want != "":
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("parseRelays(%q) = %v, want %q", tt.args, err, tt.want)
			}
		case err != nil || len(r.list) != len(tt.args) || track.Name != tt.track:
			t.Errorf("parseRelays(%q) = %+v, %v, %v, want track %q", tt.args, r, track, err, tt.track)
		}
	}
}

// Each attempt goes on behind the relay that was reached last, and asks each once.
func TestRelaysInTurn(t *testing.T) {
	r, _, err := parseRelays([]string{"moqt://a", "moqt://b", "moqt://c"})
	if err != nil {
		t.Fatal(err)
	}
	var asked, down string
	r.open = func(_ context.Context, url string) (*transport.Session, error) {
		name := strings.TrimPrefix(url, "moqt://")
		asked += name
		if strings.Contains(down, name) {
			return nil, errors.New("refused")
		}
		return nil, nil
	}
	for _, tt := range []struct {
		down, asked string
		fails       bool
	}{{"", "a", false}, {"bc", "bca", false}, {"", "b", false}, {"abc", "cab", true}, {"", "c", false}} {
		asked, down = "", tt.down
		_, err := r.dial(t.Context())
		if asked != tt.asked || (err != nil) != tt.fails {
			t.Errorf("with %q down asked %q, %v, want %q", tt.down, asked, err, tt.asked)
		}
		if err != nil && !strings.Contains(err.Error(), "moqt://a: refused") {
			t.Errorf("dial() = %v, want it to say of which relay", err)
		}
	}
	if _, err := r.dialTo(t.Context(), "moqt://d"); err != nil || !strings.HasSuffix(asked, "d") {
		t.Errorf("dialTo() = %v, asked %q", err, asked)
	}
}
