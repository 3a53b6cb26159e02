package transport

import (
	"context"
	"errors"
	"io"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/qlog"
	"github.com/tributary-live/tributary/transport/wire"
)

// acceptUni takes the peer's unidirectional streams. The first SETUP is
// delivered to got.
func (s *Session) acceptUni(got chan<- *wire.Setup) {
	for {
		st, err := s.conn.AcceptUniStream(s.ctx)
		if err != nil {
			s.end(err)
			return
		}
		s.wg.Go(func() { s.serveUni(st, got) })
	}
}

// serveUni reads the head of a unidirectional stream and brings it to whoever
// waits for it.
func (s *Session) serveUni(st ReceiveStream, got chan<- *wire.Setup) {
	src := timed(st, s.cfg.Limits.MessageTimeout)
	r := wire.NewReader(src)
	kind, typ, err := s.profile.ReadStreamType(r)
	if err == nil {
		s.trace.uniStream(st, kind)
		switch kind {
		case wire.StreamControl:
			err = s.serveControl(src, r, got)
		case wire.StreamSubgroup:
			err = s.serveSubgroup(src, r, typ)
		case wire.StreamFetch:
			err = s.serveFetchStream(src, r)
		case wire.StreamPadding:
			src.next(false)
			src.limit, src.progress = s.cfg.Limits.StallTimeout, true
			io.Copy(io.Discard, r)
			st.CancelRead(moqt.StreamCancelled)
		}
	} else if typ != 0 {
		err = s.serveExtension(src, r, typ, err)
	}
	s.uniOver(err)
}

// uniOver ends the session if err, with which the head of a unidirectional
// stream or the control stream came to its end, asks for it.
func (s *Session) uniOver(err error) {
	var we *wire.Error
	switch {
	case err == nil, s.over():
	case errors.As(err, &we):
		s.end(err)
	case isTimeout(err):
		s.fail(moqt.SessionDataStreamTimeout, "a stream had no header within %v", s.cfg.Limits.MessageTimeout)
	case err == io.EOF || isStream(err): // opened and given up: no harm
	default:
		s.end(err)
	}
}

func (s *Session) serveControl(src *timedStream, r *wire.Reader, got chan<- *wire.Setup) error {
	m, err := s.profile.ReadSetup(r)
	if err != nil {
		return s.controlError(err)
	}
	s.trace.read(src, r, 0, m)
	if err := s.checkSetup(m); err != nil {
		return err
	}
	if !s.firstSetup() {
		return s.fail(moqt.SessionProtocolViolation, "a second control stream")
	}
	got <- m // has room for the one
	s.wg.Detach(func() { s.uniOver(s.readControl(src, r)) })
	return nil
}

// hasSetup reports whether the peer's SETUP has come.
func (s *Session) hasSetup() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.setupSeen
}

// firstSetup reports whether this control stream of the peer is the first.
func (s *Session) firstSetup() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.setupSeen
	s.setupSeen = true
	return first
}

func (s *Session) serveSubgroup(src *timedStream, r *wire.Reader, typ uint64) error {
	h, err := s.profile.ReadSubgroupHeader(r, typ)
	if err != nil {
		return err
	}
	s.trace.subgroup(qlog.Parsed, src, h)
	r.Widen()
	src.limit, src.progress = s.cfg.Limits.StallTimeout, true
	src.next(r.Buffered() > 0)
	at, ok := s.trackOf(h.Alias)
	if !ok {
		src.CancelRead(moqt.StreamCancelled)
		return nil
	}
	t := at[0]
	if h.DefaultPriority {
		h.Priority = t.defaultPriority()
	}
	sg := &SubgroupReader{objectStream: objectStream{s: s, src: src, r: r}, header: h}
	sg.objects = s.profile.SubgroupObjects(&sg.header)
	if len(at) > 1 {
		// Which of the subscriptions the stream is for is told by its objects.
		first, err := sg.readFirst()
		if err != nil {
			sg.failed(err)
			return nil
		}
		t = at.ofStream(&first)
	}
	sg.track = t
	if !t.take(sg) {
		src.CancelRead(moqt.StreamCancelled)
		return nil
	}
	if h.IDFromFirst && sg.first == nil {
		// The subgroup's id is that of its first object, so that has to come
		// before anybody can be told of the stream.
		if _, err := sg.readFirst(); err != nil {
			sg.end(err)
			return nil
		}
	}
	t.ready(sg)
	return nil
}

// trackOf returns the subscriptions of an alias. It waits for a while if the
// alias is not known: the message that tells it may be behind its first stream.
func (s *Session) trackOf(alias uint64) (readers, bool) {
	s.mu.Lock()
	t, ok := s.aliases[alias]
	// A subscription that has no alias yet may be given one that was let go.
	old := s.retired.has(alias) && s.unaliased == 0
	if ok || old || s.waiting >= s.cfg.Limits.MaxUnknownAlias {
		s.mu.Unlock()
		return t, ok
	}
	s.waiting++
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Limits.UnknownAliasWait)
	defer cancel()
	for {
		s.mu.Lock()
		t, ok := s.aliases[alias]
		set := s.aliasSet
		if ok || ctx.Err() != nil {
			s.waiting--
			s.mu.Unlock()
			return t, ok
		}
		s.mu.Unlock()
		select {
		case <-set:
		case <-ctx.Done():
		}
	}
}

func (s *Session) readDatagrams() {
	for {
		b, err := s.conn.ReceiveDatagram(s.ctx)
		if err == nil {
			err = s.gotDatagram(b)
		}
		if err != nil {
			s.end(err)
			return
		}
	}
}

func (s *Session) gotDatagram(b []byte) error {
	d, padding, err := s.profile.ParseDatagram(b)
	if err != nil || padding {
		return err
	}
	s.trace.datagram(qlog.Parsed, d)
	s.mu.Lock()
	at := s.aliases[d.Alias]
	s.mu.Unlock()
	if len(at) == 0 {
		return nil // a datagram may be lost; one that comes before its track is
	}
	o := moqt.Object{Location: d.Location, Datagram: true, Priority: d.Priority, Status: d.Status, Properties: d.Properties, Payload: d.Payload}
	if d.DefaultPriority {
		o.Priority = at[0].defaultPriority()
	}
	at.ofDatagram(&o).pushDatagram(o)
	return nil
}
