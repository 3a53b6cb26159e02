package relay

import (
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/tributary-live/tributary/relay/bonds"
)

// State is what a relay shows of itself to its operator.
type State struct {
	Node       string         `json:"node,omitempty"`
	Sessions   []SessionState `json:"sessions"`
	Namespaces []string       `json:"namespaces"`
	Elsewhere  []string       `json:"namespaces_elsewhere"`
	Tracks     []TrackState   `json:"tracks"`
	Bonds      []bonds.State  `json:"bonds"`
}

// SessionState is one session.
type SessionState struct {
	ID             uint64        `json:"id"`
	Remote         string        `json:"remote"`
	Migrations     int32         `json:"migrations,omitempty"` // moves of the client to another address
	Version        string        `json:"version"`
	Transport      string        `json:"transport"`
	Implementation string        `json:"implementation,omitempty"`
	Relay          string        `json:"relay,omitempty"` // node at the other end
	Age            string        `json:"age"`
	Namespaces     int32         `json:"namespaces"`
	Subscriptions  int32         `json:"subscriptions"`
	RTT            time.Duration `json:"rtt_ns"`
	BytesSent      uint64        `json:"bytes_sent"`
	BytesReceived  uint64        `json:"bytes_received"`
}

// TrackState is one track.
type TrackState struct {
	Name        string `json:"name"`
	Sources     int    `json:"sources"`
	Subscribers int    `json:"subscribers"`
	Largest     string `json:"largest,omitempty"`
	Groups      int    `json:"groups"`
	Bytes       int64  `json:"bytes"`
	// Copies are what its publishers have brought.
	Copies []CopyState `json:"copies"`
}

// State returns a snapshot.
func (r *Relay) State() State {
	s := State{Node: r.cfg.Node, Sessions: []SessionState{}, Namespaces: []string{}, Elsewhere: []string{}, Tracks: []TrackState{}, Bonds: r.bonds.State()}
	r.mu.Lock()
	peers := make([]*peer, 0, len(r.peers))
	for p := range r.peers {
		peers = append(peers, p)
	}
	for ns := range r.names {
		s.Namespaces = append(s.Namespaces, ns.String())
	}
	for ns := range r.remote {
		if len(r.names[ns]) == 0 {
			s.Elsewhere = append(s.Elsewhere, ns.String())
		}
	}
	tracks := make([]*track, 0, len(r.tracks))
	for _, t := range r.tracks {
		tracks = append(tracks, t)
	}
	r.mu.Unlock()
	for _, p := range peers {
		info, stats := p.sess.Info(), p.sess.Stats()
		remote := ""
		if stats.Remote.IsValid() {
			remote = stats.Remote.String()
		} else if info.RemoteAddr != nil {
			remote = info.RemoteAddr.String()
		}
		s.Sessions = append(s.Sessions, SessionState{
			ID: p.id, Remote: remote, Migrations: p.moves.Load(), Version: info.Version.String(), Transport: transportName(info),
			Implementation: p.sess.PeerImplementation(), Relay: p.node, Age: time.Since(p.started).Round(time.Millisecond).String(),
			Namespaces: p.names.Load(), Subscriptions: p.subs.Load(),
			RTT: stats.RTT, BytesSent: stats.BytesSent, BytesReceived: stats.BytesReceived,
		})
	}
	for _, t := range tracks {
		ts := TrackState{Name: t.name.String(), Groups: t.log.Groups(), Bytes: t.log.Bytes()}
		if l, ok := t.largest(); ok {
			ts.Largest = l.String()
		}
		t.mu.Lock()
		ts.Sources, ts.Subscribers = len(t.sources), len(t.sinks)
		sources := slices.Collect(maps.Values(t.sources))
		t.mu.Unlock()
		ts.Copies = t.copyStates(sources)
		s.Tracks = append(s.Tracks, ts)
	}
	sort.Slice(s.Sessions, func(i, j int) bool { return s.Sessions[i].ID < s.Sessions[j].ID })
	sort.Slice(s.Tracks, func(i, j int) bool { return s.Tracks[i].Name < s.Tracks[j].Name })
	sort.Strings(s.Namespaces)
	sort.Strings(s.Elsewhere)
	return s
}
