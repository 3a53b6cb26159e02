package bonds

import (
	"net/netip"
	"sync"

	"golang.org/x/time/rate"

	"github.com/tributary-live/tributary/transport"
)

// guard counts the joins that failed, by the address they came from.
type guard struct {
	burst int

	mu   sync.Mutex // guards what follows
	from map[netip.Prefix]*rate.Limiter
}

const (
	// forgivenAfter is in how many seconds one failure is forgotten.
	forgivenAfter = 6
	// maxGuarded is how many addresses are counted apart. What is beyond is one.
	maxGuarded = 4096
)

func (g *guard) init(burst int) {
	g.burst, g.from = burst, make(map[netip.Prefix]*rate.Limiter)
}

// mayTry reports whether a join from there is to be looked at.
func (g *guard) mayTry(from netip.Prefix) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.from[from]
	if l == nil && len(g.from) >= maxGuarded {
		l = g.from[netip.Prefix{}]
	}
	return l == nil || l.Tokens() >= 1
}

// failed notes that a join from there has failed.
func (g *guard) failed(from netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.from[from]
	if l == nil {
		if len(g.from) >= maxGuarded {
			g.forget()
		}
		if len(g.from) >= maxGuarded {
			from = netip.Prefix{}
		}
		if l = g.from[from]; l == nil {
			l = rate.NewLimiter(1./forgivenAfter, g.burst)
			g.from[from] = l
		}
	}
	l.Allow()
}

// forget drops the addresses all of whose failures are forgotten.
func (g *guard) forget() {
	for from, l := range g.from {
		if l.Tokens() >= float64(g.burst) {
			delete(g.from, from)
		}
	}
}

// source returns what failures of s are counted by: its address or, as one client
// of IPv6 has many, its network. It is the zero Prefix where there is no address.
func source(s *transport.Session) netip.Prefix {
	at, err := netip.ParseAddrPort(remote(s))
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := at.Addr().Unmap(), 64
	if addr.Is4() {
		bits = 32
	}
	p, _ := addr.Prefix(bits)
	return p
}

// remote is the address of the peer, "" if it has none.
func remote(s *transport.Session) string {
	if a := s.Info().RemoteAddr; a != nil {
		return a.String()
	}
	return ""
}
