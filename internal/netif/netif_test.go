package netif

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestKinds(t *testing.T) {
	for name, want := range map[string]Kind{
		"eth0": Wire, "enp3s0": Wire, "eno1": Wire, "en0": Wire, "enx0c5b8f279a64": USB, "usb0": USB,
		"wlan0": Radio, "wlp2s0": Radio, "wwan0": Cellular, "wwp0s20f0u4": Cellular, "ppp0": Cellular,
		"docker0": Virtual, "br-3fa0": Virtual, "veth12ab": Virtual, "wg0": Virtual, "tun0": Virtual, "utun3": Virtual,
		"bridge0": Virtual, "awdl0": Virtual, "Wi-Fi 2": Radio, "Ethernet": Wire, "starlink0": Unknown,
	} {
		if got := KindOf(name); got != want {
			t.Errorf("KindOf(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestVerdict(t *testing.T) {
	addr := []netip.Addr{netip.MustParseAddr("192.0.2.7")}
	for _, c := range []struct {
		i    Interface
		used bool
	}{
		{Interface{Kind: Wire, Up: true, Addrs: addr}, true},
		{Interface{Kind: Unknown, Up: true, Addrs: addr}, true},
		{Interface{Kind: Wire, Up: false, Addrs: addr}, false},
		{Interface{Kind: Wire, Up: true}, false},
		{Interface{Kind: Virtual, Up: true, Addrs: addr}, false},
		{Interface{Kind: Loopback, Up: true, Addrs: addr}, false},
	} {
		if v := c.i.Verdict(); (v == "") != c.used {
			t.Errorf("%+v: verdict %q, want used %v", c.i, v, c.used)
		}
		if v := c.i.Insist(); (v == "") != (c.i.Up && len(c.i.Addrs) > 0) {
			t.Errorf("%+v: verdict %q where it is named", c.i, v)
		}
	}
}

func TestString(t *testing.T) {
	i := Interface{Name: "usb0", Up: true, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}}
	if got, want := i.String(), "usb0 up 192.0.2.7 2001:db8::7"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if got, want := (Interface{Name: "wwan0"}).String(), "wwan0 down"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

func TestListLeavesOutLinkLocal(t *testing.T) {
	list, err := List()
	if err != nil {
		t.Fatal(err)
	}
	loopback := false
	for _, i := range list {
		for _, a := range i.Addrs {
			if a.IsLinkLocalUnicast() {
				t.Errorf("%s is listed with %v", i.Name, a)
			}
			loopback = loopback || a.IsLoopback() && i.Kind == Loopback
		}
	}
	if !loopback {
		t.Errorf("no loopback among %v", list)
	}
}

func TestWatchTellsWhatThereIs(t *testing.T) {
	want, err := List()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan []Interface, 8)
	done := make(chan struct{})
	go func() {
		defer close(done)
		Watch(ctx, func(list []Interface) { got <- list })
	}()
	if list := <-got; len(list) != len(want) {
		t.Errorf("Watch tells %d interfaces, List %d", len(list), len(want))
	}
	cancel()
	<-done
}

// TestPinned sends over the loopback, which every machine has, by a socket that
// is bound to it; and fails where the interface does not exist.
func TestPinned(t *testing.T) {
	ifs, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	name := ""
	for _, i := range ifs {
		if i.Flags&net.FlagLoopback != 0 && i.Flags&net.FlagUp != 0 {
			name = i.Name
		}
	}
	if name == "" {
		t.Skip("no loopback interface is up")
	}
	c, err := ListenPacket(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if _, err := c.WriteTo([]byte("x"), server.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	server.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, _, err := server.ReadFrom(make([]byte, 8)); err != nil {
		t.Errorf("nothing came by the socket: %v", err)
	}
	if c, err := ListenPacket(t.Context(), "no-such-interface"); err == nil {
		c.Close()
		t.Error("a socket was bound to an interface that does not exist")
	}
}
