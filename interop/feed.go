package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// feed is what a subscription brings.
type feed struct {
	t       *trial
	objects chan moqt.Object // closed with the track
	err     error            // why, nil for TRACK_ENDED; read after objects is closed
	seen    map[moqt.Location]moqt.Object
	last    map[[2]uint64]uint64 // the last object id by group and subgroup
}

// read reads a subscription until the trial is over.
func (t *trial) read(r *transport.TrackReader) *feed {
	f := &feed{t: t, objects: make(chan moqt.Object), seen: make(map[moqt.Location]moqt.Object), last: make(map[[2]uint64]uint64)}
	t.wg.Go(func() {
		defer close(f.objects)
		for o, err := range r.Objects(t.ctx) {
			if err != nil {
				f.err = err
				return
			}
			select {
			case f.objects <- o:
			case <-t.ctx.Done():
				return
			}
		}
	})
	return f
}

// next waits for an object, which must not have come before.
func (f *feed) next(expected string) (moqt.Object, error) {
	var o moqt.Object
	var more bool
	select {
	case o, more = <-f.objects:
	case <-f.t.ctx.Done():
		return o, failed(expected, f.t.ctx.Err())
	}
	if !more && f.err != nil {
		return o, failed(expected, f.err)
	}
	if !more {
		return o, got(expected, "PUBLISH_DONE TRACK_ENDED")
	}
	if _, twice := f.seen[o.Location]; twice {
		return o, got(expected, "object %v twice", o.Location)
	}
	f.seen[o.Location] = o
	if o.Datagram {
		return o, nil
	}
	at := [2]uint64{o.Group, o.Subgroup}
	if last, any := f.last[at]; any && o.Object < last {
		return o, got(fmt.Sprintf("objects of subgroup %d of group %d in order", o.Subgroup, o.Group), "object %d after object %d", o.Object, last)
	}
	f.last[at] = o.Object
	return o, nil
}

// want waits for the objects, which are all that may come, in any order between
// subgroups and each once.
func (f *feed) want(objects ...moqt.Object) error {
	missing := make(map[moqt.Location]moqt.Object)
	for _, o := range objects {
		missing[o.Location] = o
	}
	for len(missing) > 0 {
		var left []string
		for _, o := range sorted(missing) {
			left = append(left, o.Location.String())
		}
		expected := "objects " + strings.Join(left, " ")
		o, err := f.next(expected)
		if err != nil {
			return err
		}
		wanted, there := missing[o.Location]
		if !there {
			return got(expected, "object %v", o.Location)
		}
		if describe(o) != describe(wanted) {
			return got(describe(wanted), "%s", describe(o))
		}
		delete(missing, o.Location)
	}
	return nil
}

// wantEnd waits for the end of the track, before which nothing may come.
func (f *feed) wantEnd() error {
	const expected = "PUBLISH_DONE TRACK_ENDED"
	select {
	case o, more := <-f.objects:
		if more {
			return got(expected, "object %v", o.Location)
		}
	case <-f.t.ctx.Done():
		return failed(expected, f.t.ctx.Err())
	}
	if f.err != nil {
		return failed(expected, f.err)
	}
	return nil
}

// wantFetched reads a fetch, which must bring the objects and no others, in
// this order.
func wantFetched(ctx context.Context, r *transport.FetchReader, objects ...moqt.Object) error {
	for _, wanted := range objects {
		o, err := r.ReadObject(ctx)
		if err != nil {
			return failed("fetched object "+wanted.Location.String(), endOfFetch(err))
		}
		if describe(o) != describe(wanted) {
			return got("fetched "+describe(wanted), "%s", describe(o))
		}
	}
	o, err := r.ReadObject(ctx)
	switch {
	case err == nil:
		return got("end of the fetch", "%s", describe(o))
	case err != io.EOF:
		return failed("end of the fetch", err)
	case len(r.Gaps()) > 0:
		return got("a fetch without gaps", "gap %+v", r.Gaps()[0])
	}
	return nil
}

func endOfFetch(err error) error {
	if err == io.EOF {
		return errors.New("end of the fetch")
	}
	return err
}

// describe tells all of an object that a relay must not change.
func describe(o moqt.Object) string {
	how := fmt.Sprintf("subgroup %d", o.Subgroup)
	if o.Datagram {
		how = "datagram"
	}
	return fmt.Sprintf("object %v (%s, priority %d, %v, properties %v) %q", o.Location, how, o.Priority, o.Status, o.Properties, o.Payload)
}

func sorted(objects map[moqt.Location]moqt.Object) []moqt.Object {
	list := make([]moqt.Object, 0, len(objects))
	for _, o := range objects {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b moqt.Object) int { return a.Location.Compare(b.Location) })
	return list
}
