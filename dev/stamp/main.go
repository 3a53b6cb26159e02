// Command stamp writes raw video that carries the wall clock in its picture, so
// that whoever shows the picture can tell how old it is:
//
//	stamp -seconds 30 | ffmpeg -f rawvideo -pix_fmt yuv420p -s 640x360 -r 30 -i - …
//
// Frames are planar YUV 4:2:0, written at the pace of the frame rate. The top
// of each holds two rows of 32 cells of 20 by 20 pixels, white for 1 and black
// for 0, which survive any encoder: see [Stamp]. Below, a bar moves over a
// gradient, so that a picture that stands still is seen.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

func main() {
	seconds := flag.Float64("seconds", 0, "how long to run; 0 is for ever")
	rate := flag.Int("fps", 30, "frames per second")
	width := flag.Int("width", 640, "width in pixels, a multiple of 64")
	height := flag.Int("height", 360, "height in pixels, even, at least 100")
	flag.Parse()
	if *rate < 1 || *rate > 240 || *width < 64 || *width%64 != 0 || *height < 100 || *height%2 != 0 {
		fmt.Fprintln(os.Stderr, "stamp: bad size or rate; see -help")
		os.Exit(2)
	}
	frames := int64(*seconds * float64(*rate))
	err := run(os.Stdout, NewPicture(*width, *height), *rate, frames)
	// The reader is an encoder that may stop first; that is a normal end.
	if err != nil && !errors.Is(err, syscall.EPIPE) {
		fmt.Fprintln(os.Stderr, "stamp:", err)
		os.Exit(1)
	}
}

// run writes frames at the given rate; frames == 0 is for ever. A late frame is
// not dropped: the reader counts frames to tell the time.
func run(w io.Writer, p *Picture, rate int, frames int64) error {
	out := bufio.NewWriterSize(w, len(p.Frame))
	start := time.Now()
	for n := int64(0); frames == 0 || n < frames; n++ {
		due := start.Add(time.Duration(n) * time.Second / time.Duration(rate))
		if d := time.Until(due); d > 0 {
			time.Sleep(d)
		}
		p.Draw(n, time.Now().UnixMilli())
		if _, err := out.Write(p.Frame); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}
