package main

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/internal/netif"
	"github.com/tributary-live/tributary/pub/bond"
)

// TestPathsToThisMachine has relays that no network leads to.
func TestPathsToThisMachine(t *testing.T) {
	for _, tt := range []struct {
		paths []string
		relay string
		leads bool
	}{
		{[]string{"auto"}, "moqt://localhost:4443", false},
		{[]string{"auto", "usb0"}, "https://127.0.0.1:4443/", false},
		{[]string{"eth0"}, "moqt://[::1]:4443", false},
		{[]string{"one=lo", "eth0"}, "moqt://localhost:4443", true},
		{[]string{"eth0", "usb0,relay=moqt://r2.example"}, "moqt://localhost:4443", true},
		{[]string{"auto"}, "moqt://relay.example:4443", true},
		{[]string{"auto"}, "moqt://192.0.2.1:4443", true},
		{[]string{"auto"}, "moqt://[", true}, // whatever it is
	} {
		p, err := parsePaths(tt.paths)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.lead(tt.relay); (err == nil) != tt.leads {
			t.Errorf("paths %v to %s: %v, want that they can lead there: %v", tt.paths, tt.relay, err, tt.leads)
		}
	}
}

func TestParsePaths(t *testing.T) {
	same := func(name string) pathSpec { return pathSpec{name: name, iface: name} }
	for _, c := range []struct {
		values []string
		want   paths
	}{
		{[]string{"auto"}, paths{auto: true}},
		{[]string{"wlan0,usb0,eth0"}, paths{specs: []pathSpec{same("wlan0"), same("usb0"), same("eth0")}}},
		{[]string{"wlan0", "usb0,cost=backup"}, paths{specs: []pathSpec{same("wlan0"), {name: "usb0", iface: "usb0", cost: bond.Backup}}}},
		{[]string{"phone=usb0,cost=secondary,cap=5Mbit"}, paths{specs: []pathSpec{{name: "phone", iface: "usb0", cost: bond.Secondary, cap: 5_000_000}}}},
		{[]string{"auto", "eth0,cost=never"}, paths{auto: true, specs: []pathSpec{{name: "eth0", iface: "eth0", cost: bond.Backup, never: true}}}},
		{[]string{"usb0,cap=800kbit"}, paths{specs: []pathSpec{{name: "usb0", iface: "usb0", cap: 800_000}}}},
		{[]string{"usb0,cap=5Mbit/s"}, paths{specs: []pathSpec{{name: "usb0", iface: "usb0", cap: 5_000_000}}}},
		{[]string{"usb0,cap=2.5mbit"}, paths{specs: []pathSpec{{name: "usb0", iface: "usb0", cap: 2_500_000}}}},
		{[]string{"wlan0", "usb0,relay=moqt://relay2.example:4443"}, paths{specs: []pathSpec{same("wlan0"), {name: "usb0", iface: "usb0", relay: "moqt://relay2.example:4443"}}}},
		{[]string{"usb0,relay=https://relay2.example/?a=b"}, paths{specs: []pathSpec{{name: "usb0", iface: "usb0", relay: "https://relay2.example/?a=b"}}}},
		{[]string{"usb0,relay=moqt://relay2.example:4443,cost=backup,cap=1Mbit"}, paths{specs: []pathSpec{{name: "usb0", iface: "usb0", cost: bond.Backup, cap: 1_000_000, relay: "moqt://relay2.example:4443"}}}},
		{[]string{"usb0,cap=64000"}, paths{specs: []pathSpec{{name: "usb0", iface: "usb0", cap: 64_000}}}},
	} {
		if got, err := parsePaths(c.values); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("parsePaths(%q) = %+v, %v, want %+v", c.values, got, err, c.want)
		}
	}
	for value, text := range map[string]string{
		"":                          "missing",
		"wlan0,":                    "missing",
		"a=":                        "missing",
		"cost=backup":               "names no interface",
		"usb0,cost=cheap":           "none of primary",
		"usb0,cap=5":                "5 bit/s, too few",
		"usb0,cost=never":           "leaves no path",
		"usb0,cap=fast":             "no rate",
		"usb0,cap=-1Mbit":           "no rate",
		"usb0,cap=NaN":              "no rate",
		"usb0,cap=1e300gbit":        "no rate",
		"usb0,cost=backup,wlan0":    "behind an option",
		"wlan0,phone=usb0":          "alone in its --path",
		"usb0,cap=1mbit,cap=2mbit":  "cap= is there twice",
		",usb0":                     "missing",
		"usb0,,cost=backup":         "missing",
		"=usb0":                     "missing",
		"phone=auto":                "takes no options",
		"auto,cost=backup":          "takes no options",
		"net=auto":                  "takes no options",
		"wlan0,wlan0":               "two paths",
		"bell\a=usb0":               "printable",
		strings.Repeat("x", 65):     "printable",
		"phone=usb0,speed=5Mbit":    "none of the options cost=, cap= and relay=",
		"usb0,relay=relay2.example": "the URL must begin with moqt:// (QUIC)",
		"usb0,relay=http://relay2":  "the URL must begin with moqt:// (QUIC)",
		"phone=usb0,cost=primary,":  "missing",
	} {
		if got, err := parsePaths([]string{value}); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("parsePaths(%q) = %+v, %v, want an error with %q", value, got, err, text)
		}
	}
}

