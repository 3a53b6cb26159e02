package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// payload is what the honest publishers of these tests put into an object.
func payload(group, object uint64) []byte {
	return bytes.Repeat([]byte(fmt.Sprintf("<%d/%d>", group, object)), 3)
}

func object(group, id uint64) moqt.Object {
	return moqt.Object{Location: moqt.Location{Group: group, Object: id}, Payload: payload(group, id)}
}

func loc(group, object uint64) moqt.Location { return moqt.Location{Group: group, Object: object} }

// open opens a stream of subgroup 0 that has the first object and ends the group.
func open(t testing.TB, s *Source, group uint64) *Writer {
	t.Helper()
	return openWith(t, s, moqt.Subgroup{Group: group, First: true, EndOfGroup: true})
}

func openWith(t testing.TB, s *Source, h moqt.Subgroup) *Writer {
	t.Helper()
	w, err := s.Open(h)
	if err != nil {
		t.Fatalf("Open(%+v) = %v", h, err)
	}
	return w
}

// put appends objects by id, all of which must be new or all copies.
func put(t testing.TB, w *Writer, fresh bool, ids ...uint64) {
	t.Helper()
	for _, id := range ids {
		got, err := w.Append(object(w.head.Group, id))
		if err != nil || got != fresh {
			t.Fatalf("Append(%d/%d) = %v, %v, want %v", w.head.Group, id, got, err, fresh)
		}
	}
}

func finish(t testing.TB, w *Writer) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
	}
}

// read takes all objects that a cursor has now, checks their payload, and
// returns their ids and what the run ends with, nil if it goes on.
func read(t testing.TB, c *Cursor) (ids []uint64, end error) {
	t.Helper()
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		o, err := c.Next(stopped)
		if err != nil {
			if errors.Is(err, context.Canceled) {
				err = nil
			}
			return ids, err
		}
		ids = append(ids, o.Meta.Object)
		p, whole := o.Payload()
		if want := payload(o.Meta.Group, o.Meta.Object); whole && !bytes.Equal(p, want) {
			t.Fatalf("object %v: payload %q, want %q", o.Meta.Location, p, want)
		}
	}
}

// wantRead checks what read returns.
func wantRead(t testing.TB, c *Cursor, ids string, end error) {
	t.Helper()
	got, err := read(t, c)
	if fmt.Sprint(got) != ids || !errors.Is(err, end) || (end == nil && err != nil) {
		t.Errorf("cursor of %d/%d read %v, %v, want %v, %v", c.head.Group, c.head.ID, got, err, ids, end)
	}
}

// cursor returns the reader's next cursor, which must be there.
func cursor(t testing.TB, r *Reader) *Cursor {
	t.Helper()
	c := tryCursor(t, r)
	if c == nil {
		t.Fatal("Reader.Next would block, want a cursor")
	}
	return c
}

// tryCursor returns the reader's next cursor, or nil if there is none now.
func tryCursor(t testing.TB, r *Reader) *Cursor {
	t.Helper()
	stopped, cancel := context.WithCancel(context.Background())
	cancel()
	c, err := r.Next(stopped)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("Reader.Next() = %v", err)
	}
	return c
}

func all(tr *Track) *Reader { return tr.Reader(moqt.Location{}, LastGroup) }

func wantFault(t testing.TB, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s = %v, want an error that wraps %q", what, err, kind)
	}
}

// checkBytes compares the books with what the track really holds.
func checkBytes(t testing.TB, tr *Track) {
	t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	sum := int64(0)
	for _, g := range tr.groups {
		n := int64(groupCost + subgroupCost*len(g.subs))
		for _, o := range g.index {
			n += o.cost
			have := int64(len(o.available()))
			if o.part != nil {
				have = int64(cap(o.available()))
			}
			if base := o.cost - have - propertiesCost(o.Meta.Properties); base != objectCost && base != objectCost+runCost {
				t.Fatalf("object %v: cost %d of %d bytes", o.Meta.Location, o.cost, have)
			}
		}
		if n != g.bytes {
			t.Fatalf("group %d: bytes = %d, sum is %d", g.id, g.bytes, n)
		}
		sum += n
	}
	if sum != tr.bytes {
		t.Fatalf("track: bytes = %d, sum is %d", tr.bytes, sum)
	}
}
