package transport_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// data sends streams, each with bytes in hex, on a track of alias 7 that the
// session has subscribed to.
func data(hex ...string) func(p *peer) {
	return func(p *peer) {
		p.subscribedTo(7)
		for _, h := range hex {
			p.uni(unhex(h))
		}
	}
}

// dataFIN is data with the streams' ends.
func dataFIN(hex ...string) func(p *peer) {
	return func(p *peer) {
		p.subscribedTo(7)
		for _, h := range hex {
			p.uni(unhex(h)).Close()
		}
	}
}

func datagram(hex string) func(p *peer) {
	return func(p *peer) {
		p.subscribedTo(7)
		p.conn.SendDatagram(unhex(hex))
	}
}

// reads is an application that subscribes and must get objects of the payloads.
func reads(want ...string) func(context.Context, *transport.Session) error {
	return func(ctx context.Context, s *transport.Session) error {
		r, err := s.Subscribe(ctx, clock, nil)
		if err != nil {
			return err
		}
		for _, w := range want {
			for o, err := range r.Objects(ctx) {
				if got := fmt.Sprintf("%v/%d %s", o.Location, o.Subgroup, o.Payload); err != nil || got != w {
					return fmt.Errorf("Objects = %q, %v, want %q", got, err, w)
				}
				break
			}
		}
		return nil
	}
}

// reservedTypes are the types of subgroup streams whose id mode is reserved.
var reservedTypes = func() (rows []hostile) {
	for typ := 0x10; typ < 0x80; typ++ {
		if typ&0x10 != 0 && typ&0x06 == 0x06 && (typ&0x01 != 0 || typ == 0x16) {
			rows = append(rows, pv(fmt.Sprintf("subgroup type %02x", typ), data(fmt.Sprintf("%02x 07 00 00 00", typ))).serving(view))
		}
	}
	return rows
}()

