// Package clock publishes the time of day as a track, and reads it: the smallest
// whole use of package transport, without audio or video.
//
// Each minute is a group, whose id counts the minutes since 1970; each second is
// an object, whose id is that of the second in its minute, from 0 to 59. Its
// payload is the time in UTC, such as 2026-11-20T15:04:05Z. So what an object
// holds follows from its location: the publisher keeps nothing, answers for the
// past by calculation, and several publishers of one clock send the same objects,
// which a relay merges.
package clock

import (
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Config says which track is the clock. The zero value is (clock)--now.
type Config struct {
	Namespace moqt.Namespace // if empty, (clock)
	Track     string         // if empty, now
}

func (c Config) name() moqt.TrackName {
	if c.Namespace.Len() == 0 {
		c.Namespace = moqt.NS("clock")
	}
	if c.Track == "" {
		c.Track = "now"
	}
	return c.Namespace.Track(c.Track)
}

const perMinute = 60

// At returns the location of the object for the second that t is in. Times
// before 1970 have none.
func At(t time.Time) moqt.Location {
	s := uint64(t.Unix())
	return moqt.Location{Group: s / perMinute, Object: s % perMinute}
}

// Time returns the second that the object at l tells.
func Time(l moqt.Location) time.Time {
	return time.Unix(int64(l.Group*perMinute+l.Object), 0).UTC()
}

// object returns the object at l.
func object(l moqt.Location) moqt.Object {
	return moqt.Object{Location: l, Priority: moqt.DefaultPriority, Payload: Time(l).AppendFormat(nil, time.RFC3339)}
}

// after returns the location of the second after that of l.
func after(l moqt.Location) moqt.Location { return At(Time(l).Add(time.Second)) }
