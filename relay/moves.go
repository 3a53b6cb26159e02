package relay

import "time"

// A client may go on from another address in the middle of its session: a NAT has
// forgotten it, a phone has left its Wi-Fi, a publisher has moved to another of its
// networks (RFC 9000, "Connection Migration"). QUIC sees to that, and tells nobody.
// So the relay looks where its clients are; two moves between two looks are one.
const lookEvery = time.Second

// watchMoves counts the moves of clients while there is a session.
func (r *Relay) watchMoves() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var peers []*peer
	for {
		select {
		case <-tick.C:
		case <-r.ctx.Done():
			return
		}
		peers = peers[:0]
		r.mu.Lock()
		for p := range r.peers {
			peers = append(peers, p)
		}
		if len(peers) == 0 {
			r.watching = false
		}
		r.mu.Unlock()
		if len(peers) == 0 {
			return
		}
		for _, p := range peers {
			p.look()
		}
	}
}

// look takes note of a move of the peer.
func (p *peer) look() {
	now := p.sess.Stats().Remote
	if now == p.remote {
		return
	}
	before := p.remote
	p.remote = now
	p.moves.Add(1)
	p.r.m.migrations.Inc()
	p.log.Info("session moved", "remote", now, "before", before)
}
