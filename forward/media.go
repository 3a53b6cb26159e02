package forward

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/rtmp"
	"github.com/tributary-live/tributary/sub"
	"github.com/tributary-live/tributary/transport/moqt"
)

// frame is a sample as it goes to all targets.
type frame struct {
	kind  rtmp.Kind
	dts   time.Duration // on the broadcast's time line
	epoch int           // of that: it is another one after a publisher began anew
	start bool          // a stream can begin here
	body  []byte        // shared, not written to
	head  *head         // what it belongs to
}

// source is what is known of a track that is forwarded.
type source struct {
	unpack *fmp4.Unpacker
	format *rtmp.Format
	lane   int // of the interleaver

	last    moqt.Location // of the object before
	any     bool
	waiting bool // for a key frame, since something before it is missing
	order   reorder

	epoch int
	dts   time.Duration // of the sample before
	timed bool          // there was one
}

// media makes frames of objects. It is not for concurrent use.
type media struct {
	log *slog.Logger
	out *interleaver

	from   *sub.Broadcast // whose turn it is
	head   *head
	tracks map[string]*source
	video  bool // there is a video track
	epoch  int  // the newest of all tracks
}

func newMedia(log *slog.Logger, out func(frame)) *media {
	return &media{log: log, out: newInterleaver(out)}
}

// begin makes ready for the objects of b, which has another time line.
func (m *media) begin(b *sub.Broadcast) error {
	h, tracks, err := newHead(b, m.log)
	if err != nil {
		return err
	}
	m.flush()
	if m.from, m.tracks, m.video = b, tracks, false; m.head == nil || !m.head.equal(h) {
		m.head = h
	}
	m.epoch++
	for _, s := range tracks {
		s.epoch = m.epoch
		m.video = m.video || s.format.Kind == rtmp.Video
	}
	m.out.reset(len(tracks))
	return nil
}

// take is for [Source].Receive.
func (m *media) take(b *sub.Broadcast, o sub.Object) error {
	if b != m.from {
		if err := m.begin(b); err != nil {
			return fmt.Errorf("%s: %w", b.Namespace.Slashed(), err)
		}
	}
	s := m.tracks[o.Track]
	if s == nil {
		return nil
	}
	samples, err := s.unpack.Samples(o.Payload)
	if err != nil {
		return fmt.Errorf("track %q object %v: %w", o.Track, o.Location, err)
	}
	// A group begins with a key frame. Where an object is missing, frames refer to
	// what the target does not have, and would show as rubbish there.
	next := s.any && o.Group == s.last.Group && o.Object.Object == s.last.Object+1 || o.Object.Object == 0
	if s.last, s.any = o.Location, true; !next {
		s.waiting = s.format.Kind == rtmp.Video
	}
	for _, x := range samples {
		if s.waiting = s.waiting && !x.Key; s.waiting {
			continue
		}
		if len(x.Data) > maxFrame { // and what refers to it
			m.log.Warn("frame is too large for RTMP", "track", o.Track, "group", o.Group,
				"err", fmt.Errorf("it has %d bytes, at most %d are sent: lower the bitrate", len(x.Data), maxFrame))
			s.waiting = s.format.Kind == rtmp.Video
			continue
		}
		m.clock(s, x.DTS)
		if s.format.Kind == rtmp.Audio {
			m.give(s, s.epoch, x)
			continue
		}
		for _, y := range s.order.put(x, s.epoch) {
			m.give(s, y.epoch, y.Sample)
		}
	}
	return nil
}

// maxFrame is the largest frame that fits in a message, with what is before it.
const maxFrame = rtmp.MaxBody - 16

// backward is how much earlier than the one before a sample must be for its time
// line to be another.
const backward = time.Second

// clock notes the time of a track's next sample. Where it goes back, the publisher
// has begun anew, on all of its tracks.
func (m *media) clock(s *source, dts time.Duration) {
	if s.timed && dts < s.dts-backward {
		if s.epoch == m.epoch {
			m.epoch++
		}
		s.epoch = m.epoch
	}
	s.dts, s.timed = dts, true
}

func (m *media) give(s *source, epoch int, x fmp4.Sample) {
	m.out.put(s.lane, frame{
		kind: s.format.Kind, dts: x.DTS, epoch: epoch,
		start: x.Key && (s.format.Kind == rtmp.Video || !m.video),
		body:  s.format.Body(x.Key, x.PTS-x.DTS, x.Data),
		head:  m.head,
	}, time.Now())
}

// flush gives out what is held when nothing more comes.
func (m *media) flush() {
	for _, s := range m.tracks {
		for _, y := range s.order.flush() {
			m.give(s, y.epoch, y.Sample)
		}
	}
	m.out.flush()
}
