package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"

	"github.com/tributary-live/tributary/internal/netif"
	"github.com/tributary-live/tributary/pub/bond"
)

// follow gives b the paths whose interfaces can be used, as they come and go,
// until ctx ends. waits is told why each of the others cannot be used.
func (p paths) follow(ctx context.Context, b *bond.Bond, log *slog.Logger, waits func(map[string]string)) {
	f := follower{paths: p, log: log, waiting: make(map[string]string)}
	netif.Watch(ctx, func(list []netif.Interface) {
		gone, there := f.look(list)
		waits(f.waiting)
		for _, u := range gone {
			b.RemovePath(u.name)
		}
		for _, u := range there {
			b.AddPath(bond.Path{Name: u.name, Cost: u.cost, Cap: u.cap, URL: u.relay, ListenPacket: func(ctx context.Context) (net.PacketConn, error) {
				return netif.ListenPacket(ctx, u.iface)
			}})
		}
	})
}

// follower tells what becomes of the interfaces that paths need: of each that is
// missing one line, and one when it comes.
type follower struct {
	paths
	log     *slog.Logger
	have    []use
	waiting map[string]string // path: why it cannot be used, as was told; never changed
	none    bool              // it was told that there is no path at all
}

// look takes in what interfaces there are, and returns which of the paths are gone
// and which are there, new or not.
func (f *follower) look(list []netif.Interface) (gone, there []use) {
	there, _ = f.choose(list)
	for _, u := range f.have {
		if !slices.ContainsFunc(there, u.stays) {
			f.log.Info("interface gone", "path", u.name)
			gone = append(gone, u)
		}
	}
	f.have = there
	lacking := f.lacking(list)
	for _, s := range f.specs {
		was, why := f.waiting[s.name], lacking[s.name]
		switch {
		case why == "" && was != "":
			f.log.Info("interface there", "path", s.name)
		case why != was && why != "" && len(there) > 0: // else one line says it of all
			f.log.Warn("path waits for its interface", "path", s.name, "err", errors.New(why+"; "+thereIs(list)))
		}
	}
	f.waiting = lacking
	if none := len(there) == 0; none != f.none {
		if f.none = none; none {
			f.log.Warn("no path can be used; waiting for one", "err", f.hopeless(list))
		}
	}
	return gone, there
}

// lacking returns why each of the named paths cannot be used, of those that cannot.
func (f *follower) lacking(list []netif.Interface) map[string]string {
	lacking := make(map[string]string)
	for _, s := range f.specs {
		i := slices.IndexFunc(list, func(i netif.Interface) bool { return i.Name == s.iface })
		switch {
		case s.never:
		case i < 0:
			lacking[s.name] = s.iface + " is not there"
		default:
			if why := list[i].Insist(); why != "" {
				lacking[s.name] = s.iface + ": " + why
			}
		}
	}
	return lacking
}

// hopeless says why there is no path at all, and what to do about it.
func (f *follower) hopeless(list []netif.Interface) error {
	var why []string
	for _, s := range f.specs {
		if lack := f.waiting[s.name]; lack != "" {
			why = append(why, lack)
		}
	}
	if f.auto {
		why = append(why, "auto finds none that leads out")
	}
	return fmt.Errorf("%s; %s; plug in what is missing, or name another with --path (moq-pub paths says which are fit)",
		cmp.Or(strings.Join(why, ", "), "cost=never leaves none"), thereIs(list))
}

func thereIs(list []netif.Interface) string {
	names := make([]string, len(list))
	for i, n := range list {
		names[i] = n.String()
	}
	return "there is " + cmp.Or(strings.Join(names, ", "), "no interface at all")
}

// stays reports whether sockets of u are as good in what became of it: it is the
// same interface and has lost no address.
func (u use) stays(now use) bool {
	if u.name != now.name || u.netif.Index != now.netif.Index {
		return false
	}
	for _, a := range u.netif.Addrs {
		if !slices.Contains(now.netif.Addrs, a) {
			return false
		}
	}
	return true
}
