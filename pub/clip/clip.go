// Package clip holds a short test clip: colour bars with the clip time in large
// digits, a ball that crosses the picture, and a beep every second, a high one
// in the first. It is 8 s of H.264 640x360 at 30 frames per second and AAC
// 48 kHz stereo, as CMAF with a chunk per frame; both tracks are equally long,
// so it loops without a gap. dev/testclip makes it.
package clip

import (
	"bytes"
	_ "embed" // for the clip
	"io"

	"github.com/tributary-live/tributary/pub/fmp4"
)

//go:embed clip.mp4
var mp4 []byte

// MP4 returns a reader of the clip's bytes, of its own for each call.
func MP4() io.ReadSeeker { return bytes.NewReader(mp4) }

// Open returns the clip in a loop: chunks without end, whose decode times rise
// for ever. It does not pace them.
func Open() (*fmp4.Looper, error) { return fmp4.NewLooper(MP4(), nil) }
