package bond

import (
	"time"

	"github.com/tributary-live/tributary/transport/bond"
)

// Class says how much an object matters.
type Class uint8

const (
	// Vital objects are few and everything depends on them: catalogs, init
	// segments, sound, key frames. They are never shed.
	Vital Class = iota
	// Ordinary objects depend on a vital one: pictures between key frames.
	Ordinary
)

// Unit is an object that is to be sent.
type Unit struct {
	Object   bond.Object
	Size     int64 // bytes
	Class    Class
	Spread   bool      // it is small, and goes by every path, so that none delays it
	Made     time.Time // when it came to be
	Deadline time.Time // when nobody wants it any more; vital objects may have none
}

// unit is a Unit on its way.
type unit struct {
	Unit
	unsent  spans           // what any path may be given
	copies  map[*path]*part // what paths that are to carry a copy have not been given
	sent    spans           // what some path was given
	arrived spans           // what was acknowledged
	begun   bool            // a path was given something, or its end
	home    *path           // that it is to go over, if it can, in the mode BestFPS
	broken  bool            // something that it depends on was given up
	refused []*member       // by which the relay takes nothing of it

	// Of the plan:
	stuck  spans // what is on its way and will not be in time
	need   int64 // bytes that have to be sent for it to be in time
	chosen bool  // it can be in time, as well as all others that are chosen
}

// part is what a path is to carry of an object that others carry as well. Each
// begins at another place, so that the object is whole as soon as all together
// have sent it once, and a path that fails takes nothing with it.
type part struct {
	spans
	from int64
}

func newUnit(u Unit) *unit { return &unit{Unit: u, unsent: spans{{0, u.Size}}} }

// given notes that p has been given s, and returns how many bytes of it nobody had
// been given before.
func (u *unit) given(s span, p *path) int64 {
	fresh := u.sent.missing(s).size()
	u.begun = true
	u.sent.add(s)
	u.unsent.remove(s)
	if u.Size == 0 {
		u.unsent = nil
	}
	if c := u.copies[p]; c != nil {
		c.remove(s)
	}
	return fresh
}

// again makes what has not arrived of s go out anew: over p, if that is to carry a
// copy, or over any path.
func (u *unit) again(s span, p *path) {
	to := &u.unsent
	if c := u.copies[p]; c != nil {
		to = &c.spans
	}
	if u.Size == 0 {
		*to = spans{s}
		return
	}
	for _, missing := range u.arrived.missing(s) {
		to.add(missing)
	}
}

// whole reports whether all of it has arrived.
func (u *unit) whole() bool { return u.arrived.size() == u.Size }
