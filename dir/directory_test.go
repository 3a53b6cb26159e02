package dir

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// watch returns a function that reads n changes as text, sorted: the order of
// those that come together is not told.
func watch(t *testing.T, sess *transport.Session, prefix string) func(n int) string {
	t.Helper()
	r, err := sess.WatchNamespaces(t.Context(), ns(prefix))
	if err != nil {
		t.Fatal(err)
	}
	return func(n int) string {
		t.Helper()
		var words []string
		for range n {
			e, err := r.Next(t.Context())
			if err != nil {
				t.Fatalf("Next after %q: %v", words, err)
			}
			sign := "+"
			if e.Gone {
				sign = "-"
			}
			words = append(words, sign+e.Namespace.Slashed())
		}
		slices.Sort(words)
		return strings.Join(words, " ")
	}
}

// Two relays announce the same namespace: it is live until both have left it.
func TestNamespaceIsASet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, Config{})
		one, two, viewer := connect(t, d), connect(t, d), connect(t, d)
		all := watch(t, viewer, "")
		room := watch(t, one, "room") // who announces may watch, too
		a := announce(t, one, "room/alice")
		b := announce(t, two, "room/alice")
		announce(t, two, "roof")
		if got := all(2); got != "+roof +room/alice" {
			t.Errorf("watcher of everything was told %q", got)
		}
		if got := room(1); got != "+room/alice" {
			t.Errorf("watcher of room was told %q", got)
		}
		a.Close()
		synctest.Wait()
		if s := d.State(); s.Sessions != 3 || s.Announced != 2 || strings.Join(s.Names, " ") != "roof room-alice" {
			t.Errorf("State() = %+v after one of two announcers left", s)
		}
		b.Close()
		if got := room(1); got != "-room/alice" {
			t.Errorf("watcher of room was told %q", got)
		}
		two.Close() // a session that dies takes its namespaces along
		if got := all(2); got != "-roof -room/alice" {
			t.Errorf("watcher of everything was told %q", got)
		}
		synctest.Wait()
		if s := d.State(); s.Sessions != 2 || s.Announced != 0 || s.Namespaces != 0 {
			t.Errorf("State() = %+v after all left", s)
		}
		if d.nameBytes != 0 {
			t.Errorf("%d bytes are counted for no names", d.nameBytes)
		}
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, Config{MaxSessionNamespaces: 2, MaxNamespaces: 3, MaxSessionWatches: 1, MaxSessionListings: 1, MaxNameBytes: 60})
		one, two, three := connect(t, d), connect(t, d), connect(t, d)
		a := announce(t, one, "a")
		announce(t, one, "b")
		_, err := one.Announce(t.Context(), ns("c"))
		refused(t, "third namespace of a session", err, moqt.RequestExcessiveLoad)
		announce(t, two, "a") // the same one counts
		_, err = two.Announce(t.Context(), ns("d"))
		refused(t, "fourth of all", err, moqt.RequestExcessiveLoad)
		a.Close()
		synctest.Wait()
		_, err = two.Announce(t.Context(), ns(strings.Repeat("x", 60)))
		refused(t, "too many bytes", err, moqt.RequestExcessiveLoad)
		announce(t, two, "d") // the room of the one that left

		watch(t, three, "a")
		_, err = three.WatchNamespaces(t.Context(), ns("b"))
		refused(t, "second watch", err, moqt.RequestExcessiveLoad)

		tr, err := three.Subscribe(t.Context(), moqt.NS("directory").Track("a"), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = three.Subscribe(t.Context(), moqt.NS("directory").Track("b"), nil)
		refused(t, "second listing", err, moqt.RequestExcessiveLoad)
		tr.Close()
		synctest.Wait()
		if _, err = three.Subscribe(t.Context(), moqt.NS("directory").Track("b"), nil); err != nil {
			t.Errorf("after the first listing was left: %v", err)
		}
	})
}

func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, Config{})
		sess := connect(t, d)
		for _, tt := range []struct {
			ns   string
			code moqt.RequestCode
		}{
			{"", moqt.RequestUnauthorized},
			{"./a", moqt.RequestDoesNotExist},
			{".session/a", moqt.RequestDoesNotExist},
			{".public", moqt.RequestDoesNotExist},
			{"directory", moqt.RequestUnauthorized},
			{"directory/room", moqt.RequestUnauthorized},
		} {
			_, err := sess.Announce(t.Context(), ns(tt.ns))
			refused(t, fmt.Sprintf("Announce(%q)", tt.ns), err, tt.code)
		}
		announce(t, sess, "directory2")
		announce(t, sess, "room/.x")
		for _, tt := range []struct{ ns, name string }{
			{"room", "a"},
			{"directory/room", "a"},
			{"directory", "a/b"},
			{"directory", "."},
			{"directory", ".2epublic"}, // the printed form of .public
			{"directory", "a--b"},      // an empty field
			{"directory", ".61"},       // not the printed form of a
		} {
			name := ns(tt.ns).Track(tt.name)
			_, err := sess.Subscribe(t.Context(), name, nil)
			refused(t, fmt.Sprintf("Subscribe(%v)", name), err, moqt.RequestDoesNotExist)
			_, err = sess.Status(t.Context(), name)
			refused(t, fmt.Sprintf("Status(%v)", name), err, moqt.RequestDoesNotExist)
			_, err = sess.Fetch(t.Context(), name, transport.Range{}, nil)
			refused(t, fmt.Sprintf("Fetch(%v)", name), err, moqt.RequestDoesNotExist)
		}
		_, err := sess.Publish(t.Context(), ns("room").Track("a"), nil)
		refused(t, "Publish", err, moqt.RequestNotSupported)
		_, err = sess.SubscribeTracks(t.Context(), ns("room"), nil)
		refused(t, "SubscribeTracks", err, moqt.RequestNotSupported)
	})
}

func TestNewRefusesReserved(t *testing.T) {
	for _, name := range []string{".", ".session", ".public/room"} {
		if _, err := New(Config{Namespace: ns(name)}); err == nil || !strings.Contains(err.Error(), "reserved") {
			t.Errorf("New with namespace %q: err = %v, want that it is reserved", name, err)
		}
	}
}

// A watcher that does not read its stream is told in the end what is so, not
// all that has been.
func TestSlowWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory(t, Config{})
		relay := connect(t, d)
		keep := announce(t, relay, "keep")
		for i := range 300 {
			announce(t, relay, fmt.Sprintf("gone/%d", i)).Close()
		}
		synctest.Wait()
		all := watch(t, connect(t, d), "")
		if got := all(1); got != "+keep" {
			t.Errorf("first told of %q, want +keep alone", got)
		}
		keep.Close()
		if got := all(1); got != "-keep" {
			t.Errorf("then told of %q, want -keep", got)
		}
	})
}
