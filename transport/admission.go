package transport

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"
)

// Admission bounds how many connections a [Listener] takes in a second: a
// handshake costs about a millisecond of a processor, for which a subscriber
// that is there could be sent twenty objects. Who comes above the bound is
// refused with QUIC's CONNECTION_REFUSED before anything of TLS is computed, and
// may try again; [Dialer] returns [ErrBusy].
type Admission struct {
	// Rate is how many connections a second are taken in all; as many may come at
	// once. If zero, it is 300; less than 0 is no bound.
	Rate int
	// AddressRate is how many a second are taken from one address, or from one /64
	// of IPv6; four times as many may come at once. If zero, it is 30; less than 0
	// is no bound.
	AddressRate int
}

// ErrBusy is in the error of a dial to a server that takes no more connections
// now. It may be tried again after a second or some, at random.
var ErrBusy = errors.New("try again in some seconds")

// AdmissionStats counts what became of those who wanted to connect. What was not let
// in is counted by packets, of which one try makes up to three.
type AdmissionStats struct {
	Taken          uint64 // handshakes begun
	Proven         uint64 // were told to show first that they receive at their address
	Refused        uint64 // beyond Admission.Rate
	RefusedAddress uint64 // beyond Admission.AddressRate
}

func (s *AdmissionStats) add(o AdmissionStats) {
	s.Taken += o.Taken
	s.Proven += o.Proven
	s.Refused += o.Refused
	s.RefusedAddress += o.RefusedAddress
}

const (
	// handshakeRate is how many handshakes a second are begun with clients that
	// have not shown that they receive at their address; above it, they first
	// have to (RFC 9000, "Address Validation Using Retry Packets").
	handshakeRate = 200
	// addressBurst is how many seconds' worth of AddressRate may come at once.
	addressBurst = 4
	// maxCounted bounds the addresses that are counted at once. It is reached
	// only without Admission.Rate.
	maxCounted = 16384
)

// door decides who may begin a handshake. Its methods may be called
// concurrently.
type door struct {
	all       *rate.Limiter // nil without bound
	unproven  *rate.Limiter
	perSecond int // of one address, 0 without bound

	taken, proven, refused, refusedAddress atomic.Uint64

	mu        sync.Mutex // guards what follows
	addresses map[netip.Prefix]*rate.Limiter
	swept     time.Time // when room was made last
}

func newDoor(a Admission) *door {
	d := &door{unproven: rate.NewLimiter(handshakeRate, handshakeRate), addresses: make(map[netip.Prefix]*rate.Limiter)}
	if n := or(a.Rate, 300); n > 0 {
		d.all = rate.NewLimiter(rate.Limit(n), n)
	}
	d.perSecond = max(0, or(a.AddressRate, 30))
	return d
}

// doubts reports whether addr has to show first that it receives there: when
// many come who have not, and when the share of addr is half used up, so that
// nobody else can use up the rest.
func (d *door) doubts(addr net.Addr) bool {
	now := time.Now()
	if l := d.limiter(addr); l != nil && l.TokensAt(now) < float64(l.Burst())/2 || !d.unproven.AllowN(now, 1) {
		d.proven.Add(1)
		return true
	}
	return false
}

// admit reports whether a handshake with addr may begin.
func (d *door) admit(addr net.Addr) bool {
	now := time.Now()
	l := d.limiter(addr)
	if l != nil && l.TokensAt(now) < 1 {
		d.refusedAddress.Add(1)
		return false
	}
	if d.all != nil && !d.all.AllowN(now, 1) {
		d.refused.Add(1)
		return false
	}
	if l != nil { // last, so that nobody pays for the others
		l.AllowN(now, 1)
	}
	d.taken.Add(1)
	return true
}

// limiter returns what counts the handshakes of addr, or nil if nothing does.
func (d *door) limiter(addr net.Addr) *rate.Limiter {
	udp, ok := addr.(*net.UDPAddr)
	if !ok || d.perSecond == 0 {
		return nil
	}
	ip := udp.AddrPort().Addr().Unmap()
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	key, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	l := d.addresses[key]
	if l == nil && d.roomLocked() {
		l = rate.NewLimiter(rate.Limit(d.perSecond), addressBurst*d.perSecond)
		d.addresses[key] = l
	}
	return l
}

// roomLocked makes room for an address, in place of those that have all of their
// share, once a second, and reports whether there is some.
func (d *door) roomLocked() bool {
	if len(d.addresses) < maxCounted {
		return true
	}
	now := time.Now()
	if now.Sub(d.swept) < time.Second {
		return false
	}
	d.swept = now
	for key, l := range d.addresses {
		if l.TokensAt(now) >= float64(l.Burst()) {
			delete(d.addresses, key)
		}
	}
	return len(d.addresses) < maxCounted
}

func (d *door) stats() AdmissionStats {
	return AdmissionStats{Taken: d.taken.Load(), Proven: d.proven.Load(), Refused: d.refused.Load(), RefusedAddress: d.refusedAddress.Load()}
}

// errRefused has QUIC refuse a connection.
var errRefused = errors.New("moqt: no more connections now")

// guarded returns c with the door before it.
func (d *door) guarded(c *quic.Config) *quic.Config {
	inner := c.GetConfigForClient
	c = c.Clone()
	c.GetConfigForClient = func(info *quic.ClientInfo) (*quic.Config, error) {
		if !d.admit(info.RemoteAddr) {
			return nil, errRefused
		}
		if inner != nil {
			return inner(info)
		}
		return c, nil
	}
	return c
}
