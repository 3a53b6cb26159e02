package fmp4_test

import (
	"fmt"
	"io"
	"log"
	"os"

	"github.com/tributary-live/tributary/pub/fmp4"
)

// What comes from a pipe is read chunk by chunk; here a file stands for it.
func ExampleReader() {
	f, err := os.Open("testdata/keyframe_empty.mp4")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	r := fmp4.NewReader(f, nil)
	in, err := r.Init()
	if err != nil {
		log.Fatal(err)
	}
	for _, t := range in.Tracks {
		fmt.Println(t.ID, t.Kind, t.Codec)
	}
	for {
		c, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("track %d at %d: %d samples, %d bytes\n", c.Track, c.DTS, c.Samples, len(c.Data))
	}
	// Output:
	// 1 video avc1.42C00A
	// 2 audio mp4a.40.2
	// track 1 at 0: 5 samples, 203 bytes
	// track 2 at 0: 9 samples, 880 bytes
	// track 1 at 5776: 5 samples, 187 bytes
	// track 2 at 9216: 8 samples, 658 bytes
	// track 1 at 10896: 2 samples, 148 bytes
	// track 2 at 17408: 3 samples, 366 bytes
}
