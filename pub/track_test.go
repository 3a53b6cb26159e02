package pub

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// heldGroups returns what is held as group:first-last.
func (t *Track) heldGroups() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, bytes := "", int64(0)
	for _, g := range t.groups {
		s += fmt.Sprintf(" %d:%d-%d", g.id, g.first, g.first+uint64(len(g.objects))-1)
		for _, o := range g.objects {
			bytes += int64(len(o.payload))
		}
	}
	if bytes != t.bytes {
		s += fmt.Sprintf(" (%d bytes counted as %d)", bytes, t.bytes)
	}
	return s
}

func TestOldGroupsAreDropped(t *testing.T) {
	for _, tt := range []struct {
		name   string
		groups int
		every  time.Duration
		want   string
	}{
		{"short groups for a while", 12, time.Second, " 7:0-0 8:0-0 9:0-0 10:0-0 11:0-0 12:0-0"},
		{"long groups by their number", 6, 10 * time.Second, " 4:0-0 5:0-0 6:0-0"},
		{"all at the beginning", 5, time.Second, " 1:0-0 2:0-0 3:0-0 4:0-0 5:0-0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := newTrack(PriorityVideo)
				for g := 1; g <= tt.groups; g++ {
					if g > 1 {
						time.Sleep(tt.every)
					}
					tr.Append(uint64(g), []byte("x"))
				}
				if got := tr.heldGroups(); got != tt.want {
					t.Errorf("held%s, want%s", got, tt.want)
				}
			})
		})
	}
}

func TestBytesAreBounded(t *testing.T) {
	tr := newTrack(PriorityVideo)
	third := make([]byte, maxHeld/3)
	tr.Append(1, third)
	tr.Append(2, third)
	tr.Append(2, third)
	tr.Append(2, third)
	if got, want := tr.heldGroups(), " 2:0-2"; got != want {
		t.Errorf("held%s, want%s: the old group goes first", got, want)
	}
	tr.Append(2, third)
	if got, want := tr.heldGroups(), " 2:1-3"; got != want {
		t.Errorf("held%s, want%s: a group alone loses its head", got, want)
	}
	c := cursor{group: 2}
	if s := tr.at(&c); !s.found || c.object != 1 {
		t.Errorf("at the start of the group: %+v at %+v, want object 1", s, c)
	}
	c = cursor{group: 2, object: 0, begun: true}
	if s := tr.at(&c); !s.skip || c.group != 3 {
		t.Errorf("overtaken by the loss: %+v at %+v, want a skip to group 3", s, c)
	}
	tr.Append(3, make([]byte, maxHeld+1))
	if got, want := tr.heldGroups(), " 3:0-0"; got != want {
		t.Errorf("held%s, want%s: the newest object stays", got, want)
	}
}

func TestGroupIDsMustRise(t *testing.T) {
	tr := newTrack(PriorityVideo)
	tr.Append(2, nil)
	defer func() {
		if recover() == nil {
			t.Error("Append() of a lower group did not panic")
		}
	}()
	tr.Append(1, nil)
}
