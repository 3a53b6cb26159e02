package main

import (
	"strings"
	"testing"

	"github.com/tributary-live/tributary/internal/app"
)

// TestFlagsAreChecked has flags that would do harm later, if at all: the relay
// does not begin, and says which one it is.
func TestFlagsAreChecked(t *testing.T) {
	for _, tt := range []struct{ flag, value, want string }{
		{"--announce", "dir.example:4482", `--announce: "dir.example:4482": the URL must begin with moqt://`},
		{"--bond-url", "http://relay.example", `--bond-url: "http://relay.example": the URL must begin with moqt://`},
		{"--drain-to", "relay2", `--drain-to: "relay2": the URL must begin with moqt://`},
		{"--redirect", "a=relay2", `--redirect "a=relay2": "relay2": the URL must begin with moqt://`},
		{"--cache-age", "-1s", "--cache-age -1s: want no less than 0s"},
		{"--linger", "-1s", "--linger -1s: want no less than 0s"},
		{"--drain", "-1s", "--drain -1s: want no less than 0s"},
		{"--cache-bytes", "-1", "--cache-bytes -1: want no less than 0"},
	} {
		var stderr strings.Builder
		args := []string{"moq-relay", "--log-level", "off", "--dev", "--bind", "127.0.0.1:0", "--admin", "", tt.flag, tt.value}
		if code := app.Run(t.Context(), newApp(), args, &stderr); code != 2 || !strings.HasPrefix(stderr.String(), "moq-relay: "+tt.want) {
			t.Errorf("%s %s: exit %d and %q, want 2 and %q", tt.flag, tt.value, code, stderr.String(), tt.want)
		}
	}
}
