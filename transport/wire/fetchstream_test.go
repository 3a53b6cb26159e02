package wire

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

func TestFetchEncoderRefuses(t *testing.T) {
	at := func(g, o uint64) FetchObject { return FetchObject{Location: moqt.Location{Group: g, Object: o}} }
	gap := func(g, o uint64, k GapKind) FetchObject {
		f := at(g, o)
		f.Gap = k
		return f
	}
	badProps := at(6, 0)
	badProps.Properties = moqt.Properties{{Type: 4}, {Type: 2}}
	for _, test := range []struct {
		name  string
		order moqt.GroupOrder
		o     FetchObject
	}{
		{"object again", moqt.Ascending, at(5, 5)},
		{"object before", moqt.Ascending, at(5, 4)},
		{"group before", moqt.Ascending, at(4, 9)},
		{"group after, descending", moqt.Descending, at(6, 0)},
		{"object before, descending", moqt.Descending, at(5, 4)},
		{"gap that ends where the object is", moqt.Ascending, gap(5, 5, GapUnknown)},
		{"gap of unknown kind", moqt.Ascending, gap(6, 0, GapUnknown+1)},
		{"properties out of order", moqt.Ascending, badProps},
	} {
		e := draft18.FetchEncoder(test.order)
		first := at(5, 5)
		if _, err := e.Append(nil, &first); err != nil {
			t.Fatal(err)
		}
		before := e
		if b, err := e.Append([]byte("kept"), &test.o); err == nil || string(b) != "kept" || e != before {
			t.Errorf("%s: Append = %x, %v, want an error and nothing changed", test.name, b, err)
		}
	}
}

// All walks of a few steps through groups, subgroups, objects, priorities, kinds
// of records and both forms of gaps come back as they were.
func TestFetchWalks(t *testing.T) {
	steps := []func(o *FetchObject){
		func(o *FetchObject) { o.Object++ },
		func(o *FetchObject) { o.Object += 3; o.Subgroup++ },
		func(o *FetchObject) { o.Object++; o.Subgroup = 0; o.Priority++ },
		func(o *FetchObject) { o.Object++; o.Datagram, o.Subgroup = true, 0 },
		func(o *FetchObject) { o.Object++; o.Subgroup = 9 },
		func(o *FetchObject) { o.Group++; o.Object++ },
		func(o *FetchObject) { o.Group += 2; o.Object = 0; o.Subgroup = math.MaxUint64 },
		func(o *FetchObject) { o.Object += 2; o.Gap = GapUnknown },
		func(o *FetchObject) { o.Group++; o.Object = 1; o.Gap = GapNonExistent },
		func(o *FetchObject) { o.Object++; o.Properties = moqt.Properties{{Type: 2, Value: 3}} },
	}
	walk := func(p *Profile, choice [3]int, order moqt.GroupOrder) *fetchStream {
		s := &fetchStream{order: order, header: FetchHeader{RequestID: 2}}
		last := FetchObject{Location: moqt.Location{Group: 40, Object: 7}, Priority: 10}
		for _, c := range choice {
			o := last
			o.Gap, o.Datagram, o.Properties = GapNone, false, nil
			steps[c](&o)
			o.Subgroup = min(o.Subgroup, p.MaxVarint())
			if order == moqt.Descending && o.Group != last.Group {
				o.Group = 2*last.Group - o.Group
			}
			last = o
			if o.Gap != GapNone {
				o = FetchObject{Location: o.Location, Gap: o.Gap}
			}
			s.objects, s.payloads = append(s.objects, o), append(s.payloads, []byte{})
		}
		return s
	}
	n := len(steps)
	for i := range n * n * n {
		choice := [3]int{i % n, i / n % n, i / n / n}
		for _, order := range []moqt.GroupOrder{moqt.Ascending, moqt.Descending} {
			for _, gapLength := range []bool{false, true} {
				for _, p := range []*Profile{&draft16, &draft18} {
					s := walk(p, choice, order)
					b, err := s.append(p, gapLength)
					if err != nil {
						t.Fatalf("%v: %v: %v", p.version, choice, err)
					}
					got, err := readFetch(p, NewReader(bytes.NewReader(b)), order)
					if err != nil || !reflect.DeepEqual(got, s) {
						t.Fatalf("%v: walk %v, order %v, gap length %v: %x\nread %+v, %v\nwant %+v", p.version, choice, order, gapLength, b, got, err, s)
					}
				}
			}
		}
	}
}

// The walks above are of use only if they take the short forms.
func TestFetchEncoderIsShort(t *testing.T) {
	e := draft18.FetchEncoder(moqt.OrderDefault)
	for _, test := range []struct {
		group, object uint64
		want          string
	}{
		{7, 0, "1c07000109"}, {7, 1, "0009"}, {7, 2, "0009"}, {7, 4, "040209"}, {8, 0, "0c000009"}, {10, 1, "080109"},
	} {
		b, err := e.Append(nil, &FetchObject{Location: moqt.Location{Group: test.group, Object: test.object}, Priority: 1, Size: 9})
		if got := fmt.Sprintf("%x", b); err != nil || got != test.want {
			t.Errorf("object %d/%d is %s, %v, want %s", test.group, test.object, got, err, test.want)
		}
	}
}
