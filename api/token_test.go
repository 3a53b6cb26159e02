package api_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/api"
)

func TestReadTokens(t *testing.T) {
	one, two := strings.Repeat("a", 16), strings.Repeat("b", 40)
	for _, tt := range []struct {
		text string
		want []string
		err  string
	}{
		{one, []string{one}, ""},
		{"# comment\n\n  " + one + " \r\n" + two + "\n", []string{one, two}, ""},
		{"", nil, "no token"},
		{"# none\n", nil, "no token"},
		{one + "\nshort\n", nil, "line 2"},
		{one + " " + two, nil, "line 1"},
		{strings.Repeat("x", 1<<20), nil, "too long"},
	} {
		path := filepath.Join(t.TempDir(), "tokens")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := api.ReadTokens(path)
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.err == "") || err != nil && (!strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), one)) {
			t.Errorf("ReadTokens(%.60q) = %v, %v, want %v, %q", tt.text, got, err, tt.want, tt.err)
		}
	}
	if _, err := api.ReadTokens("/nonexistent"); err == nil {
		t.Error("ReadTokens of no file = nil error")
	}
}
