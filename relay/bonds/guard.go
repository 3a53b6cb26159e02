package bonds

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tributary-live/tributary/transport"
)

// guard counts the joins that failed, by the address they came from.
type guard struct {
	burst int

	mu    sync.Mutex // guards what follows
	from  map[netip.Prefix]*rate.Limiter
	swept time.Time // when forget last looked
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

// forget drops the addresses all of whose failures are forgotten. It looks once a
// second at most.
func (g *guard) forget() {
	now := time.Now()
	if now.Sub(g.swept) < time.Second {
		return
	}
	g.swept = now
	for from, l := range g.from {
		if l.Tokens() >= float64(g.burst) {
			delete(g.from, from)
		}
	}
}

// network is what failures from an address are counted by: the address or, as one
// client of IPv6 has many, its network. It is the zero Prefix where there is none.
func network(addr string) netip.Prefix {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := at.Addr().Unmap(), 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.Prefix(bits)
	return p
}

// remote is the address of the peer, "" if it has none.
func remote(s *transport.Session) string {
	if a := s.Info().RemoteAddr; a != nil {
		return a.String()
	}
	return ""
}
