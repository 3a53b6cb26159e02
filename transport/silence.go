package transport

import "time"

// A server that was killed and is back does not know the connections it had. It
// says so with a stateless reset to whoever sends it a packet, but not to a small
// one, which may be such a reset itself (RFC 9000, "Stateless Reset"); and who
// only watches sends nothing but small ones. So when nothing comes for a while, a
// client sends a datagram of padding that is large enough, and need not wait for
// its idle timeout.

const (
	silenceTick  = 2 * time.Second
	silenceProbe = 64 // bytes
)

// watchSilence ends with the session. It is for clients, of connections that
// count what they receive.
func (s *Session) watchSilence() {
	tick := time.NewTicker(silenceTick)
	defer tick.Stop()
	received := s.conn.Stats().BytesReceived
	for {
		select {
		case <-tick.C:
		case <-s.ctx.Done():
			return
		}
		now := s.conn.Stats().BytesReceived
		if now == received {
			s.SendPaddingDatagram(silenceProbe) // lost like all else, if it is
		}
		received = now
	}
}
