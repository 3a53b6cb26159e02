package sub

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

func TestOrder(t *testing.T) {
	for _, tt := range []struct {
		name  string
		write func(w writer)
		want  string
	}{
		{"one after another", func(w writer) {
			w.open(1, 0, 1).Close()
			w.open(2, 0).Close()
		}, "[1/0 1/1 2/0]"},
		{"groups interleaved", func(w writer) {
			one := w.open(1, 0)
			two := w.open(2, 0)
			w.add(one, 1)
			w.add(two, 1)
			one.Close()
			w.add(two, 2)
			two.Close()
		}, "[1/0 1/1 2/0 2/1 2/2]"},
		{"reset, and the rest on another stream", func(w writer) {
			one := w.open(1, 0, 1)
			time.Sleep(settle) // a reset takes along what has not been read
			synctest.Wait()
			one.Cancel(moqt.StreamCancelled)
			w.open(1, 2, 3).Close()
		}, "[1/0 1/1 1/2 1/3]"},
		{"the same again on another stream", func(w writer) {
			one := w.open(1, 0, 1)
			synctest.Wait()
			one.Cancel(moqt.StreamCancelled)
			w.open(1, 0, 1, 2).Close()
			w.open(1, 0, 1, 2).Close()
		}, "[1/0 1/1 1/2]"},
		{"a gap", func(w writer) {
			w.open(1, 0).Close()
			w.open(1, 5).Close()
			w.open(4, 2).Close()
		}, "[1/0 1/5 4/2]"},
		{"the rest of a group comes after the next group", func(w writer) {
			one := w.open(1, 0)
			synctest.Wait()
			w.open(2, 0).Close()
			late := w.open(1, 1)
			synctest.Wait() // both wait while the first stream is read
			one.Cancel(moqt.StreamCancelled)
			late.Close()
		}, "[1/0 1/1 2/0]"},
		{"each object a subgroup of its own, in any order", func(w writer) {
			for _, id := range []uint64{0, 2, 1, 4, 3} {
				w.alone(1, id).Close()
			}
			w.open(2, 0).Close()
		}, "[1/0 1/1 1/2 1/3 1/4 2/0]"},
		{"one of them does not come", func(w writer) {
			w.alone(1, 0).Close()
			w.alone(1, 2).Close()
			w.open(2, 0).Close()
		}, "[1/0 1/2 2/0]"},
		{"a group that was overtaken", func(w writer) {
			w.open(3, 0).Close()
			time.Sleep(settle / 2)
			w.open(2, 0).Close()
			w.open(1, 0).Close()
		}, "[1/0 2/0 3/0]"},
		{"a group after a newer one has begun", func(w writer) {
			w.open(2, 0).Close()
			time.Sleep(settle)
			synctest.Wait()
			w.open(1, 0).Close() // its first object may be the last before it is cancelled
			w.open(3, 0).Close()
		}, "[2/0 3/0]"},
		{"objects that are marks", func(w writer) {
			one := w.open(1, 0)
			one.WriteObject(moqt.Object{Location: moqt.Location{Object: 1}, Status: moqt.StatusEndOfGroup})
			one.Close()
			w.open(2, 0).Close()
		}, "[1/0 2/0]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr, w := subscribe(t)
				f := follow(t, tr)
				tt.write(writer{t, w.w})
				synctest.Wait()
				w.w.Close()
				var done *transport.TrackDone
				if err := <-f.done; !errors.As(err, &done) || done.Code != moqt.DoneTrackEnded {
					t.Errorf("follow() = %v, want TRACK_ENDED", err)
				}
				if f.String() != tt.want {
					t.Errorf("got %v, want %v", f, tt.want)
				}
			})
		})
	}
}

// A stream that stands still is given up when a newer group has been there for
// a while, and not before.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, w := subscribe(t)
		f := follow(t, tr)
		one := w.open(1, 0)
		time.Sleep(time.Minute) // nothing newer is there: it is waited for
		two := w.open(2, 0)
		time.Sleep(patience - time.Millisecond)
		w.add(one, 1) // some progress
		time.Sleep(patience - time.Millisecond)
		if got, want := f.String(), "[1/0 1/1]"; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if got, want := f.String(), "[1/0 1/1 2/0]"; got != want {
			t.Errorf("got %v after the patience, want %v", got, want)
		}
		// The newest is waited for again, and the next does not begin with what is
		// left of the wait before.
		time.Sleep(time.Minute)
		w.open(3, 0)
		time.Sleep(patience - time.Millisecond)
		w.add(two, 1)
		two.Close()
		synctest.Wait()
		if got, want := f.String(), "[1/0 1/1 2/0 2/1 3/0]"; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
		tr.Close()
		<-f.done
	})
}

func TestFollowEnds(t *testing.T) {
	wrong := errors.New("disk full")
	for _, tt := range []struct {
		name string
		end  func(tr *transport.TrackReader, w writer, cancel context.CancelCauseFunc)
		take error
		want error
	}{
		{"by its context, while a stream stands still", func(_ *transport.TrackReader, _ writer, cancel context.CancelCauseFunc) { cancel(wrong) }, nil, wrong},
		{"by the taker", func(_ *transport.TrackReader, w writer, _ context.CancelCauseFunc) { w.open(2, 0).Close() }, wrong, wrong},
		{"by the publisher", func(_ *transport.TrackReader, w writer, _ context.CancelCauseFunc) {
			w.w.CloseWithError(moqt.DoneInternalError, "gone")
		}, nil, &transport.TrackDone{Code: moqt.DoneInternalError}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr, w := subscribe(t)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				o := order{take: func(moqt.Object) error { return tt.take }}
				done := make(chan error, 1)
				go func() { done <- o.follow(ctx, tr) }()
				w.open(1, 0)
				synctest.Wait()
				tt.end(tr, writer{t, w.w}, cancel)
				if err := <-done; !errors.Is(err, tt.want) {
					t.Errorf("follow() = %v, want %v", err, tt.want)
				}
			})
		})
	}
}
