package cache

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

func TestFirstCopyWinsLaterCopiesAreDropped(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a, b := open(t, tr.Source(nil), 7), open(t, tr.Source(nil), 7)
	c := func() *Cursor { put(t, a, true, 0); return cursor(t, all(tr)) }()
	put(t, b, false, 0)
	put(t, b, true, 1, 2)
	put(t, a, false, 1, 2)
	put(t, a, true, 3)
	finish(t, a)
	put(t, b, false, 3)
	finish(t, b)
	if !c.Header().First || !c.Header().EndOfGroup {
		t.Errorf("Header() = %+v, want First and EndOfGroup", c.Header())
	}
	wantRead(t, c, "[0 1 2 3]", io.EOF)
	st := tr.Stats()
	if st.Fresh != 4 || st.Duplicate != 4 || st.FreshBytes != st.DuplicateBytes {
		t.Errorf("Stats() = %+v, want 4 fresh and 4 duplicate of the same bytes", st)
	}
	checkBytes(t, tr)
}

// Each row is a track that source a has written 0, 1 and 2 of group 5 of, and
// what another source, or the same, does then.
func TestFaults(t *testing.T) {
	sub := func(id uint64, p moqt.Priority) moqt.Subgroup {
		return moqt.Subgroup{Group: 5, ID: id, Priority: p}
	}
	with := func(id uint64, change func(*moqt.Object)) moqt.Object {
		o := object(5, id)
		change(&o)
		return o
	}
	props := func(id uint64, ps ...moqt.Property) moqt.Object {
		return with(id, func(o *moqt.Object) { o.Properties = ps })
	}
	marker := func(id uint64, s moqt.Status) moqt.Object {
		return with(id, func(o *moqt.Object) { o.Status, o.Payload = s, nil })
	}
	write := func(s *Source, h moqt.Subgroup, objects ...moqt.Object) error {
		w, err := s.Open(h)
		for _, o := range objects {
			if err == nil {
				_, err = w.Append(o)
			}
		}
		return err
	}
	fin := func(s *Source, h moqt.Subgroup, objects ...moqt.Object) error {
		w, err := s.Open(h)
		for _, o := range objects {
			if err == nil {
				_, err = w.Append(o)
			}
		}
		if err != nil {
			return err
		}
		return w.Close()
	}
	gap := func(typ, n uint64) moqt.Property { return moqt.Property{Type: typ, Value: n} }
	immutable := moqt.Property{Type: moqt.PropImmutable, Bytes: []byte{1, 2}}

	for _, test := range []struct {
		name string
		// other and own are the errors if a second source does it, and if a
		// does; both nil means that it is allowed.
		other, own error
		do         func(a *Writer, s *Source) error
	}{
		{"equal copy on another stream", nil, nil, func(a *Writer, s *Source) error { return write(s, sub(0, 0), object(5, 1)) }},
		{"other payload", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, sub(0, 0), with(1, func(o *moqt.Object) { o.Payload = bytes.Repeat([]byte("x"), len(o.Payload)) }))
		}},
		{"other length", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, sub(0, 0), with(1, func(o *moqt.Object) { o.Payload = o.Payload[1:] }))
		}},
		{"other subgroup", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error { return write(s, sub(1, 0), object(5, 1)) }},
		{"other forwarding preference", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error {
			_, err := s.Datagram(object(5, 1))
			return err
		}},
		{"other priority in the subgroup", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error { return write(s, sub(0, 9), object(5, 3)) }},
		{"priority of another subgroup", nil, nil, func(a *Writer, s *Source) error { return write(s, sub(1, 9), object(5, 3)) }},
		{"other status", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, sub(0, 0), marker(1, moqt.StatusEndOfGroup))
		}},
		{"unknown status", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error { return write(s, sub(0, 0), marker(3, 2)) }},
		{"marker with payload", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, sub(0, 0), with(3, func(o *moqt.Object) { o.Status = moqt.StatusEndOfGroup }))
		}},
		{"other immutable properties", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error { return write(s, sub(0, 0), props(1, immutable)) }},
		{"other mutable properties", nil, nil, func(a *Writer, s *Source) error { return write(s, sub(0, 0), props(1, gap(0x78, 4))) }},
		{"immutable properties twice", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, sub(0, 0), props(3, immutable, immutable))
		}},
		{"mandatory track property on an object", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, sub(0, 0), props(3, gap(0x4002, 1)))
		}},
		{"ids not ascending on a stream", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, sub(0, 0), object(5, 3), object(5, 3))
		}},

		{"object gap over nothing", nil, nil, func(a *Writer, s *Source) error {
			return write(s, sub(0, 0), props(6, gap(moqt.PropPriorObjectIDGap, 3)))
		}},
		{"object gap over an object", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, sub(0, 0), props(6, gap(moqt.PropPriorObjectIDGap, 4)))
		}},
		{"object in a gap", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, sub(0, 0), props(6, gap(moqt.PropPriorObjectIDGap, 3))) // then 4, below
		}},
		{"object gap larger than the id", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, sub(0, 0), props(6, gap(moqt.PropPriorObjectIDGap, 7)))
		}},
		{"group gap over nothing", nil, nil, func(a *Writer, s *Source) error {
			return write(s, moqt.Subgroup{Group: 9}, with(0, func(o *moqt.Object) { o.Properties = moqt.Properties{gap(moqt.PropPriorGroupIDGap, 3)} }))
		}},
		{"group gap over a group", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, moqt.Subgroup{Group: 9}, with(0, func(o *moqt.Object) { o.Properties = moqt.Properties{gap(moqt.PropPriorGroupIDGap, 4)} }))
		}},
		{"group gap larger than the id", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, moqt.Subgroup{Group: 9}, with(0, func(o *moqt.Object) { o.Properties = moqt.Properties{gap(moqt.PropPriorGroupIDGap, 10)} }))
		}},
		{"group in a gap", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			if err := write(s, moqt.Subgroup{Group: 9}, with(0, func(o *moqt.Object) { o.Properties = moqt.Properties{gap(moqt.PropPriorGroupIDGap, 3)} })); err != nil {
				return err
			}
			return write(s, moqt.Subgroup{Group: 7}, object(7, 0))
		}},
		{"other group gap in a group", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			h := moqt.Subgroup{Group: 9}
			return write(s, h, props(0, gap(moqt.PropPriorGroupIDGap, 3)), props(1, gap(moqt.PropPriorGroupIDGap, 2)))
		}},

		{"FIN before the last object", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error { return fin(s, sub(0, 0), object(5, 1)) }},
		{"object after the last of the subgroup", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error {
			if err := a.Close(); err != nil {
				return err
			}
			return write(s, sub(0, 0), object(5, 3))
		}},
		{"two FINs after different objects", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error {
			if err := a.Close(); err != nil {
				return err
			}
			return fin(s, sub(0, 0), object(5, 0))
		}},
		{"two equal FINs", nil, nil, func(a *Writer, s *Source) error {
			if err := a.Close(); err != nil {
				return err
			}
			return fin(s, sub(0, 0), object(5, 2))
		}},
		{"object after the last of the group", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error {
			if err := a.Close(); err != nil { // END_OF_GROUP
				return err
			}
			return write(s, sub(1, 0), object(5, 3))
		}},
		{"END_OF_GROUP before an object of another subgroup", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, sub(1, 0), marker(1, moqt.StatusEndOfGroup))
		}},
		{"FIN with END_OF_GROUP before an object of another subgroup", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			if err := write(s, sub(1, 0), object(5, 8)); err != nil {
				return err
			}
			h := sub(2, 0)
			h.EndOfGroup = true
			return fin(s, h, object(5, 7))
		}},
		{"two ends of a group", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			if err := write(s, sub(1, 0), marker(8, moqt.StatusEndOfGroup)); err != nil {
				return err
			}
			return write(s, sub(1, 0), marker(7, moqt.StatusEndOfGroup))
		}},
		{"END_OF_GROUP after the last object", nil, nil, func(a *Writer, s *Source) error {
			return write(s, sub(1, 0), marker(3, moqt.StatusEndOfGroup))
		}},
		{"object after END_OF_GROUP", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, sub(1, 0), marker(3, moqt.StatusEndOfGroup), object(5, 4))
		}},
		{"object after END_OF_TRACK", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			if err := write(s, sub(1, 0), marker(3, moqt.StatusEndOfTrack)); err != nil {
				return err
			}
			return write(s, moqt.Subgroup{Group: 6}, object(6, 0))
		}},
		{"END_OF_TRACK before an object", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, sub(1, 0), marker(1, moqt.StatusEndOfTrack))
		}},
		{"END_OF_TRACK within a group that goes on", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			if err := write(s, sub(1, 0), object(5, 9)); err != nil {
				return err
			}
			return write(s, sub(1, 0), marker(8, moqt.StatusEndOfTrack))
		}},
		{"END_OF_TRACK before a group", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error {
			return write(s, moqt.Subgroup{Group: 4}, marker(0, moqt.StatusEndOfTrack))
		}},

		{"next object in the middle of one", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			w := openWith(t, s, sub(0, 0))
			if err := w.Start(object(5, 3), 10); err != nil {
				return err
			}
			_, err := w.Append(object(5, 4))
			return err
		}},
		{"FIN in the middle of an object", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			w := openWith(t, s, sub(0, 0))
			if err := w.Start(object(5, 3), 10); err != nil {
				return err
			}
			return w.Close()
		}},
		{"payload longer than its length", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			w := openWith(t, s, sub(0, 0))
			if err := w.Start(object(5, 3), 10); err != nil {
				return err
			}
			_, err := w.Extend(make([]byte, 11))
			return err
		}},
		{"bytes without an object", ErrMalformed, ErrMalformed, func(a *Writer, s *Source) error {
			_, err := openWith(t, s, sub(0, 0)).Extend([]byte{1})
			return err
		}},
		{"other payload by pieces", ErrContradiction, ErrMalformed, func(a *Writer, s *Source) error {
			w := openWith(t, s, sub(0, 0))
			p := payload(5, 2)
			if err := w.Start(object(5, 2), int64(len(p))); err != nil {
				return err
			}
			if n, err := w.Extend(p[:4]); n != 0 || err != nil {
				t.Errorf("Extend of a copy = %d, %v", n, err)
			}
			_, err := w.Extend([]byte{'x'})
			return err
		}},
	} {
		for _, second := range []bool{true, false} {
			name, want := test.name+" by the same source", test.own
			if second {
				name, want = test.name+" by a second source", test.other
			}
			t.Run(name, func(t *testing.T) {
				tr := NewTrack(Options{})
				defer tr.Close()
				first := tr.Source(nil)
				a := open(t, first, 5)
				put(t, a, true, 0, 1, 2)
				s := first
				if second {
					s = tr.Source(nil)
				}
				err := test.do(a, s)
				if test.name == "object in a gap" && err == nil {
					err = write(s, sub(1, 0), object(5, 4))
				}
				checkBytes(t, tr)
				if want == nil {
					if err != nil {
						t.Fatalf("error = %v, want none", err)
					}
					return
				}
				wantFault(t, "error", err, want)
				st := tr.Stats()
				if st.Contradictory+st.Malformed != 1 || (st.Contradictory == 1) != errors.Is(want, ErrContradiction) {
					t.Errorf("Stats() = %+v, want one fault", st)
				}
				// The source is heard no more, the other one is.
				if _, again := s.Open(moqt.Subgroup{Group: 11}); !errors.Is(again, want) {
					t.Errorf("Open after the fault = %v, want %v", again, err)
				}
				if _, again := s.Datagram(object(11, 0)); !errors.Is(again, want) {
					t.Errorf("Datagram after the fault = %v, want %v", again, err)
				}
				ids, _ := read(t, cursor(t, all(tr)))
				if len(ids) < 3 {
					t.Errorf("read %v after the fault, want what was there before", ids)
				}
			})
		}
	}
}

