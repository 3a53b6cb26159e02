package cache

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

func TestDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := NewTrack(Options{})
		a, b := tr.Source(nil), tr.Source(nil)
		r := tr.Reader(loc(2, 0), 4)
		got := make(chan uint64, 10)
		go func() {
			for {
				o, err := r.NextDatagram(t.Context())
				if err != nil {
					if err != io.EOF {
						t.Errorf("NextDatagram() = %v, want EOF", err)
					}
					close(got)
					return
				}
				got <- o.Meta.Group
			}
		}()
		for _, g := range []uint64{1, 3, 2, 4, 5} {
			synctest.Wait()
			if fresh, err := a.Datagram(object(g, 0)); !fresh || err != nil {
				t.Errorf("Datagram = %v, %v", fresh, err)
			}
			if fresh, err := b.Datagram(object(g, 0)); fresh || err != nil {
				t.Errorf("Datagram of a copy = %v, %v", fresh, err)
			}
		}
		synctest.Wait()
		tr.End()
		want := []uint64{3, 2, 4}
		for g := range got {
			if len(want) == 0 || g != want[0] {
				t.Fatalf("group %d, want %v next", g, want)
			}
			want = want[1:]
		}
		if len(want) > 0 {
			t.Errorf("groups %v are missing", want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := NewTrack(Options{}).Reader(loc(0, 0), LastGroup).NextDatagram(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("NextDatagram() = %v, want the deadline", err)
		}
		tr.Close()
		if _, err := r.NextDatagram(t.Context()); err != ErrClosed {
			t.Errorf("NextDatagram() after Close = %v", err)
		}
	})
}

func TestSlowDatagramReaderLosesTheOldest(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	s := tr.Source(nil)
	r := all(tr)
	for i := range uint64(datagramBacklog + 10) {
		if _, err := s.Datagram(object(i/100, i)); err != nil {
			t.Fatal(err)
		}
	}
	o, err := r.NextDatagram(t.Context())
	if err != nil || o.Meta.Object != 10 {
		t.Errorf("NextDatagram() = %v, %v, want object 10", o, err)
	}
	if got := tr.Stats().Skipped; got != 10 || r.Missed() != 10 {
		t.Errorf("Skipped = %d and Missed() = %d, want 10", got, r.Missed())
	}
	for range datagramBacklog - 1 {
		if _, err := r.NextDatagram(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.Missed(); got != 10 {
		t.Errorf("Missed() = %d after all others were read, want 10", got)
	}
}

func TestDatagramsTellsOfTheFirst(t *testing.T) {
	tr := NewTrack(Options{})
	defer tr.Close()
	r := all(tr)
	come := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	before := r.Datagrams()
	if come(before) {
		t.Error("Datagrams() tells of some before there are any")
	}
	if _, err := tr.Source(nil).Datagram(object(1, 0)); err != nil {
		t.Fatal(err)
	}
	if !come(before) {
		t.Error("Datagrams() does not tell of one that has come")
	}
	if !come(r.Datagrams()) {
		t.Error("Datagrams() does not tell of one that was there")
	}
}
