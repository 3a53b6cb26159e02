package dir

import (
	"strings"
	"testing"

	"github.com/tributary-live/tributary/internal/live"
	"github.com/tributary-live/tributary/transport/moqt"
)

// The text of a listing, byte for byte: others read it.
func TestFormat(t *testing.T) {
	room := moqt.NS("room", "12345")
	names := []moqt.Namespace{
		moqt.NS("room", "12345", "zoë"),
		moqt.NS("room", "12345"),
		moqt.NS("room", "12345", "bob", "screen"),
		moqt.NS("room", "12345", "alice"),
		moqt.NS("room", "12345", "+a\n-b"),
	}
	for _, tt := range []struct {
		name   string
		prefix moqt.Namespace
		want   string
	}{
		{"prefix", room, "\n.2ba.0a.2db\nalice\nbob-screen\nzo.c3.ab\n"},
		{"everything", moqt.Namespace{}, "room-12345\nroom-12345-.2ba.0a.2db\nroom-12345-alice\nroom-12345-bob-screen\nroom-12345-zo.c3.ab\n"},
	} {
		if got := string(formatList(names, tt.prefix)); got != tt.want {
			t.Errorf("%s: formatList = %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := formatList(nil, room); got == nil || len(got) != 0 {
		t.Errorf("formatList of nothing = %q, want an object of no bytes", got)
	}

	objects, size := formatChanges([]live.Change{
		{Namespace: moqt.NS("room", "12345", "bob", "screen")},
		{Namespace: moqt.NS("room", "12345", "alice"), Gone: true},
		{Namespace: room, Gone: true},
	}, room)
	var got []string
	for _, o := range objects {
		got = append(got, string(o))
	}
	if want := "-|-alice|+bob-screen"; strings.Join(got, "|") != want || size != len(want)-2 {
		t.Errorf("formatChanges = %q, %d, want %q, %d", got, size, want, len(want)-2)
	}
}

func TestOutgrown(t *testing.T) {
	for _, tt := range []struct {
		list, changes int
		want          bool
	}{
		{0, 0, false},
		{0, minChanges, false},
		{0, minChanges + 1, true},
		{10 * minChanges, 10 * minChanges, false},
		{10 * minChanges, 10*minChanges + 1, true},
	} {
		if got := outgrown(tt.list, tt.changes); got != tt.want {
			t.Errorf("outgrown(%d, %d) = %v, want %v", tt.list, tt.changes, got, tt.want)
		}
	}
}