func TestSourceThatContradictsLeavesNothing(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a := open(t, tr.Source(nil), 0)
	put(t, a, true, 0, 1)
	before := tr.Bytes()
	for range 1000 {
		o := object(0, 1)
		o.Payload = []byte("poison, of the same length as <0/1><0/1><0/1>")[:len(o.Payload)]
		_, err := open(t, tr.Source(nil), 0).Append(o)
		wantFault(t, "Append(other bytes)", err, ErrContradiction)
	}
	put(t, a, true, 2)
	finish(t, a)
	wantRead(t, cursor(t, all(tr)), "[0 1 2]", io.EOF)
	if got := tr.Bytes() - before; got > 2*objectCost {
		t.Errorf("Bytes() grew by %d", got)
	}
	if got := tr.Stats().Contradictory; got != 1000 {
		t.Errorf("Contradictory = %d, want 1000", got)
	}
}

func TestAnotherSourceContinuesAtTheByte(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	p := payload(0, 0)
	size := int64(len(p))
	a, b := open(t, tr.Source(nil), 0), open(t, tr.Source(nil), 0)
	if err := a.Start(object(0, 0), size); err != nil {
		t.Fatal(err)
	}
	if err := b.Start(object(0, 0), size); err != nil {
		t.Fatal(err)
	}
	extend := func(w *Writer, from, to, fresh int) {
		t.Helper()
		if got, err := w.Extend(p[from:to]); got != fresh || err != nil {
			t.Errorf("Extend(%d:%d) = %d, %v, want %d", from, to, got, err, fresh)
		}
	}
	extend(a, 0, 6, 6)
	extend(b, 0, 4, 0)
	c := cursor(t, all(tr))
	o, ok := c.TryNext()
	if !ok {
		t.Fatal("an object that is arriving is not seen")
	}
	if got, done, err := o.Bytes(t.Context(), 0); string(got) != string(p[:6]) || done || err != nil {
		t.Errorf("Bytes(0) = %q, %v, %v", got, done, err)
	}
	a.Abort()
	extend(b, 4, 9, 3)
	extend(b, 9, len(p), len(p)-9)
	if got, done, err := o.Bytes(t.Context(), 6); string(got) != string(p[6:]) || !done || err != nil {
		t.Errorf("Bytes(6) = %q, %v, %v", got, done, err)
	}
	if got, done, err := o.Bytes(t.Context(), size); got != nil || !done || err != nil {
		t.Errorf("Bytes(end) = %q, %v, %v", got, done, err)
	}
	put(t, b, true, 1)
	finish(t, b)
	wantRead(t, c, "[1]", io.EOF)
	checkBytes(t, tr)
}

func TestWholeCopyCompletesAPartialOne(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a, b, x := open(t, tr.Source(nil), 0), open(t, tr.Source(nil), 0), open(t, tr.Source(nil), 0)
	p := payload(0, 0)
	if err := a.Start(object(0, 0), int64(len(p))); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Extend(p[:5]); err != nil {
		t.Fatal(err)
	}
	bad := object(0, 0)
	bad.Payload = bytes.Repeat([]byte("x"), len(p))
	_, err := x.Append(bad)
	wantFault(t, "Append(other bytes)", err, ErrContradiction)
	put(t, b, false, 0)
	put(t, b, true, 1)
	finish(t, b)
	if n, err := a.Extend(p[5:]); n != 0 || err != nil {
		t.Errorf("Extend after another's copy = %d, %v", n, err)
	}
	wantRead(t, cursor(t, all(tr)), "[0 1]", io.EOF)
	checkBytes(t, tr)
}
