package main

import (
	"bytes"
	"testing"
)

// read takes the time back off a frame: the reader of the player's tests does
// the same on a canvas.
func read(p *Picture) (ms int64, ok bool) {
	size := p.width / 32
	bit := func(i int) uint64 {
		x, y := i%32*size+size/2, i/32*size+size/2
		if p.Frame[y*p.width+x] > 125 {
			return 1
		}
		return 0
	}
	var data, sync uint64
	for i := range 64 {
		if i%32 < 4 {
			sync = sync<<1 | bit(i)
		} else {
			data = data<<1 | bit(i)
		}
	}
	ms = int64(data >> 8)
	return ms, sync == 0b1010_0101 && byte(data) == crc8(ms)
}

func TestStampIsRead(t *testing.T) {
	for _, size := range [][2]int{{640, 360}, {1280, 720}, {64, 100}} {
		p := NewPicture(size[0], size[1])
		for n, want := range []int64{0, 1, 1_795_221_192_371, 1<<48 - 1} {
			p.Draw(int64(n), want)
			if got, ok := read(p); got != want || !ok {
				t.Errorf("read(%v, stamp %d) = %d, %v", size, want, got, ok)
			}
		}
	}
}

// TestChecksum has the CRC-8 of "123456", worked out apart from this code.
func TestChecksum(t *testing.T) {
	if got := crc8(0x313233343536); got != 0xfd {
		t.Errorf("crc8 = %#x, want 0xfd", got)
	}
}

func TestFramesMove(t *testing.T) {
	p := NewPicture(640, 360)
	p.Draw(0, 0)
	first := bytes.Clone(p.Frame)
	p.Draw(1, 0)
	if bytes.Equal(first, p.Frame) {
		t.Error("two frames of the same time are equal: the bar does not move")
	}
	for n := range int64(1000) { // the bar stays inside
		p.Draw(n, 0)
	}
}

func TestRunWritesWholeFrames(t *testing.T) {
	var out bytes.Buffer
	if err := run(&out, NewPicture(64, 100), 240, 5); err != nil {
		t.Fatal(err)
	}
	if got, want := out.Len(), 5*64*100*3/2; got != want {
		t.Errorf("run wrote %d bytes, want %d", got, want)
	}
}
