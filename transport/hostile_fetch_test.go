package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// fetching is an application that fetches groups 1 to 9 and reads all of them.
func fetching(ctx context.Context, s *transport.Session) error {
	f, err := s.Fetch(ctx, clock, transport.Range{Start: at(1, 0), End: at(9, moqt.WholeGroup)}, nil)
	for err == nil {
		_, err = f.ReadObject(ctx)
	}
	if err != io.EOF && !sessionOver(err) {
		return err
	}
	<-ctx.Done()
	return nil
}

// breaking is fetching where the answer must break off with an error that check
// is content with.
func breaking(check func(err error) bool) func(context.Context, *transport.Session) error {
	return failing(func(ctx context.Context, s *transport.Session) error {
		f, err := s.Fetch(ctx, clock, transport.Range{End: at(9, moqt.WholeGroup)}, nil)
		for err == nil {
			_, err = f.ReadObject(ctx)
		}
		return err
	}, check)
}

// fetchData answers the session's FETCH, and sends the stream's bytes in hex
// after the header.
func (p *peer) fetchData(hex string) (request transport.Stream, data transport.SendStream) {
	p.t.Helper()
	st, m := p.accepted()
	p.write(st, p.bytes(&wire.FetchOK{RequestID: m.(*wire.Fetch).RequestID, End: at(9, 0)}))
	data = p.uni(append(p.profile.AppendFetchHeader(nil, &wire.FetchHeader{RequestID: m.(*wire.Fetch).RequestID}), unhex(hex)...))
	return st, data
}

func fetchStream(hex string) func(p *peer) { return func(p *peer) { p.fetchData(hex) } }

func fetchStreamFIN(hex string) func(p *peer) {
	return func(p *peer) {
		_, data := p.fetchData(hex)
		data.Close()
	}
}

// fetchFirst is an object {1, 0} of subgroup 0, priority 1 and payload a.
const fetchFirst = "1c 01 00 01 01 61"

