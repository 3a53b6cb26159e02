package dir

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

func ns(s string) moqt.Namespace {
	n, err := moqt.SplitNamespace(s)
	if err != nil {
		panic(err)
	}
	return n
}

func newDirectory(t *testing.T, c Config) *Directory {
	t.Helper()
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// connect opens a session with d and returns the client's end.
func connect(t *testing.T, d *Directory) *transport.Session {
	t.Helper()
	a, b := transporttest.Pipe(t, nil)
	served := make(chan error, 1)
	go func() {
		sess, err := transport.NewSession(t.Context(), b, nil)
		if err == nil {
			err = d.ServeSession(t.Context(), sess)
		}
		served <- err
	}()
	sess, err := transport.NewSession(t.Context(), a, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sess.Close()
		if err := <-served; err != nil {
			t.Errorf("ServeSession = %v", err)
		}
	})
	return sess
}

func announce(t *testing.T, sess *transport.Session, name string) *transport.Announcement {
	t.Helper()
	a, err := sess.Announce(t.Context(), ns(name))
	if err != nil {
		t.Fatalf("Announce(%s): %v", name, err)
	}
	return a
}

// refused checks that err is a refusal with code.
func refused(t *testing.T, what string, err error, code moqt.RequestCode) {
	t.Helper()
	if !errors.Is(err, &transport.RequestError{Code: code}) {
		t.Errorf("%s: err = %v, want a refusal with %v", what, err, code)
	}
}

// reader reads a listing as its format says.
type reader struct {
	t       *testing.T
	objects func() (moqt.Object, error, bool)
	at      moqt.Location
	groups  int
	names   map[string]bool
}

func newReader(t *testing.T, objects func() (moqt.Object, error, bool)) *reader {
	return &reader{t: t, objects: objects, names: make(map[string]bool)}
}

// next reads one object and returns its text.
func (r *reader) next() string {
	r.t.Helper()
	o, err, ok := r.objects()
	if err != nil || !ok {
		r.t.Fatalf("no object after %v: %v", r.at, err)
	}
	if err := r.fold(o); err != nil {
		r.t.Fatalf("object %v: %v", o.Location, err)
	}
	return string(o.Payload)
}

func (r *reader) fold(o moqt.Object) error {
	text := string(o.Payload)
	if o.Object == 0 {
		if r.groups > 0 && o.Group <= r.at.Group {
			return fmt.Errorf("group %d after group %d", o.Group, r.at.Group)
		}
		r.at = o.Location
		r.groups++
		clear(r.names)
		for text != "" {
			line, rest, ok := strings.Cut(text, "\n")
			if !ok || r.names[line] {
				return fmt.Errorf("line %q twice or without an end", line)
			}
			r.names[line] = true
			text = rest
		}
		return nil
	}
	if want := (moqt.Location{Group: r.at.Group, Object: r.at.Object + 1}); o.Location != want {
		return fmt.Errorf("want %v", want)
	}
	r.at = o.Location
	name := text[1:]
	if come := text[0] == '+'; !come && text[0] != '-' || r.names[name] == come {
		return fmt.Errorf("%q where the list has it: %v", text, r.names[name])
	}
	if text[0] == '+' {
		r.names[name] = true
	} else {
		delete(r.names, name)
	}
	return nil
}

// list returns the names, sorted.
func (r *reader) list() string { return strings.Join(slices.Sorted(maps.Keys(r.names)), " ") }

// stream returns a function that reads tr object by object, and one to end it.
func stream(ctx context.Context, tr *transport.TrackReader) (next func() (moqt.Object, error, bool), stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	objects := make(chan moqt.Object)
	failed := make(chan error, 1)
	go func() {
		defer close(objects)
		for o, err := range tr.Objects(ctx) {
			if err != nil {
				failed <- err
				return
			}
			select {
			case objects <- o:
			case <-ctx.Done():
				return
			}
		}
	}()
	next = func() (moqt.Object, error, bool) {
		if o, ok := <-objects; ok {
			return o, nil, true
		}
		select {
		case err := <-failed:
			return moqt.Object{}, err, false
		default:
			return moqt.Object{}, nil, false
		}
	}
	return next, func() {
		cancel()
		for range objects {
		}
	}
}
