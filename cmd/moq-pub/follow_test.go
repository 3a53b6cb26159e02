package main

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/internal/netif"
)

// look runs a follower over lists of interfaces and returns what it logs for each.
func look(t *testing.T, values []string, lists ...[]netif.Interface) (lines []string) {
	t.Helper()
	p, err := parsePaths(values)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	f := follower{paths: p, log: log, waiting: make(map[string]string)}
	for _, list := range lists {
		out.Reset()
		f.look(list)
		lines = append(lines, out.String())
	}
	return lines
}

// TestMissingInterfaceIsTold waits for an interface that is not there, and for one
// that has no address: a line says what is missing and what there is, once, and
// another says that it has come.
func TestMissingInterfaceIsTold(t *testing.T) {
	all := machine()
	eth, lo, wwan := all[0], all[7], all[3]
	usb := all[2]
	const there = "there is eth0 up 192.0.2.10, wwan0 up, lo up 127.0.0.1"
	none := []netif.Interface{eth, wwan, lo}
	for _, c := range []struct {
		name   string
		values []string
		lists  [][]netif.Interface
		want   []string
	}{
		{
			"none at the start, and it comes", []string{"usb0"}, [][]netif.Interface{none, none, {eth, usb, wwan, lo}},
			[]string{
				`level=WARN msg="no path can be used; waiting for one" err="usb0 is not there; ` + there + `; plug in what is missing, or name another with --path (moq-pub paths says which are fit)"` + "\n",
				"",
				`level=INFO msg="interface there" path=usb0` + "\n",
			},
		},
		{
			"one of two", []string{"eth0", "phone=usb0"}, [][]netif.Interface{none, none, {eth, usb, wwan, lo}, none},
			[]string{
				`level=WARN msg="path waits for its interface" path=phone err="usb0 is not there; ` + there + `"` + "\n",
				"",
				`level=INFO msg="interface there" path=phone` + "\n",
				`level=INFO msg="interface gone" path=phone` + "\n" +
					`level=WARN msg="path waits for its interface" path=phone err="usb0 is not there; ` + there + `"` + "\n",
			},
		},
		{
			"without an address", []string{"eth0,wwan0"}, [][]netif.Interface{none},
			[]string{`level=WARN msg="path waits for its interface" path=wwan0 err="wwan0: no address yet; ` + there + `"` + "\n"},
		},
		{
			"nothing for auto", []string{"auto"}, [][]netif.Interface{{lo}, {}, {eth, lo}},
			[]string{
				`level=WARN msg="no path can be used; waiting for one" err="auto finds none that leads out; there is lo up 127.0.0.1; plug in what is missing, or name another with --path (moq-pub paths says which are fit)"` + "\n",
				"", "",
			},
		},
		{
			"the loopback, by name", []string{"lo"}, [][]netif.Interface{none}, []string{""},
		},
		{
			"never is not waited for", []string{"auto", "usb0,cost=never"}, [][]netif.Interface{none}, []string{""},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i, got := range look(t, c.values, c.lists...) {
				if got != c.want[i] {
					t.Errorf("at step %d it logs\n%swant\n%s", i, got, c.want[i])
				}
			}
		})
	}
}

// TestPathsComeAndGo follows a stick that is pulled and comes back with another
// address.
func TestPathsComeAndGo(t *testing.T) {
	all := machine()
	eth, usb := all[0], all[2]
	other := usb
	other.Addrs = eth.Addrs
	f := follower{paths: paths{auto: true}, log: slog.New(slog.DiscardHandler), waiting: make(map[string]string)}
	names := func(uses []use) (names string) {
		for _, u := range uses {
			names += u.name + " "
		}
		return names
	}
	for i, c := range []struct {
		list        []netif.Interface
		gone, there string
	}{
		{[]netif.Interface{eth, usb}, "", "eth0 usb0 "},
		{[]netif.Interface{eth}, "usb0 ", "eth0 "},
		{[]netif.Interface{eth, usb}, "", "eth0 usb0 "},
		{[]netif.Interface{eth, other}, "usb0 ", "eth0 usb0 "},
		{nil, "eth0 usb0 ", ""},
	} {
		if gone, there := f.look(c.list); names(gone) != c.gone || names(there) != c.there {
			t.Errorf("step %d: gone %q, there %q; want %q and %q", i, names(gone), names(there), c.gone, c.there)
		}
	}
}
