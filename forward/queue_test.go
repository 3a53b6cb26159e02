package forward

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Letters stand for frames of ten bytes, capital ones for those at which a stream
// can begin; each comes 100 ms after the one before. "!" is a connection that is
// lost, "^" one that is found, "-" a frame that is taken, "." a second.
func TestQueue(t *testing.T) {
	for _, tt := range []struct {
		in      string
		want    string // what is left
		dropped uint64
		late    uint64
	}{
		{"Aab", "Aab", 0, 0},
		{"abAb", "Ab", 2, 2},                  // it begins where a stream can
		{"AabBcC", "AabBcC", 0, 0},            // a first connection may take a while
		{"!AabBc", "Bc", 3, 0},                // one who comes back gets what is new
		{"^AabB!", "B", 3, 0},                 // what was not sent
		{"^Aab--!", "", 1, 0},                 // the rest of a group that was begun
		{"^Aab--!cdEf", "Ef", 3, 0},           // and what belongs to it
		{"^AabBcdefgh-i", "abBcdefghi", 0, 0}, // just 100 bytes
		{"AabBcdefghij", "Bcdefghij", 3, 3},   // over 100 bytes
		{"Aabcdefghijk", "", 12, 12},          // over, and nowhere to begin
		{"AabcdefghijkLm", "Lm", 12, 12},      // but there
		{"Aab......c", "", 4, 4},              // waits for more than 5 s
		{"AaB......c", "Bc", 2, 2},            // the same
		{"AaB.....!C", "C", 3, 0},
	} {
		q := newQueue(100, 5*time.Second)
		now := time.Now()
		for _, c := range tt.in {
			switch c {
			case '!':
				q.lose()
			case '^':
				q.found()
			case '-':
				q.next()
			case '.':
				now = now.Add(time.Second)
			default:
				now = now.Add(100 * time.Millisecond)
				q.push(frame{start: c < 'a', body: []byte(strings.Repeat(string(c), 10))}, now)
			}
		}
		dropped, late := q.dropped, q.late
		var left strings.Builder
		for bytes := q.bytes; ; bytes = q.bytes {
			f, ok := q.next()
			if !ok {
				if bytes != 0 {
					t.Errorf("%q: an empty queue has %d bytes", tt.in, bytes)
				}
				break
			}
			fmt.Fprintf(&left, "%c", f.body[0])
		}
		if left.String() != tt.want || dropped != tt.dropped || late != tt.late {
			t.Errorf("%q: left %q, dropped %d, of them late %d, want %q, %d, %d", tt.in, left.String(), dropped, late, tt.want, tt.dropped, tt.late)
		}
	}
}
