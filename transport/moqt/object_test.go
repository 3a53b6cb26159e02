package moqt

import (
	"math"
	"testing"
)

func TestLocationOrder(t *testing.T) {
	const top = math.MaxUint64
	ordered := []Location{{0, 0}, {0, 1}, {0, top}, {1, 0}, {1, 1}, {top, 0}, {top, top}}
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := a.Compare(b); got != want {
				t.Errorf("%v.Compare(%v) = %d, want %d", a, b, got, want)
			}
			if got := a.Less(b); got != (i < j) {
				t.Errorf("%v.Less(%v) = %v", a, b, got)
			}
		}
	}
	if got := (Location{12, 3}).String(); got != "12/3" {
		t.Errorf("String = %q", got)
	}
}

func TestPropertiesValue(t *testing.T) {
	p := Properties{{Type: 2, Value: 7}, {Type: 4, Value: 0}, {Type: 4, Value: 9}}
	for _, test := range []struct {
		typ, want uint64
		ok        bool
	}{{2, 7, true}, {4, 0, true}, {6, 0, false}} {
		if got, ok := p.Value(test.typ); got != test.want || ok != test.ok {
			t.Errorf("Value(0x%x) = %d, %v, want %d, %v", test.typ, got, ok, test.want, test.ok)
		}
	}
}

func TestStatusString(t *testing.T) {
	for s, want := range map[Status]string{
		StatusNormal: "normal", StatusEndOfGroup: "end of group", StatusEndOfTrack: "end of track", 1: "status 0x1",
	} {
		if got := s.String(); got != want {
			t.Errorf("Status(%d) = %q, want %q", uint64(s), got, want)
		}
	}
}

func TestLocationNeighbours(t *testing.T) {
	for _, c := range []struct{ l, next Location }{
		{Location{0, 0}, Location{0, 1}},
		{Location{3, 7}, Location{3, 8}},
		{Location{3, WholeGroup}, Location{4, 0}},
		{Location{LastGroup, WholeGroup - 1}, Location{LastGroup, WholeGroup}},
	} {
		if got := c.l.Next(); got != c.next {
			t.Errorf("%v.Next() = %v, want %v", c.l, got, c.next)
		}
		if got := c.next.Prev(); got != c.l {
			t.Errorf("%v.Prev() = %v, want %v", c.next, got, c.l)
		}
	}
	if first, last := (Location{}), (Location{LastGroup, WholeGroup}); first.Prev() != first || last.Next() != last {
		t.Errorf("Prev() of the first = %v, Next() of the last = %v, want themselves", first.Prev(), last.Next())
	}
}