// hostileData is about subgroup streams and datagrams.
var hostileData = everyDraft(append(reservedTypes, []hostile{
	pv("subgroup type 00", data("00 07 00 00")).serving(view),
	pv("subgroup type 90", data("8090 07 00 00")).serving(view),
	pv("end inside a subgroup header", dataFIN("30 07")).serving(view),
	pv("object id that overflows", data("30 07 00 ff ffffffffffffffff 00 00 00 00 00")).serving(view).in(requestStreams),
	pv("unknown object status", data("30 07 00 00 00 01")).serving(view),
	pv("properties on an END_OF_GROUP", data("31 07 00 00 02 02 01 00 03")).serving(view),
	pv("property that ends too early", data("31 07 00 00 02 01 05 01 61")).serving(view),
	pv("property type that overflows", data("31 07 00 00 0b 02 00 ff ffffffffffffffff 00 01 61")).serving(view).in(requestStreams),
	pv("end inside an object's header", dataFIN("30 07 00 00")).serving(view),
	pv("end inside properties", dataFIN("31 07 00 00 05 02")).serving(view),
	pv("end inside a payload", dataFIN("30 07 00 00 03 61")).serving(view),
	pv("end before a payload", dataFIN("30 07 00 00 03")).serving(view),
	pv("end inside a payload that is skipped", dataFIN("30 07 00 00 03 61")).serving(func(ctx context.Context, s *transport.Session) error {
		r, err := s.Subscribe(ctx, clock, nil)
		if err != nil {
			return err
		}
		sg, err := r.AcceptSubgroup(ctx)
		if err != nil {
			return err
		}
		sg.Next()
		if _, _, err := sg.Next(); err == nil || err == io.EOF {
			return fmt.Errorf("Next() = %v", err)
		}
		return nil
	}),
	pv("end inside the first object, which has the subgroup's id", dataFIN("32 07 00 05 03 61")).serving(view),
	pv("datagram type 10", datagram("10 07 00 00 00")).serving(view),
	pv("datagram type 22", datagram("22 07 00 00 00 00")).serving(view),
	pv("datagram type 40", datagram("40 07 00 00 00")).serving(view),
	pv("datagram properties of length 0", datagram("0d 07 00 00")).serving(view),
	pv("datagram status with properties", datagram("2d 07 00 02 02 01 03")).serving(view),
	pv("datagram of unknown status", datagram("2c 07 00 01")).serving(view),
	pv("datagram status with something after it", datagram("2c 07 00 03 00")).serving(view),
	pv("datagram that ends too early", datagram("00 07 00")).serving(view),

	lives("reset inside a payload", func(p *peer) {
		p.subscribedTo(7)
		st := p.uni(unhex("30 07 00 00 03 61"))
		synctest.Wait()
		st.CancelWrite(moqt.StreamDeliveryTimeout)
	}).serving(view),
	lives("reset inside a header", func(p *peer) {
		p.subscribedTo(7)
		p.uni(unhex("30")).CancelWrite(moqt.StreamCancelled)
		p.uni(unhex("32 07 00")).CancelWrite(moqt.StreamCancelled)
	}).serving(view),
	lives("empty subgroups", dataFIN("30 07 00", "32 07 00", "34 07 00 05", "10 07 00 09")).serving(view),
	lives("object of no bytes", dataFIN("30 07 00 00 00 00")).serving(reads("0/0/0 ")),
	lives("subgroup with the id of its first object", dataFIN("32 07 03 05 01 61")).serving(reads("3/5/5 a")),
	lives("numbers in more bytes than needed", dataFIN("8070 8007 8003 8005 8001 61")).serving(reads("3/5/0 a")).in(requestStreams),
	lives("the last object there can be", dataFIN("30 07 ff ffffffffffffffff ff ffffffffffffffff 01 61")).
		serving(reads("18446744073709551615/18446744073709551615/0 a")).in(requestStreams),
	lives("unknown property", dataFIN("31 07 00 00 03 bd00 05 01 61")).serving(reads("0/0/0 a")).in(requestStreams),
	lives("subgroup of an unknown alias", func(p *peer) {
		p.subscribedTo(7)
		start := time.Now()
		p.wantStopped(p.uni(unhex("30 08 00 00 01 61")), moqt.StreamCancelled)
		if d := time.Since(start); d != 2*time.Second {
			p.t.Errorf("the stream was stopped after %v, want UnknownAliasWait, 2s", d)
		}
	}).serving(view),
	lives("2000 subgroups of unknown aliases", func(p *peer) {
		p.subscribedTo(7)
		start := time.Now()
		var at2s int
		for i := range 2000 {
			st := p.uni(append([]byte{0x30}, wire.AppendVarint(nil, uint64(100+i))...))
			p.write(st, unhex("00 00 01 61"))
			synctest.Wait()
			if st.Context().Err() == nil {
				at2s++
			}
			defer p.wantStopped(st, moqt.StreamCancelled)
		}
		if at2s != 64 || time.Since(start) != 0 {
			p.t.Errorf("%d streams wait after %v, want MaxUnknownAlias, 64", at2s, time.Since(start))
		}
	}).serving(view).in(requestStreams),
	lives("datagrams of unknown aliases", func(p *peer) {
		for i := range 1000 {
			p.conn.SendDatagram(append(append([]byte{0x0c}, wire.AppendVarint(nil, uint64(i))...), 0, 0x61))
		}
	}).in(requestStreams),
	lives("streams of a track that was cancelled", func(p *peer) {
		st := p.subscribedTo(7)
		p.wantReset(st, moqt.StreamCancelled)
		start := time.Now()
		p.wantStopped(p.uni(unhex("30 07 00 00 01 61")), moqt.StreamCancelled)
		if d := time.Since(start); d > 0 {
			p.t.Errorf("the stream was stopped after %v, want it at once", d)
		}
		p.conn.SendDatagram(unhex("0c 07 00 61"))
	}).serving(func(ctx context.Context, s *transport.Session) error {
		r, err := s.Subscribe(ctx, clock, nil)
		if err == nil {
			err = r.Close()
		}
		return err
	}).in(requestStreams),
	lives("streams of a track that was refused", func(p *peer) {
		st := p.uni(unhex("30 05 00 00 01 61"))
		p.wantError(p.request(publishMessage(0, 5, "a")), wire.KindPublish, moqt.RequestUninterested)
		p.wantStopped(st, moqt.StreamCancelled)
	}).serving(func(ctx context.Context, s *transport.Session) error {
		req, err := s.Accept(ctx)
		if err != nil {
			return err
		}
		time.Sleep(time.Second)
		return req.Reject(moqt.RequestUninterested, "")
	}),
	lives("object larger than the limit", func(p *peer) {
		p.subscribedTo(7)
		st := p.uni(unhex("30 07 00 00 f0 7fffffff"))
		p.wantStopped(st, moqt.StreamExcessiveLoad)
	}).serving(view).in(requestStreams),
	lives("object of 2^62 bytes", func(p *peer) {
		p.subscribedTo(7)
		p.wantStopped(p.uni(unhex("30 07 00 00 ff 4000000000000000")), moqt.StreamExcessiveLoad)
		p.wantStopped(p.uni(unhex("30 07 00 00 ff ffffffffffffffff")), moqt.StreamExcessiveLoad)
	}).serving(view).in(requestStreams),
	lives("properties larger than the limit", func(p *peer) {
		p.subscribedTo(7)
		p.wantStopped(p.uni(unhex("31 07 00 00 ff 4000000000000000")), moqt.StreamExcessiveLoad)
	}).serving(view).in(requestStreams),
	lives("first object larger than the limit, which has the subgroup's id", func(p *peer) {
		p.subscribedTo(7)
		p.wantStopped(p.uni(unhex("32 07 00 00 ff 4000000000000000")), moqt.StreamExcessiveLoad)
	}).serving(view).in(requestStreams),
	lives("object of the largest size", func(p *peer) {
		p.subscribedTo(7)
		st := p.uni(append(unhex("30 07 00 00 d00000"), bytes.Repeat([]byte{0}, 1<<20)...))
		st.Close()
	}).serving(func(ctx context.Context, s *transport.Session) error {
		r, err := s.Subscribe(ctx, clock, nil)
		if err != nil {
			return err
		}
		sg, err := r.AcceptSubgroup(ctx)
		if err != nil {
			return err
		}
		if o, err := sg.ReadObject(); err != nil || len(o.Payload) != 1<<20 {
			return fmt.Errorf("ReadObject() = %d bytes, %v", len(o.Payload), err)
		}
		return nil
	}).in(requestStreams),
}...))