// hostileFetches is about the streams of fetches.
var hostileFetches = everyDraft([]hostile{
	pv("FETCH_OK that ends before the start", answeredBy(&wire.FetchOK{End: at(0, 5)})).serving(fetching).in(requestStreams),
	pv("FETCH_OK with End Of Track of 2", answered("18 0004 02 09 00 00")).serving(fetching).in(requestStreams),
	pv("SUBSCRIBE_OK to FETCH", answered("04 0002 00 00")).serving(fetching).in(requestStreams),
	pv("second FETCH_OK", answeredBy(&wire.FetchOK{End: at(9, 0)}, &wire.FetchOK{End: at(9, 0)})).serving(fetching).in(requestStreams),
	pv("second stream of one fetch", func(p *peer) {
		p.fetchData("")
		synctest.Wait()
		p.uni(unhex("05 01"))
	}).serving(fetching).in(requestStreams),
	pv("fetch flags of 80", fetchStream("8080")).serving(fetching).in(requestStreams),
	pv("fetch flags of 20c", fetchStream("820c 01 00")).serving(fetching).in(noTimedOut),
	pv("fetch flags of 40c", fetchStream("840c 01 00")).serving(fetching).in(requestStreams),
	pv("first object of a fetch without a group", fetchStream("14 00 01 01 61")).serving(fetching),
	pv("first object of a fetch without an id", fetchStream("18 01 01 01 61")).serving(fetching),
	pv("first object of a fetch without a priority", fetchStream("0c 01 00 01 61")).serving(fetching),
	pv("first object of a fetch with the prior subgroup", fetchStream("1d 01 00 01 01 61")).serving(fetching),
	pv("object id of a fetch that overflows", fetchStream(fetchFirst+"04 ff ffffffffffffffff 00 00")).serving(fetching).in(requestStreams),
	pv("group of a fetch that overflows", fetchStream(fetchFirst+"0c ff ffffffffffffffff 00 00")).serving(fetching).in(requestStreams),
	pv("same object of a fetch again", fetchStream(fetchFirst+"04 00 00")).serving(fetching),
	pv("end inside a fetch header", func(p *peer) {
		p.accepted()
		p.uni(unhex("05")).Close()
	}).serving(fetching),
	pv("end inside an object of a fetch", fetchStreamFIN("1c 01 00")).serving(fetching),
	pv("end inside a payload of a fetch", fetchStreamFIN("1c 01 00 01 05 61")).serving(fetching),
	lives("stream of a fetch that was never asked for", func(p *peer) {
		p.wantStopped(p.uni(unhex("05 01")), moqt.StreamCancelled)
		p.wantStopped(p.uni(unhex("05 00")), moqt.StreamCancelled)
	}).in(requestStreams),
	lives("empty fetch", fetchStreamFIN("")).serving(fetching),
	lives("end of range, with a length and without", fetchStreamFIN(fetchFirst+"808c 02 05 00 00 00 808c 03 00 1c 01 00 01 00")).serving(fetching).in(requestStreams),
	lives("reset inside an object of a fetch", func(p *peer) {
		_, data := p.fetchData("1c 01 00 01 05 61")
		synctest.Wait()
		data.CancelWrite(moqt.StreamUnknownObjectStatus)
	}).serving(breaking(func(err error) bool {
		return errors.Is(err, &transport.StreamError{Code: moqt.StreamUnknownObjectStatus})
	})).in(requestStreams),
	lives("fetch reset on its request", func(p *peer) {
		st, _ := p.accepted()
		p.write(st, p.bytes(&wire.FetchOK{End: at(9, 0)}))
		synctest.Wait()
		st.CancelWrite(moqt.StreamGoingAway)
	}).serving(breaking(func(err error) bool { return errors.Is(err, &transport.StreamError{Code: moqt.StreamGoingAway}) })).in(requestStreams),
	lives("object of a fetch larger than the limit", func(p *peer) {
		_, data := p.fetchData("1c 01 00 01 ff 4000000000000000")
		p.wantStopped(data, moqt.StreamExcessiveLoad)
	}).serving(breaking(func(err error) bool { return errors.Is(err, wire.ErrTooLarge) })).in(requestStreams),
	lives("more gaps than are held", func(p *peer) {
		_, data := p.fetchData("")
		var b []byte
		for g := range uint64(30_000) { // of two kinds by turns
			kind := "808c"
			if g%2 == 1 {
				kind = "810c"
			}
			b = append(append(b, unhex(kind)...), wire.AppendVarint(nil, g)...)
			b = append(b, 1, 0)
		}
		p.write(data, b)
		p.wantStopped(data, moqt.StreamExcessiveLoad)
	}).serving(breaking(func(err error) bool { return errors.Is(err, wire.ErrTooLarge) })).in(requestStreams),
	lives("gaps without end", func(p *peer) {
		_, data := p.fetchData("")
		var b []byte
		for g := range uint64(100_000) { // one gap, told in pieces
			b = append(wire.AppendVarint(append(b, 0x80, 0x8c), g), 1, 0)
		}
		p.write(data, b)
		data.Close()
	}).serving(func(ctx context.Context, s *transport.Session) error {
		f, err := s.Fetch(ctx, clock, transport.Range{End: at(9, 0)}, nil)
		if err != nil {
			return err
		}
		if _, err := f.ReadObject(ctx); err != io.EOF || len(f.Gaps()) != 1 {
			return fmt.Errorf("ReadObject() = %v with %d gaps, want EOF and one", err, len(f.Gaps()))
		}
		return nil
	}).in(requestStreams),
})

// after is a row's do that must end the session after d.
func after(d time.Duration, do func(p *peer)) func(p *peer) {
	return func(p *peer) {
		start := time.Now()
		do(p)
		<-p.conn.Context().Done()
		if took := time.Since(start); took != d {
			p.t.Errorf("the session ended after %v, want %v", took, d)
		}
	}
}

