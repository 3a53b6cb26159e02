package fmp4

import (
	"io"
	"math"
	"os"
	"testing"
	"time"
)

// The clock of a track says of each chunk what the reader of the file does.
func TestClock(t *testing.T) {
	for _, file := range []string{"cmaf.mp4", "gstreamer.mp4", "keyframe.mp4"} {
		f, err := os.Open("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r := NewReader(f, nil)
		init, err := r.Init()
		if err != nil {
			t.Fatal(err)
		}
		clocks := make(map[uint32]*Clock)
		for _, tr := range init.Tracks {
			c, err := NewClock(tr.Header)
			if err != nil || c.Timescale != tr.Timescale {
				t.Fatalf("%s: NewClock(track %d) = %v, %v, want timescale %d", file, tr.ID, c, err, tr.Timescale)
			}
			clocks[tr.ID] = c
		}
		chunks := 0
		for ; ; chunks++ {
			c, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			start, duration, err := clocks[c.Track].Times(c.Data)
			if err != nil || start != c.DTS || duration != c.Duration {
				t.Errorf("%s: Times() = %d, %d, %v, want %d, %d", file, start, duration, err, c.DTS, c.Duration)
			}
			for n := range min(len(c.Data), 200) {
				if s, d, err := clocks[c.Track].Times(c.Data[:n]); err == nil && (s != start || d != duration) {
					t.Errorf("%s: Times(first %d bytes) = %d, %d", file, n, s, d)
				}
			}
		}
		if chunks == 0 {
			t.Errorf("%s has no chunks", file)
		}
	}
}

func TestNoClock(t *testing.T) {
	for _, header := range []string{"", "moov", "\x00\x00\x00\x08moov", "\x00\x00\x00\x08free"} {
		if c, err := NewClock([]byte(header)); err == nil {
			t.Errorf("NewClock(%q) = %v, want an error", header, c)
		}
	}
	c := Clock{Timescale: 1}
	for _, chunk := range []string{"", "\x00\x00\x00\x08mdat", "\x00\x00\x00\x08moof", "\x00\x00\x00\x18moof\x00\x00\x00\x10traf\x00\x00\x00\x08tfhd"} {
		if _, _, err := c.Times([]byte(chunk)); err == nil {
			t.Errorf("Times(%q) has no error", chunk)
		}
	}
}

func TestDuration(t *testing.T) {
	for _, tt := range []struct {
		n     uint64
		scale uint32
		want  time.Duration
	}{{90000, 90000, time.Second}, {1, 3, 333333333}, {math.MaxUint64, 1, math.MaxInt64}, {0, 1, 0}} {
		if got := Duration(tt.n, tt.scale); got != tt.want {
			t.Errorf("Duration(%d, %d) = %v, want %v", tt.n, tt.scale, got, tt.want)
		}
	}
}
