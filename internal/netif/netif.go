// Package netif lists the network interfaces that lead out of this machine, tells
// when they come and go, and opens sockets that send by one of them whatever the
// routes say.
package netif

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Kind is what an interface is, by its name: systems tell little else.
type Kind string

const (
	Wire     Kind = "wire"
	Radio    Kind = "wifi"
	USB      Kind = "usb"      // a phone, a stick, or an adapter
	Cellular Kind = "cellular" // a modem
	Virtual  Kind = "virtual"  // of this machine alone, or inside another interface
	Loopback Kind = "loopback"
	Unknown  Kind = "unknown"
)

// Interface is a network interface as it is now.
type Interface struct {
	Name  string
	Index int
	Kind  Kind
	Up    bool         // it is enabled and has a carrier
	Addrs []netip.Addr // without link-local ones, or those of the loopback
}

// Verdict returns "" if the interface may lead out, and otherwise why not.
func (i Interface) Verdict() string {
	switch {
	case i.Kind == Loopback:
		return "does not leave this machine"
	case i.Kind == Virtual:
		return "does not leave this machine by itself"
	case !i.Up:
		return "down, or no carrier"
	case len(i.Addrs) == 0:
		return "no address yet"
	}
	return ""
}

// Insist returns [Interface.Verdict] for who has named the interface: whether it
// leads out is then their affair.
func (i Interface) Insist() string {
	if i.Kind == Virtual || i.Kind == Loopback {
		i.Kind = Unknown
	}
	return i.Verdict()
}

// String returns the name, the state and the addresses.
func (i Interface) String() string {
	words := []string{i.Name, "down"}
	if i.Up {
		words[1] = "up"
	}
	for _, a := range i.Addrs {
		words = append(words, a.String())
	}
	return strings.Join(words, " ")
}

// List returns the interfaces, by kind and name.
func List() ([]Interface, error) {
	found, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var list []Interface
	for _, f := range found {
		i := Interface{Name: f.Name, Index: f.Index, Kind: KindOf(f.Name), Up: f.Flags&net.FlagUp != 0 && f.Flags&net.FlagRunning != 0}
		if f.Flags&net.FlagLoopback != 0 {
			i.Kind = Loopback
		}
		addrs, err := f.Addrs()
		if err != nil { // it has gone meanwhile
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && (p.Addr().IsGlobalUnicast() || p.Addr().IsLoopback()) {
				i.Addrs = append(i.Addrs, p.Addr())
			}
		}
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b Interface) int {
		return cmp.Or(cmp.Compare(rank[a.Kind], rank[b.Kind]), strings.Compare(a.Name, b.Name))
	})
	return list, nil
}

var rank = map[Kind]int{Wire: 0, Radio: 1, USB: 2, Cellular: 3, Unknown: 4, Virtual: 5, Loopback: 6}

// kinds are the beginnings of names, the first that fits: those of Linux, then of
// macOS and Windows.
var kinds = []struct {
	prefix string
	kind   Kind
}{
	{"enx", USB}, {"usb", USB}, {"rndis", USB},
	{"wwan", Cellular}, {"wwp", Cellular}, {"ppp", Cellular}, {"rmnet", Cellular}, {"ccmni", Cellular}, {"cdc-wdm", Cellular}, {"pdp_ip", Cellular},
	{"wlan", Radio}, {"wlp", Radio}, {"wlx", Radio}, {"wlo", Radio}, {"wl", Radio}, {"ath", Radio}, {"ra", Radio}, {"Wi-Fi", Radio}, {"WLAN", Radio},
	{"eth", Wire}, {"en", Wire}, {"em", Wire}, {"lan", Wire}, {"wan", Wire}, {"Ethernet", Wire},
	{"Cellular", Cellular}, {"Mobil", Cellular},
	{"docker", Virtual}, {"br-", Virtual}, {"bridge", Virtual}, {"virbr", Virtual}, {"veth", Virtual}, {"vmnet", Virtual}, {"vboxnet", Virtual},
	{"tun", Virtual}, {"tap", Virtual}, {"utun", Virtual}, {"wg", Virtual}, {"tailscale", Virtual}, {"zt", Virtual}, {"ipsec", Virtual},
	{"sit", Virtual}, {"gre", Virtual}, {"ip6", Virtual}, {"dummy", Virtual}, {"ifb", Virtual}, {"bond", Virtual}, {"cni", Virtual}, {"flannel", Virtual},
	{"awdl", Virtual}, {"llw", Virtual}, {"anpi", Virtual}, {"gif", Virtual}, {"stf", Virtual}, {"ap", Virtual}, {"vEthernet", Virtual}, {"Loopback", Loopback},
}

// KindOf returns what an interface of a name usually is.
func KindOf(name string) Kind {
	for _, k := range kinds {
		if strings.HasPrefix(name, k.prefix) {
			return k.kind
		}
	}
	return Unknown
}

// Watch calls changed with the interfaces as they are, and again whenever they
// are others, until ctx ends. The calls come one after another.
func Watch(ctx context.Context, changed func([]Interface)) {
	var last []Interface
	first := true
	watch(ctx, func() {
		list, err := List()
		if err != nil || !first && slices.EqualFunc(list, last, Interface.equal) {
			return
		}
		first, last = false, list
		changed(list)
	})
}

func (i Interface) equal(o Interface) bool {
	return i.Name == o.Name && i.Index == o.Index && i.Up == o.Up && slices.Equal(i.Addrs, o.Addrs)
}

// ListenPacket opens a UDP socket that sends and receives by the named interface
// alone, whatever the routes say.
func ListenPacket(ctx context.Context, name string) (net.PacketConn, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	return pinned(i).ListenPacket(ctx, "udp", ":0")
}
