package bonds

import (
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// answerTimeout bounds how long the peer may take to let us open a bond stream and
// write the answer to it.
const answerTimeout = 10 * time.Second

// serveBondStream reads a session's bond stream, which begins with BOND_JOIN and
// has nothing after it, and answers on one of ours until the session ends.
func (r *Registry) serveBondStream(s *transport.Session, st transport.ReceiveStream) error {
	seat := r.seat(s)
	r.mu.Lock()
	again := seat.asked
	seat.asked = true
	r.mu.Unlock()
	if again {
		return violation("a second bond stream")
	}
	msg, err := bond.ReadMessage(st)
	if err != nil {
		return bondStreamError(s, err)
	}
	j, ok := msg.(*bond.Join)
	if !ok {
		return violation("a bond stream that does not begin with BOND_JOIN")
	}
	m, answer := r.join(s, j)
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	if m != nil {
		defer m.leave()
	}
	opening, done := context.WithTimeout(ctx, answerTimeout)
	out, err := s.OpenExtensionStream(opening, bond.StreamType)
	done()
	if err == nil {
		out.SetWriteDeadline(time.Now().Add(answerTimeout))
		_, err = out.Write(bond.AppendMessage(nil, answer))
	}
	if err != nil {
		return bondStreamError(s, err)
	}
	out.SetWriteDeadline(time.Time{})
	defer out.SetWriteDeadline(time.Now()) // ends a Write that the peer does not take
	if m != nil {
		wg.Go(func() { m.out.send(ctx, out) })
	}
	if _, err := bond.ReadMessage(st); err != nil {
		return bondStreamError(s, err)
	}
	return violation("a bond stream goes on after BOND_JOIN")
}

// bondStreamError says what the end of a bond stream means: none ends before its
// session does.
func bondStreamError(s *transport.Session, err error) error {
	var we *wire.Error
	switch {
	case s.Context().Err() != nil:
		return nil
	case errors.As(err, &we):
		return err
	case err == io.EOF, errors.As(err, new(*transport.StreamError)):
		return violation("a bond stream ended before its session")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return &transport.SessionError{Code: moqt.SessionControlMessageTimeout, Reason: "the answer to BOND_JOIN was not taken in time"}
	}
	return err
}

// join makes s a member of the bond that j names, or of a new one. The answer is
// what to tell the peer; the member is nil if that is a no.
func (r *Registry) join(s *transport.Session, j *bond.Join) (*member, bond.Message) {
	m, b, no := r.admit(s, j)
	if no != nil {
		r.m.refused(no.Code)
		r.log.Info("bond refused", "remote", remote(s), "path", j.Path, "err", no)
		return nil, no
	}
	if r.joined != nil {
		r.joined(s, b)
	}
	b.m.members.WithLabelValues(m.cost.String()).Inc()
	b.m.joins.WithLabelValues("joined").Inc()
	b.log.Info("bond joined", "remote", remote(s), "member", m.number, "path", m.path, "cost", m.cost.String())
	yes := &bond.Joined{
		Bond: b.id, MaxMembers: r.cfg.MaxMembers, MaxObject: bond.MaxObject, MaxHeld: r.cfg.MaxHeld, Hold: r.cfg.Hold, URI: r.cfg.URI,
	}
	if len(j.Proof) == 0 {
		yes.Secret = b.secret
	}
	return m, yes
}

// admit finds or makes the bond and takes s in. What is wrong with the proof of
// one who joins is never told: not even whether the bond exists.
func (r *Registry) admit(s *transport.Session, j *bond.Join) (*member, *Bond, *bond.Refused) {
	keys, err := s.ExportKeyingMaterial(bond.ExporterLabel, nil, bond.ExporterLength)
	if err != nil {
		return nil, nil, refusal(moqt.RequestNotSupported, "this connection has no keying material to prove anything with")
	}
	if len(j.Proof) == 0 {
		b, no := r.make(s.Tokens(), network(remote(s)))
		if no != nil {
			return nil, nil, no
		}
		m, no := b.add(s, j)
		return m, b, no
	}
	from := network(remote(s))
	if !r.guard.mayTry(from) {
		return nil, nil, refusal(moqt.RequestExcessiveLoad, "too many joins from this address have failed")
	}
	r.mu.Lock()
	b := r.bonds[j.Bond]
	r.mu.Unlock()
	secret := r.nobody
	if b != nil {
		secret = b.secret
	}
	if !bond.Proven(j.Proof, secret, j.Bond, j.Member, keys) || b == nil || !b.hasTokens(s) {
		r.guard.failed(from)
		return nil, nil, unproven()
	}
	m, no := b.add(s, j)
	return m, b, no
}

func refusal(code moqt.RequestCode, reason string) *bond.Refused {
	return &bond.Refused{Code: code, Reason: reason}
}

// unproven is the one answer to whatever a stranger may try.
func unproven() *bond.Refused {
	return refusal(moqt.RequestUnauthorized, "there is no such bond, or this connection is not one of it")
}

// make returns a new bond, whose first member comes from an address with tokens.
func (r *Registry) make(tokens []transport.Token, from netip.Prefix) (*Bond, *bond.Refused) {
	b := newBond(r, tokens, from)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, refusal(moqt.RequestNotSupported, "the relay is shutting down")
	case len(r.bonds) >= r.cfg.MaxBonds:
		return nil, refusal(moqt.RequestExcessiveLoad, "the relay has too many bonds")
	case from.IsValid() && r.madeFromLocked(from) >= r.cfg.MaxAddressBonds:
		return nil, refusal(moqt.RequestExcessiveLoad, "the relay has too many bonds of this address")
	}
	r.bonds[b.id] = b
	r.m.bonds.Inc()
	return b, nil
}

// madeFromLocked returns how many bonds were made from an address.
func (r *Registry) madeFromLocked(from netip.Prefix) (n int) {
	for _, b := range r.bonds {
		if b.from == from {
			n++
		}
	}
	return n
}

// hasTokens reports whether the authorization tokens of s are those of the bond's
// first member.
func (b *Bond) hasTokens(s *transport.Session) bool {
	return slices.EqualFunc(b.tokens, s.Tokens(), func(x, y transport.Token) bool {
		return x.Type == y.Type && subtle.ConstantTimeCompare(x.Value, y.Value) == 1
	})
}

// add makes s a member.
func (b *Bond) add(s *transport.Session, j *bond.Join) (*member, *bond.Refused) {
	m := newMember(b, s, j)
	if no := b.enter(m); no != nil {
		return nil, no
	}
	seat := b.r.seat(s)
	b.r.mu.Lock()
	defer b.r.mu.Unlock()
	seat.member = m
	close(seat.changed)
	return m, nil
}

func (b *Bond) enter(m *member) *bond.Refused {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.over:
		return unproven()
	case len(b.members) >= b.r.cfg.MaxMembers:
		return refusal(moqt.RequestExcessiveLoad, "the bond has too many members")
	case b.used.Forgot(m.number), !b.used.Got(m.number, 0):
		return unproven() // a number is never used again
	}
	b.members = append(b.members, m)
	if b.end != nil {
		b.end.Stop()
		b.end = nil
	}
	return nil
}
