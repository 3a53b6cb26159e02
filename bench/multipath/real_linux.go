package multipath

import (
	"context"
	"net"
	"os"
	"time"

	"github.com/tributary-live/tributary/bench"
	"github.com/tributary-live/tributary/bench/lab"
	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/transport"
)

// real is a lab whose relay is a process.
type real struct {
	lab   *lab.Lab
	relay *bench.Process
}

func newReal(ctx context.Context, r bench.Relay) (*real, error) {
	l, err := lab.New()
	if err != nil {
		return nil, err
	}
	r.Bind, r.Within = "0.0.0.0", l.Relay.Do
	r.Dial = func(ctx context.Context, _, addr string) (net.Conn, error) {
		return l.Relay.DialTCP(ctx, addr, "", false)
	}
	p, err := bench.StartRelay(ctx, r)
	if err != nil {
		l.Close()
		return nil, err
	}
	return &real{l, p}, nil
}

func (g *real) plug(_ context.Context, name string, opts []netsim.Option) (link, error) {
	p, err := g.lab.AddPath(name, opts...)
	if err != nil {
		return nil, err
	}
	return realLink{p}, nil
}

func (g *real) url() string { return "moqt://" + net.JoinHostPort(lab.RelayAddr, g.port()) + "/" }

func (g *real) port() string {
	_, port, _ := net.SplitHostPort(g.relay.Addr())
	return port
}

func (g *real) near(ctx context.Context) (*transport.Session, error) {
	d := transport.Dialer{TLSConfig: trusting(), Config: &transport.Config{},
		ListenPacket: func(ctx context.Context) (net.PacketConn, error) {
			return g.lab.Relay.ListenUDP(ctx, "127.0.0.1:0", "")
		}}
	return d.Dial(ctx, "moqt://"+net.JoinHostPort("127.0.0.1", g.port())+"/")
}

func (g *real) cpu() time.Duration { return g.relay.CPU() }

func (g *real) held(ctx context.Context) (now, most int64, err error) {
	m, err := g.relay.Metrics(ctx)
	return int64(m["moq_relay_bond_held_bytes"]), int64(m["moq_relay_bond_held_bytes_most"]), err
}

// count counts what lives in the relay's process.
func (g *real) count(ctx context.Context) (census, error) {
	if err := g.relay.Collect(ctx); err != nil {
		return census{}, err
	}
	m, err := g.relay.Metrics(ctx)
	return census{int(m["go_goroutines"]), int64(m["go_memstats_heap_alloc_bytes"])}, err
}

func (g *real) rival(ctx context.Context, l link) (rival, error) {
	return newTCPRival(ctx, g.lab, l.(realLink).Path)
}

func (g *real) close() {
	g.relay.Close()
	g.lab.Close()
}

type realLink struct{ *lab.Path }

func (l realLink) listen(ctx context.Context) (net.PacketConn, error) { return l.Path.Listen(ctx) }
func (l realLink) sent() int64                                        { up, _ := l.Stats(); return up.SentBytes }
func (l realLink) unplug()                                            { l.Path.Close() }

// playReal plays s once in a lab.
func (c *Config) playReal(ctx context.Context, s *Scenario, p Peer, run uint64) (*Outcome, error) {
	g, err := newReal(ctx, c.Relay)
	if err != nil {
		return nil, err
	}
	defer g.close()
	var snd sender
	if p == MPTCP {
		snd, err = newMPTCP(ctx, s, g.lab)
	} else {
		snd, err = newSender(p, s, g)
	}
	if err != nil {
		return nil, err
	}
	return s.run(ctx, g, c.Traces, snd, run)
}

// root reports whether this process may make a lab.
func root() bool { return os.Getuid() == 0 }
