package dir

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

var fromStart = &transport.SubscribeOptions{Filter: moqt.Filter{Kind: moqt.FilterNone}}

func subscribe(t *testing.T, sess *transport.Session, name string, o *transport.SubscribeOptions) (*reader, func()) {
	t.Helper()
	tr, err := sess.Subscribe(t.Context(), moqt.NS("directory").Track(name), o)
	if err != nil {
		t.Fatalf("Subscribe(%q): %v", name, err)
	}
	next, stop := stream(t.Context(), tr)
	return newReader(t, next), func() { tr.Close(); stop() }
}

func TestListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, Config{})
		relay, viewer := connect(t, d), connect(t, d)
		announce(t, relay, "room/12345/bob")
		alice := announce(t, relay, "room/12345/alice")
		announce(t, relay, "other")
		began := time.Now()
		room, leaveRoom := subscribe(t, viewer, "room-12345", fromStart)
		all, leaveAll := subscribe(t, viewer, "", fromStart)
		if got := room.next(); got != "alice\nbob\n" {
			t.Errorf("object 0 of room-12345 = %q", got)
		}
		if got := all.next(); got != "other\nroom-12345-alice\nroom-12345-bob\n" {
			t.Errorf("object 0 of everything = %q", got)
		}
		if g := room.at.Group; g < uint64(began.UnixMilli()) || g > uint64(began.UnixMilli())+10 {
			t.Errorf("group id is %d at %d ms", g, began.UnixMilli())
		}
		alice.Close()
		if got := room.next(); got != "-alice" {
			t.Errorf("object 1 of room-12345 = %q", got)
		}
		announce(t, relay, "room/12345")
		if got := room.next(); got != "+" {
			t.Errorf("object 2 of room-12345 = %q", got)
		}
		all.next() // the two changes, sorted if they came together
		all.next()
		if room.list() != " bob" || all.list() != "other room-12345 room-12345-bob" {
			t.Errorf("lists are %q and %q", room.list(), all.list())
		}
		leaveRoom()
		leaveAll()
		synctest.Wait()
		if s := d.State(); s.Listings != 0 || d.listingBytes.Load() != 0 {
			t.Errorf("%d listings of %d bytes are held for nobody", s.Listings, d.listingBytes.Load())
		}
		again, leave := subscribe(t, viewer, "room-12345", fromStart)
		defer leave()
		if got := again.next(); got != "\nbob\n" || again.at.Group <= room.at.Group {
			t.Errorf("after the listing was left: group %d with %q, before it was %d", again.at.Group, got, room.at.Group)
		}
	})
}

// Who joins in the middle of a group gets its beginning by a joining fetch, and
// the two have no gap between them.
func TestJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, Config{})
		relay, early, late := connect(t, d), connect(t, d), connect(t, d)
		first, leave := subscribe(t, early, "", fromStart)
		defer leave()
		if got := first.next(); got != "" {
			t.Errorf("object 0 = %q, want none live", got)
		}
		announce(t, relay, "a")
		first.next()
		announce(t, relay, "b")
		first.next()

		name := moqt.NS("directory").Track("")
		info, err := late.Status(t.Context(), name)
		if err != nil || !info.HasLargest || info.Largest != first.at {
			t.Errorf("Status = %+v, %v, want %v", info, err, first.at)
		}
		tr, f, err := late.Join(t.Context(), name, 0, nil)
		if err != nil || f == nil {
			t.Fatalf("Join = %v, %v", f, err)
		}
		past := newReader(t, func() (moqt.Object, error, bool) {
			o, err := f.ReadObject(t.Context())
			return o, err, err == nil
		})
		if a, b, c := past.next(), past.next(), past.next(); a != "" || b != "+a" || c != "+b" {
			t.Errorf("fetched %q, %q, %q", a, b, c)
		}
		if _, err := f.ReadObject(t.Context()); err != io.EOF {
			t.Errorf("after the group: err = %v, want EOF", err)
		}
		announce(t, relay, "c")
		next, stop := stream(t.Context(), tr)
		defer stop()
		defer tr.Close()
		past.objects = next
		if got := past.next(); got != "+c" || past.list() != "a b c" {
			t.Errorf("first object after the fetch = %q, list = %q", got, past.list())
		}
	})
}

func TestFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, Config{})
		relay, viewer := connect(t, d), connect(t, d)
		r, leave := subscribe(t, viewer, "", fromStart)
		defer leave()
		r.next()
		for _, name := range []string{"a", "b", "c"} {
			announce(t, relay, name)
			r.next()
		}
		g := r.at.Group
		at := func(group, object uint64) moqt.Location { return moqt.Location{Group: group, Object: object} }
		for _, tt := range []struct {
			name       string
			start, end moqt.Location
			order      moqt.GroupOrder
			want       string // payloads
			last       moqt.Location
			gaps       int
			code       moqt.RequestCode // if it is refused
		}{
			{"group", at(g, 0), at(g, moqt.WholeGroup), moqt.Ascending, ",+a,+b,+c", at(g, 3), 0, 0},
			{"part", at(g, 1), at(g, 2), moqt.Ascending, "+a,+b", at(g, 2), 0, 0},
			{"all", at(0, 0), at(g+5, 0), moqt.Ascending, ",+a,+b,+c", at(g, 3), 1, 0},
			{"all, newest first", at(0, 0), at(g+5, 0), moqt.Descending, ",+a,+b,+c", at(g, 3), 1, 0},
			{"future", at(g, 4), at(g, 5), moqt.Ascending, "", moqt.Location{}, 0, moqt.RequestInvalidRange},
			{"past", at(0, 0), at(g-1, moqt.WholeGroup), moqt.Ascending, "", moqt.Location{}, 0, moqt.RequestInvalidRange},
		} {
			f, err := viewer.Fetch(t.Context(), moqt.NS("directory").Track(""), transport.Range{Start: tt.start, End: tt.end}, &transport.FetchOptions{Order: tt.order})
			if tt.want == "" {
				refused(t, tt.name, err, tt.code)
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if last, _ := f.End(); last != tt.last {
				t.Errorf("%s: End() = %v, want %v", tt.name, last, tt.last)
			}
			var got []string
			for {
				o, err := f.ReadObject(t.Context())
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s: after %q: %v", tt.name, got, err)
				}
				got = append(got, string(o.Payload))
			}
			if strings.Join(got, ",") != tt.want || len(f.Gaps()) != tt.gaps {
				t.Errorf("%s: objects %q, gaps %v, want %q and %d gaps", tt.name, got, f.Gaps(), tt.want, tt.gaps)
			}
		}
	})
}

// Groups follow each other when the changes outweigh the list, and a reader that
// follows from the start always has the right list.
func TestGroupsFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, Config{})
		relay, viewer := connect(t, d), connect(t, d)
		r, leave := subscribe(t, viewer, "room", fromStart)
		defer leave()
		r.next()
		live := make(map[string]*transport.Announcement)
		changes := 0
		for i := range 600 {
			name := fmt.Sprintf("guest_%d", i%50)
			if a := live[name]; a != nil {
				a.Close()
				delete(live, name)
			} else {
				live[name] = announce(t, relay, "room/"+name)
			}
			changes++
			r.next()
			for n := range live {
				if !r.names[n] {
					t.Fatalf("change %d: %s is not in the list", i, n)
				}
			}
			if len(r.names) != len(live) {
				t.Fatalf("change %d: list has %d names, want %d", i, len(r.names), len(live))
			}
		}
		// Some nine bytes a change, and at least minChanges of them in a group.
		if most := 1 + changes*9/minChanges; r.groups < 3 || r.groups > most {
			t.Errorf("%d changes made %d groups, want 3 to %d", changes, r.groups, most)
		}
	})
}

// A burst of changes is told by a new list where that is shorter.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, Config{})
		relay, viewer := connect(t, d), connect(t, d)
		r, leave := subscribe(t, viewer, "", fromStart)
		defer leave()
		r.next()
		announce(t, relay, "first")
		r.next() // and now the listing waits a while
		for i := range 200 {
			announce(t, relay, fmt.Sprintf("name_%03d", i))
		}
		list := r.next()
		if r.groups != 2 || strings.Count(list, "\n") != 201 {
			t.Errorf("after a burst: group %d of %d names, want the second, of 201", r.groups, strings.Count(list, "\n"))
		}
	})
}

