package multipath

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
	"github.com/tributary-live/tributary/pub/bond"
	"github.com/tributary-live/tributary/transport"
	wire "github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/bond/bondtest"
)

// hostiles are what a relay and a bond must stand, from strangers and from one of
// the bond's own connections.
func hostiles() []*Scenario {
	hostile := func(number, name string, l []Link, do attack, judge func(*judgement) []row) *Scenario {
		return &Scenario{Number: number, Name: "hostile-" + name, Links: l, Load: Load{Bitrate: 4, Audio: true}, Mode: bond.Hybrid,
			Length: 20 * time.Second, From: 3 * time.Second, Simulated: true, Attack: do,
			judge: func(j *judgement) []row { return append(judge(j), j.unharmed()...) }}
	}
	two := slices.Clip(links(10, 50*ms, 10, 50*ms))
	// The bad link carries its share, or what is sent over it is the attack's alone.
	bad := Link{Name: "bad0", Rate: 10, RTT: 50 * ms}
	idle := Link{Name: "bad0", Rate: 50, RTT: 20 * ms, Cost: wire.Backup}
	strangers := func(j *judgement) []row {
		r := j.told("joins that succeeded", "", j.worst(joined, highest), atMost(0, 0))
		r.Note = fmt.Sprintf("of %.0f in each run", j.median(Bond, tried))
		return []row{r}
	}
	contradiction := hostile("13e", "contradiction", append(two, bad), contradict, func(j *judgement) []row {
		return []row{
			j.row("contradictions after which the path is cut off", "%", cutOff, lowest, atLeast(90, 50)),
			j.told("other paths cut off", "", j.worst(unjust, highest), atMost(0, 0)),
		}
	})
	contradiction.Load.Bitrate = 8 // key frames take their time
	flood := hostile("13d", "half-objects", append(two, idle), halfObjects, func(j *judgement) []row {
		return []row{
			j.row("half objects sent", "", tried, lowest, atLeast(halves, halves/2)),
			j.told("most ever held by the relay", "MiB", j.worst(heldMost, highest), atMost(32, 33)),
		}
	})
	flood.Long = true
	return []*Scenario{
		hostile("13b", "wrong-proof", two, joins(forged), strangers),
		hostile("13c", "replayed-join", two, joins(replayed), strangers),
		flood, contradiction,
		hostile("13f", "member-turned-bad", append(two, bad), turnBad, func(j *judgement) []row {
			return []row{
				j.told("other paths cut off", "", j.worst(unjust, highest), atMost(0, 0)),
				j.told("most ever held by the relay", "MiB", j.worst(heldMost, highest), atMost(32, 33)),
			}
		}),
	}
}

// unharmed are the rows of a load that is not to notice.
func (j *judgement) unharmed() []row {
	return []row{
		j.row("objects lost", "", lost, highest, atMost(0, 1)),
		j.row("late@1000", "%", late1000, highest, atMost(0, 1)),
	}
}

func tried(o *Outcome) float64  { return float64(o.Harm.tried) }
func joined(o *Outcome) float64 { return float64(o.Harm.joined) }
func unjust(o *Outcome) float64 { return float64(o.Harm.unjust) }
func cutOff(o *Outcome) float64 { return percent(o.Harm.putOut, o.Harm.tried) }

// strangers is how many try to join, each at an address of its own, as the relay
// does not look at many of one.
const strangers = 40

// joins has strangers ask to join the bond with what forge makes of a proof that
// was overheard.
func joins(forge func(i int, heard *wire.Join, m *bondtest.Member) (*wire.Join, error)) attack {
	return func(ctx context.Context, a *assault) error {
		if err := a.from(ctx, 3*time.Second); err != nil {
			return err
		}
		heard, err := a.ground.ear.join()
		if err != nil {
			return err
		}
		for i := range strangers {
			m := bondtest.New(heard.Member)
			d := transport.Dialer{TLSConfig: trusting(), ListenPacket: a.ground.listen, Config: &transport.Config{Extensions: []transport.Extension{m.Extension()}}}
			if m.Session, err = d.Dial(ctx, a.ground.url()); err != nil {
				return err
			}
			defer m.Session.Close() // at the end, so that nobody gets its address
			j, err := forge(i, heard, m)
			if err != nil {
				return err
			}
			_, answer, err := m.Ask(ctx, j)
			if err != nil {
				return fmt.Errorf("stranger %d: %w", i, err)
			}
			_, in := answer.(*wire.Joined)
			a.count(1, one(in))
			if err := pause(ctx, 100*ms); err != nil {
				return err
			}
		}
		return nil
	}
}