// machine is one with something of everything.
func machine() []netif.Interface {
	addr := func(s string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(s)} }
	return []netif.Interface{
		{Name: "eth0", Index: 2, Kind: netif.Wire, Up: true, Addrs: addr("192.0.2.10")},
		{Name: "wlan0", Index: 3, Kind: netif.Radio, Up: true, Addrs: addr("2001:db8::7")},
		{Name: "usb0", Index: 5, Kind: netif.USB, Up: true, Addrs: addr("198.51.100.3")},
		{Name: "wwan0", Index: 6, Kind: netif.Cellular, Up: true},
		{Name: "wwan1", Index: 7, Kind: netif.Cellular},
		{Name: "starlink0", Index: 8, Kind: netif.Unknown, Up: true, Addrs: addr("203.0.113.9")},
		{Name: "docker0", Index: 4, Kind: netif.Virtual, Up: true, Addrs: addr("172.17.0.1")},
		{Name: "lo", Index: 1, Kind: netif.Loopback, Up: true, Addrs: addr("127.0.0.1")},
	}
}

func TestPathsArePrinted(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   string
	}{
		{[]string{"auto"}, `
INTERFACE  KIND      STATE  ADDRESS       RATE      VERDICT
eth0       wire      up     192.0.2.10    1 Gbit/s  used, primary
wlan0      wifi      up     2001:db8::7   -         used, primary
usb0       usb       up     198.51.100.3  -         used, primary
wwan0      cellular  up     -             -         not used: no address yet
wwan1      cellular  down   -             -         not used: down, or no carrier
starlink0  unknown   up     203.0.113.9   -         used, primary
docker0    virtual   up     172.17.0.1    -         not used: does not leave this machine by itself
lo         loopback  up     127.0.0.1     -         not used: does not leave this machine
`},
		{[]string{"auto", "eth0,cost=never", "phone=usb0,cost=backup,cap=2.5Mbit", "docker0", "usb7"}, `
INTERFACE  KIND      STATE   ADDRESS       RATE      VERDICT
eth0       wire      up      192.0.2.10    1 Gbit/s  not used: cost=never
wlan0      wifi      up      2001:db8::7   -         used, primary
usb0       usb       up      198.51.100.3  -         used, backup, as phone, at most 2.5 Mbit/s
wwan0      cellular  up      -             -         not used: no address yet
wwan1      cellular  down    -             -         not used: down, or no carrier
starlink0  unknown   up      203.0.113.9   -         used, primary
docker0    virtual   up      172.17.0.1    -         used, primary
lo         loopback  up      127.0.0.1     -         not used: does not leave this machine
usb7       usb       absent  -             -         waited for
`},
		{[]string{"wlan0"}, `
INTERFACE  KIND      STATE  ADDRESS       RATE      VERDICT
eth0       wire      up     192.0.2.10    1 Gbit/s  not used: not named by --path
wlan0      wifi      up     2001:db8::7   -         used, primary
usb0       usb       up     198.51.100.3  -         not used: not named by --path
wwan0      cellular  up     -             -         not used: no address yet
wwan1      cellular  down   -             -         not used: down, or no carrier
starlink0  unknown   up     203.0.113.9   -         not used: not named by --path
docker0    virtual   up     172.17.0.1    -         not used: does not leave this machine by itself
lo         loopback  up     127.0.0.1     -         not used: does not leave this machine
`},
	} {
		p, err := parsePaths(c.values)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		p.print(&out, machine(), func(name string) int64 {
			if name == "eth0" {
				return 1e9
			}
			return 0
		})
		if got := "\n" + out.String(); got != c.want {
			t.Errorf("--path %q prints%s\nwant%s", c.values, got, c.want)
		}
	}
}

func TestPathsAsJSON(t *testing.T) {
	p, err := parsePaths([]string{"phone=usb0,cost=backup", "other=usb0", "usb7"})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	all := machine()
	if err := p.printJSON(&out, []netif.Interface{all[0], all[2], all[4]}, func(name string) int64 { return map[string]int64{"eth0": 1e9}[name] }); err != nil {
		t.Fatal(err)
	}
	want := `{"interface":"eth0","kind":"wire","state":"up","addresses":["192.0.2.10"],"rate":1000000000,"used":false,"verdict":"not used: not named by --path"}
{"interface":"usb0","kind":"usb","state":"up","addresses":["198.51.100.3"],"used":true,"paths":["phone","other"],"verdict":"used, backup, as phone; primary, as other"}
{"interface":"wwan1","kind":"cellular","state":"down","addresses":[],"used":false,"verdict":"not used: down, or no carrier"}
{"interface":"usb7","kind":"usb","state":"absent","addresses":[],"used":false,"verdict":"waited for"}
`
	if got := out.String(); got != want {
		t.Errorf("it prints\n%swant\n%s", got, want)
	}
}

func TestUseStays(t *testing.T) {
	i := machine()[0]
	u := use{pathSpec{name: "eth0", iface: "eth0"}, i}
	more := i
	more.Addrs = append([]netip.Addr{netip.MustParseAddr("2001:db8::1")}, i.Addrs...)
	other := i
	other.Addrs = []netip.Addr{netip.MustParseAddr("192.0.2.11")}
	again := i
	again.Index = 9
	for _, c := range []struct {
		name string
		now  netif.Interface
		want bool
	}{{"the same", i, true}, {"an address more", more, true}, {"another address", other, false}, {"plugged in again", again, false}} {
		if got := u.stays(use{u.pathSpec, c.now}); got != c.want {
			t.Errorf("%s: stays is %v, want %v", c.name, got, c.want)
		}
	}
}
