package cache

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
)

// framed returns an object that has room for a header of room bytes.
func framed(t *testing.T, room int) *Object {
	t.Helper()
	tr := NewTrack(Options{})
	t.Cleanup(tr.Close)
	o := object(1, 0)
	buf := append(make([]byte, room), o.Payload...)
	o.Payload = buf[room:]
	if fresh, err := open(t, tr.Source(nil), 1).AppendBehind(o, buf); !fresh || err != nil {
		t.Fatalf("AppendBehind() = %v, %v", fresh, err)
	}
	c := cursor(t, all(tr))
	obj, ok := c.TryNext()
	if !ok {
		t.Fatal("TryNext() = no object")
	}
	if p, whole := obj.Payload(); !whole || !bytes.Equal(p, payload(1, 0)) {
		t.Fatalf("Payload() = %q, %v", p, whole)
	}
	return obj
}

func TestFramed(t *testing.T) {
	o := framed(t, 4)
	if _, ok := o.Framed([]byte("12345")); ok {
		t.Error("Framed() of a header that has no room = true")
	}
	first, ok := o.Framed([]byte("abc"))
	if want := append([]byte("abc"), payload(1, 0)...); !ok || !bytes.Equal(first, want) {
		t.Fatalf("Framed() = %q, %v, want %q", first, ok, want)
	}
	if again, ok := o.Framed([]byte("abc")); !ok || &again[0] != &first[0] {
		t.Errorf("Framed() with the same header = %q, %v, want the same memory", again, ok)
	}
	for _, other := range []string{"abd", "ab", "abcd", ""} {
		if p, ok := o.Framed([]byte(other)); ok {
			t.Errorf("Framed(%q) after another header = %q", other, p)
		}
	}
	if p, _ := o.Payload(); !bytes.Equal(p, payload(1, 0)) {
		t.Errorf("Payload() = %q after Framed()", p)
	}
	if _, ok := framed(t, 0).Framed([]byte("a")); ok {
		t.Error("Framed() of an object without room = true")
	}
}

// Whoever frames an object first, nobody ever sees the header of another.
func TestFramedAtOnce(t *testing.T) {
	o := framed(t, 8)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			head := []byte(fmt.Sprintf("head%d", i%2))
			for range 100 {
				if p, ok := o.Framed(head); ok && !bytes.Equal(p, append(head[:5:5], payload(1, 0)...)) {
					t.Errorf("Framed(%q) = %q", head, p)
				}
			}
		})
	}
	wg.Wait()
}