// forged has no secret of the bond, but all else that there is to know.
func forged(i int, heard *wire.Join, m *bondtest.Member) (*wire.Join, error) {
	_, secret := wire.NewBond()
	m.Number = heard.Member + 1000 + uint64(i) // nobody has used it
	j, err := m.Proof(&wire.Joined{Bond: heard.Bond, Secret: secret})
	if err != nil {
		return nil, err
	}
	switch i % 4 {
	case 0:
		clear(j.Proof)
	case 1:
		rand.Read(j.Proof)
	case 2:
		j.Proof = bytes.Clone(heard.Proof)
		j.Proof[0]++
	}
	return j, nil // or made with another secret
}

// replayed says what another connection has said, as that or as a new one.
func replayed(i int, heard *wire.Join, _ *bondtest.Member) (*wire.Join, error) {
	j := *heard
	if i%2 == 1 {
		j.Member += 1000 + uint64(i)
	}
	return &j, nil
}

// halves is how many objects are sent of which the rest never comes.
const halves = 100_000

// halfObject sends a few bytes of each page of an object that claims four.
func halfObject(ctx context.Context, s *transport.Session, i int, group uint64) error {
	const page, pages = 16 << 10, 4
	h := pictureHeader(group, 1000+uint64(i), page*pages)
	h.Subgroup = uint64(i % 3)
	var c [pages]wire.Chunk
	for n := range c {
		c[n] = wire.Chunk{Offset: int64(n * page), Bytes: []byte("half an object")}
	}
	return chunks(ctx, s, h, c[:]...)
}

func halfObjects(ctx context.Context, a *assault) error {
	if err := a.from(ctx, 4*time.Second); err != nil {
		return err
	}
	for i := range halves {
		s, err := a.member(ctx)
		if err == nil {
			err = halfObject(ctx, s, i, a.newest().group)
		}
		if err != nil {
			return err
		}
		a.count(1, 0)
	}
	return nil
}

// known is how long after a key frame was sent a contradiction sent by then finds
// its beginning there, but not all of it.
const known = 10 * time.Millisecond

// contradict has a member send other bytes for what the relay has of each key
// frame.
func contradict(ctx context.Context, a *assault) error {
	if err := a.from(ctx, 4*time.Second); err != nil {
		return err
	}
	for {
		select {
		case <-a.keys: // an old one
		default:
		}
		var u *unit
		select {
		case u = <-a.keys:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := pause(ctx, known); err != nil {
			return err
		}
		s := a.present()
		if s == nil {
			continue // it is not back yet
		}
		other := bytes.Clone(u.payload[:1000])
		other[500]++
		a.count(1, 0)
		for range 5 { // while it is on its way
			err := chunks(ctx, s, pictureHeader(u.group, u.object, len(u.payload)), wire.Chunk{Bytes: other})
			if err == nil {
				err = pause(ctx, 10*time.Millisecond)
			}
			if err != nil {
				return err
			}
		}
	}
}

// turnBad has a member send rubbish, of the right form and of none, and then hear
// nothing more, so that it acknowledges nothing.
func turnBad(ctx context.Context, a *assault) error {
	if err := a.from(ctx, 5*time.Second); err != nil {
		return err
	}
	noise := make([]byte, 400)
	for i := range 1000 {
		s, err := a.member(ctx)
		if err == nil && i%200 == 199 {
			rand.Read(noise)
			err = raw(ctx, s, noise)
		} else if err == nil {
			err = halfObject(ctx, s, i, a.newest().group)
		}
		if err == nil {
			err = pause(ctx, 5*time.Millisecond)
		}
		if err != nil {
			return err
		}
		a.count(1, 0)
	}
	a.bad.Set(netsim.Down(netsim.Loss(1)))
	return nil
}
