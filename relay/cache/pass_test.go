package cache

import (
	"io"
	"testing"
)

// TestPassGoesOnAfterAnothersObjects has one stream bring what another leaves out:
// it goes past the other's objects, ends the subgroup after one of them, and skips
// the rest of one that it has begun.
func TestPassGoesOnAfterAnothersObjects(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	a, b := open(t, tr.Source(nil), 7), open(t, tr.Source(nil), 7)
	put(t, a, true, 0)
	c := cursor(t, all(tr))
	o := object(7, 1)
	if err := a.Start(o, int64(len(o.Payload))); err != nil {
		t.Fatal(err)
	}
	a.Extend(o.Payload[:4])
	if a.Skip() || a.Pass(1) {
		t.Error("it goes past an object of which the rest is missing")
	}
	put(t, b, false, 0)
	put(t, b, false, 1)
	if !a.Skip() {
		t.Error("it does not go past an object that is whole")
	}
	put(t, a, true, 2)
	put(t, b, false, 2)
	put(t, b, true, 3, 4)
	b.Abort()
	if !a.Pass(3) || !a.Pass(4) || a.Pass(4) || a.Pass(5) {
		t.Error("it does not go past objects 3 and 4, or past others")
	}
	finish(t, a)
	if a.Pass(6) {
		t.Error("it goes on after its end")
	}
	wantRead(t, c, "[0 1 2 3 4]", io.EOF)
	checkBytes(t, tr)
}
