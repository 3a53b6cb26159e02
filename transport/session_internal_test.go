package transport

import (
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

func TestRequestIDs(t *testing.T) {
	ids := idSet{next: 1}
	for _, tt := range []struct {
		id  uint64
		new bool
	}{{1, true}, {1, false}, {5, true}, {5, false}, {3, true}, {3, false}, {7, true}, {1, false}, {math.MaxUint64, true}, {math.MaxUint64, false}, {9, true}} {
		if got := ids.add(tt.id); got != tt.new {
			t.Errorf("add(%d) = %v, want %v", tt.id, got, tt.new)
		}
	}
	if ids.next != 11 || len(ids.ahead) != 1 {
		t.Errorf("next = %d with %d ahead, want 11 with one", ids.next, len(ids.ahead))
	}
	// In any order, each is new once.
	ids = idSet{}
	order := rand.New(rand.NewPCG(1, 2)).Perm(3000)
	for _, i := range order {
		if !ids.add(uint64(2 * i)) {
			t.Fatalf("add(%d) = false", 2*i)
		}
	}
	for _, i := range order {
		if ids.add(uint64(2*i)) || !ids.has(uint64(2*i)) {
			t.Fatalf("id %d is new again", 2*i)
		}
	}
	if ids.next != 6000 || len(ids.ahead) != 0 {
		t.Errorf("next = %d with %d ahead, want 6000 with none", ids.next, len(ids.ahead))
	}
	// Ids that are left out cost a bounded memory, and late ones count as used.
	ids = idSet{}
	for i := range uint64(100_000) {
		if !ids.add(4*i + 2) {
			t.Fatalf("add(%d) = false", 4*i+2)
		}
		if len(ids.ahead) > maxIDsAhead {
			t.Fatalf("%d ids are remembered", len(ids.ahead))
		}
	}
	if ids.add(0) {
		t.Error("an id that was left out long ago is new")
	}
}

func TestRetiredAliases(t *testing.T) {
	var r retired
	if r.has(0) {
		t.Error("has(0) before it was added")
	}
	for i := range uint64(1000) {
		r.add(i)
		r.add(i)
		r.add(7) // again and again
	}
	n := 0
	for i := range uint64(1000) {
		if r.has(i) {
			n++
		}
	}
	if n != 256 || len(r.set) != 256 || !r.has(999) || r.has(100) {
		t.Errorf("%d aliases are remembered, the last: %v, an old one: %v; want the last 256", n, r.has(999), r.has(100))
	}
}

// script is a stream that gives what it is told, and takes note of deadlines.
type script struct {
	steps    []any // string to read, or "deadline" checks as func
	deadline time.Time
	set      int
}

func (s *script) Read(p []byte) (int, error) {
	step := s.steps[0]
	s.steps = s.steps[1:]
	switch step := step.(type) {
	case string:
		return copy(p, step), nil
	case func():
		step()
		return s.Read(p)
	}
	return 0, io.EOF
}
func (s *script) CancelRead(moqt.StreamCode) {}
func (s *script) SetReadDeadline(t time.Time) error {
	s.deadline = t
	s.set++
	return nil
}

func TestTimedStream(t *testing.T) {
	s := &script{}
	armed := func(want bool) func() {
		return func() {
			t.Helper()
			if got := !s.deadline.IsZero(); got != want {
				t.Errorf("deadline set: %v, want %v", got, want)
			}
		}
	}
	buf := make([]byte, 10)
	ts := timed(s, time.Second)
	s.steps = []any{
		armed(true), "a", // the first has begun
		armed(true), "b",
		armed(false), "c", // the next may be long in coming
		armed(true), "d",
		armed(false), "e",
	}
	read := func() { ts.Read(buf) }
	read()
	read()
	first := s.deadline
	ts.next(false)
	read()
	read()
	if !s.deadline.After(first) {
		t.Error("the second message has the deadline of the first")
	}
	absolute := s.deadline
	ts.next(false)
	read()

	// One that was read with the one before has begun.
	s.steps = []any{armed(true), "f", armed(true), "g", armed(true), "h", armed(true), "i"}
	ts.next(true)
	read()
	if !s.deadline.After(absolute) {
		t.Error("the deadline is that of the message before")
	}
	absolute = s.deadline
	read()
	if s.deadline != absolute {
		t.Error("the deadline has moved inside a message")
	}
	ts.next(true)
	read()
	if s.deadline == absolute {
		t.Error("a message has the deadline of the one it came with")
	}
	absolute = s.deadline
	ts.progress = true
	read()
	if s.deadline == absolute {
		t.Error("the deadline has not moved although there was progress")
	}
	// Small messages that come whole cost no deadline.
	ts.next(false)
	s.steps = []any{"i", "j", "k"}
	read()
	set := s.set
	ts.next(false)
	read()
	ts.next(false)
	read()
	if s.set != set {
		t.Errorf("%d deadlines for two messages in one piece each", s.set-set)
	}
	if !isTimeout(os.ErrDeadlineExceeded) || isTimeout(errors.New("x")) || isTimeout(io.EOF) {
		t.Error("isTimeout is wrong")
	}
}