// A subscription that ends with a group is over when the next one begins.
func TestRangeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, Config{})
		relay, viewer := connect(t, d), connect(t, d)
		info, err := viewer.Status(t.Context(), moqt.NS("directory").Track(""))
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name    string
			end     uint64
			objects bool
		}{
			{"past", info.Largest.Group - 1, false},  // that group may be there still, or the next
			{"now", info.Largest.Group + 1000, true}, // ms
		} {
			r, leave := subscribe(t, viewer, "", &transport.SubscribeOptions{
				Filter: moqt.Filter{Kind: moqt.FilterAbsoluteRange, EndGroup: tt.end}})
			if tt.objects {
				r.next()
				time.Sleep(2 * time.Second) // virtual: groups that begin now have later ids
				for i := range 200 {
					announce(t, relay, fmt.Sprintf("name_%03d", i))
				}
			}
			o, err, ok := r.objects()
			for ok && o.Group <= tt.end && tt.objects {
				o, err, ok = r.objects()
			}
			if ok || !errors.Is(err, &transport.TrackDone{Code: moqt.DoneSubscriptionEnded}) {
				t.Errorf("%s: object %v, err = %v, want SUBSCRIPTION_ENDED", tt.name, o.Location, err)
			}
			leave()
		}
	})
}

// A subscriber that wants nothing for a while gets what comes after that.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, Config{})
		relay, viewer := connect(t, d), connect(t, d)
		tr, err := viewer.Subscribe(t.Context(), moqt.NS("directory").Track(""), fromStart)
		if err != nil {
			t.Fatal(err)
		}
		next, stop := stream(t.Context(), tr)
		defer stop()
		defer tr.Close()
		r := newReader(t, next)
		r.next()
		forward := func(v bool) {
			t.Helper()
			if err := tr.Update(t.Context(), transport.SubscribeUpdate{Forward: &v}); err != nil {
				t.Fatal(err)
			}
		}
		forward(false)
		announce(t, relay, "missed")
		time.Sleep(time.Second) // virtual
		forward(true)
		announce(t, relay, "seen")
		o, err, _ := next()
		if string(o.Payload) != "+seen" || o.Object != 2 {
			t.Errorf("after the pause: object %v %q (%v), want 2, +seen", o.Location, o.Payload, err)
		}
	})
}

// A subscriber that reads nothing loses its subscription, and nobody else is
// held up meanwhile.
func TestStalledSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, Config{StallTimeout: 5 * time.Second})
		relay, good, bad := connect(t, d), connect(t, d), connect(t, d)
		long := strings.Repeat("x", 4000)
		for i := range 100 { // more than the pipe takes
			announce(t, relay, fmt.Sprintf("%s%d", long, i))
		}
		stuck, err := bad.Subscribe(t.Context(), moqt.NS("directory").Track(""), fromStart)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stuck.AcceptSubgroup(t.Context()); err != nil { // and never read
			t.Fatal(err)
		}
		r, leave := subscribe(t, good, "", fromStart)
		defer leave()
		r.next()
		announce(t, relay, "quick")
		if got := r.next(); got != "+quick" {
			t.Errorf("the other reader got %q", got)
		}
		<-stuck.Context().Done()
		for {
			if _, err = stuck.AcceptSubgroup(t.Context()); err != nil {
				break
			}
		}
		if !errors.Is(err, &transport.TrackDone{Code: moqt.DoneTooFarBehind}) {
			t.Errorf("the stalled subscription ended with %v, want TOO_FAR_BEHIND", err)
		}
	})
}

func TestListingBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, Config{MaxListingBytes: 100})
		relay, viewer := connect(t, d), connect(t, d)
		announce(t, relay, "a/"+strings.Repeat("x", 100))
		_, leave := subscribe(t, viewer, "", fromStart)
		_, err := viewer.Subscribe(t.Context(), moqt.NS("directory").Track("a"), nil)
		refused(t, "a listing beyond the limit", err, moqt.RequestExcessiveLoad)
		_, leaveSame := subscribe(t, connect(t, d), "", fromStart) // costs nothing
		leaveSame()
		leave()
		synctest.Wait()
		_, leave = subscribe(t, viewer, "a", fromStart)
		leave()
	})
}