// hostileTimes is about peers that stop in the middle.
var hostileTimes = everyDraft([]hostile{
	{name: "stall inside a stream's type", do: after(10*time.Second, func(p *peer) { p.uni(unhex("80")) }), code: moqt.SessionDataStreamTimeout, when: requestStreams},
	{name: "stall inside a subgroup header", do: after(10*time.Second, data("30 07")), code: moqt.SessionDataStreamTimeout, serve: view},
	{name: "stall inside a request", do: after(10*time.Second, func(p *peer) { p.bidi(unhex("03 0009 00")) }), code: moqt.SessionControlMessageTimeout, when: requestStreams},
	{name: "request, byte by byte", do: after(10*time.Second, func(p *peer) {
		go func() {
			st := p.bidi(unhex("03 1000"))
			for {
				select {
				case <-time.After(time.Second):
					p.write(st, []byte{'a'})
				case <-p.conn.Context().Done():
					return
				}
			}
		}()
	}), code: moqt.SessionControlMessageTimeout, when: requestStreams},
	{name: "stall inside a later message of a request", do: func(p *peer) {
		st := p.request(subscribe(0))
		p.answer(st, wire.KindSubscribe)
		time.Sleep(time.Hour)
		after(10*time.Second, func(p *peer) { p.write(st, unhex("02 0005 02")) })(p)
	}, code: moqt.SessionControlMessageTimeout, serve: publish, when: requestStreams},
	{name: "stall inside a later message, behind a whole one", do: func(p *peer) {
		st := p.request(subscribe(0))
		p.answer(st, wire.KindSubscribe)
		time.Sleep(time.Hour)
		after(10*time.Second, func(p *peer) { p.write(st, unhex("02 0002 02 00 02 00")) })(p)
	}, code: moqt.SessionControlMessageTimeout, serve: publish, when: requestStreams},
	{name: "stall inside an answer", do: after(10*time.Second, answered("04 0005 00")), code: moqt.SessionControlMessageTimeout, serve: view, when: requestStreams},
	{name: "stall inside GOAWAY", do: func(p *peer) {
		time.Sleep(time.Hour)
		after(10*time.Second, afterSetup(unhex("10 0002 00")))(p)
	}, code: moqt.SessionControlMessageTimeout, when: requestStreams},
	{name: "stall inside an object", do: after(30*time.Second, data("30 07 00 00 05 61")), code: moqt.SessionDataStreamTimeout, serve: view},
	{name: "stall before a payload", do: after(30*time.Second, data("30 07 00 00 05")), code: moqt.SessionDataStreamTimeout, serve: view},
	{name: "stall inside an object's header", do: after(30*time.Second, data("30 07 00 00")), code: moqt.SessionDataStreamTimeout, serve: view},
	{name: "stall inside a second object's header", do: after(30*time.Second, data("30 07 00 00 01 61 00")), code: moqt.SessionDataStreamTimeout, serve: view},
	{name: "stall inside properties", do: after(30*time.Second, data("31 07 00 00 05 02")), code: moqt.SessionDataStreamTimeout, serve: view},
	{name: "stall inside the first object, which has the subgroup's id", do: after(30*time.Second, data("32 07 00 05")), code: moqt.SessionDataStreamTimeout, serve: view},
	{name: "stall inside an object of a fetch", do: after(30*time.Second, fetchStream("1c 01 00 01 05 61")), code: moqt.SessionDataStreamTimeout, serve: fetching},
	{name: "stall inside the header of an object of a fetch", do: after(30*time.Second, fetchStream(fetchFirst+"1c 01")), code: moqt.SessionDataStreamTimeout, serve: fetching},
	lives("slow object", func(p *peer) {
		p.subscribedTo(7)
		st := p.uni(unhex("30 07 00 00 14"))
		for range 20 {
			time.Sleep(29 * time.Second)
			p.write(st, []byte{'a'})
		}
		time.Sleep(time.Hour) // and nothing has begun
		p.write(st, unhex("00 01 62"))
		st.Close()
	}).serving(reads("0/0/0 " + strings.Repeat("a", 20))),
	lives("quiet after an object that is skipped", func(p *peer) {
		p.subscribedTo(7)
		st := p.uni(unhex("30 07 00 00 03 616263"))
		time.Sleep(time.Hour)
		p.write(st, unhex("00 01 62"))
	}).serving(func(ctx context.Context, s *transport.Session) error {
		r, err := s.Subscribe(ctx, clock, nil)
		if err != nil {
			return err
		}
		sg, err := r.AcceptSubgroup(ctx)
		if err != nil {
			return err
		}
		sg.Next() // and does not read it
		o, _, err := sg.NextObject()
		if err != nil || o.Object != 1 {
			return fmt.Errorf("NextObject() = %v, %v, want object 1", o.Location, err)
		}
		return nil
	}),
	lives("quiet session", func(p *peer) {
		p.subscribedTo(7)
		p.uni(unhex("30 07 00"))    // a header and no object yet
		p.uni(unhex("32 07 00"))    // nor one that has the subgroup's id
		p.uni(unhex("f0 132b3e28")) // padding to come
		time.Sleep(24 * time.Hour)
	}).serving(view).in(requestStreams),
})
