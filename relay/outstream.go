package relay

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// send copies one subgroup from the log to the subscriber. After a gap that
// nobody can fill it goes on with a new stream.
func (k *sink) send(o *outStream) {
	for {
		again, err := k.sendRun(o)
		if err != nil && !errors.Is(err, context.Canceled) {
			k.p.log.Debug("subgroup not sent", "track", k.t.name, "group", o.group, "err", err)
		}
		if !again {
			return
		}
	}
}

// sendRun sends what can follow each other on one stream. It reports whether
// there is more for another one.
func (k *sink) sendRun(o *outStream) (again bool, err error) {
	c := o.cursor
	head := c.Header()
	head.First = head.First && !o.short
	w, err := k.w.OpenSubgroup(o.ctx, head)
	if err != nil {
		return false, err
	}
	o.writes(w)
	defer o.writer.Store(nil)
	complete := func(ctx context.Context) {
		if at, ok := c.Complete(ctx); ok {
			w.Complete(at)
		}
	}
	timed := false
	for {
		if _, limit := w.Timeouts(); limit > 0 && !timed {
			timed = true
			var timing sync.WaitGroup
			defer timing.Wait()
			ctx, cancel := context.WithCancel(o.ctx)
			defer cancel()
			timing.Go(func() { complete(ctx) })
		}
		obj, ready := c.TryNext()
		if !ready {
			k.caughtUp(o)
			obj, err = c.Next(o.ctx)
		}
		switch {
		case err == io.EOF && !o.short:
			complete(o.ctx) // long ago, perhaps
			return false, w.Close()
		case err == io.EOF:
			w.Break(moqt.StreamCancelled) // FIN would say that all was sent
			return false, nil
		case errors.Is(err, cache.ErrGap):
			w.Break(moqt.StreamCancelled)
			return true, nil
		case err != nil:
			w.Break(moqt.StreamCancelled)
			return false, err
		case k.t.expired(obj):
			o.short = true
			w.Break(moqt.StreamCancelled) // what follows goes on another stream
			return true, nil
		}
		if err := k.write(o, w, obj); err != nil {
			w.Cancel(moqt.StreamCancelled)
			return false, err
		}
		k.lag.taken.Add(1)
	}
}

// write sends one object, while it arrives if it has not.
func (k *sink) write(o *outStream, w *transport.SubgroupWriter, obj *cache.Object) error {
	k.t.r.m.egress.Add(float64(obj.Size))
	meta := obj.Meta
	if payload, whole := obj.Payload(); whole {
		meta.Payload = payload
		o.busy()
		return w.WriteFramed(meta, obj)
	}
	o.busy()
	out, err := w.StartObject(meta, obj.Size)
	if err != nil {
		return err
	}
	for off := int64(0); off < obj.Size; {
		k.caughtUp(o) // to wait for the publisher is not to be behind
		p, _, err := obj.Bytes(o.ctx, off)
		if err != nil {
			return err
		}
		o.busy()
		if _, err := out.Write(p); err != nil {
			return err
		}
		off += int64(len(p))
	}
	return nil
}
