package relay

import (
	"context"
	"errors"
	"time"

	"github.com/tributary-live/tributary/internal/backoff"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// directoryMemory is how long the namespaces that the directory told hold while
// it is away.
const directoryMemory = 30 * time.Second

// directorySettle is how long a new session with the directory may take to tell
// all it knows.
const directorySettle = 3 * time.Second

// followDirectory keeps a session with the directory: it is told of the
// namespaces announced here and tells those announced anywhere.
func (r *Relay) followDirectory() {
	retry := backoff.Backoff{First: 250 * time.Millisecond, Most: 5 * time.Second}
	var forget *time.Timer
	for r.ctx.Err() == nil {
		sess, err := r.dialDirectory()
		if err == nil {
			if forget != nil {
				forget.Stop()
				forget = nil
			}
			retry.Reset()
			r.log.Info("directory joined", "remote", r.cfg.Directory)
			err = r.withDirectory(sess)
			sess.Close()
		}
		if forget == nil {
			forget = time.AfterFunc(directoryMemory, r.forgetRemote)
		}
		if r.ctx.Err() == nil {
			r.log.Warn("directory lost", "remote", r.cfg.Directory, "err", err)
		}
		retry.Wait(r.ctx)
	}
	if forget != nil {
		forget.Stop()
	}
}

func (r *Relay) dialDirectory() (*transport.Session, error) {
	ctx, cancel := context.WithTimeout(r.ctx, 10*time.Second)
	defer cancel()
	return r.cfg.Dial(ctx, r.cfg.Directory)
}

// withDirectory serves one session with the directory until it ends.
func (r *Relay) withDirectory(sess *transport.Session) error {
	defer context.AfterFunc(r.ctx, func() { sess.Close() })()
	ctx, cancel := context.WithCancelCause(sess.Context())
	defer cancel(nil)
	names, err := sess.WatchNamespaces(ctx, moqt.Namespace{})
	if err != nil {
		return err
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		cancel(r.readDirectory(ctx, names))
	}()
	defer func() {
		sess.Close()
		<-read
	}()
	w := r.local.Watch(moqt.Namespace{})
	defer w.Close()
	said := make(map[moqt.Namespace]*transport.Announcement)
	for {
		changes, err := w.Next(ctx)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if c.Gone {
				if a := said[c.Namespace]; a != nil {
					a.Close()
				}
				delete(said, c.Namespace)
				continue
			}
			a, err := sess.Announce(ctx, c.Namespace)
			var refused *transport.RequestError
			switch {
			case err == nil:
				said[c.Namespace] = a
			case errors.As(err, &refused): // the others are still worth telling
				r.log.Warn("directory refuses namespace", "ns", c.Namespace, "err", err)
			default:
				return err
			}
		}
	}
}

// readDirectory follows what the directory tells. Its first answer comes in
// pieces, so what an earlier session had told and this one has not is taken as
// gone only after a while.
func (r *Relay) readDirectory(ctx context.Context, names *transport.NamespaceReader) error {
	told := make(map[moqt.Namespace]struct{}) // guarded by r.mu
	sweep := time.AfterFunc(directorySettle, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for ns := range r.remote {
			if _, ok := told[ns]; !ok && ctx.Err() == nil {
				r.dropRemoteLocked(ns)
			}
		}
	})
	defer sweep.Stop()
	for {
		e, err := names.Next(ctx)
		if err != nil {
			return err
		}
		r.mu.Lock()
		switch {
		case !e.Gone:
			told[e.Namespace] = struct{}{}
			if _, there := r.remote[e.Namespace]; !there {
				r.remote[e.Namespace] = struct{}{}
				r.live.Add(e.Namespace)
			}
			r.hintLocked(e.Namespace)
		case ctx.Err() == nil: // the session's end is not that of the namespaces
			delete(told, e.Namespace)
			r.dropRemoteLocked(e.Namespace)
		}
		r.mu.Unlock()
	}
}

// hintLocked makes the tracks under ns that look for a publisher look again now.
func (r *Relay) hintLocked(ns moqt.Namespace) {
	for name, t := range r.tracks {
		if name.Namespace.HasPrefix(ns) {
			select {
			case t.hint <- struct{}{}:
			default:
			}
		}
	}
}

// forgetRemote drops what the directory told.
func (r *Relay) forgetRemote() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ns := range r.remote {
		r.dropRemoteLocked(ns)
	}
}

func (r *Relay) dropRemoteLocked(ns moqt.Namespace) {
	if _, there := r.remote[ns]; there {
		delete(r.remote, ns)
		r.live.Remove(ns)
	}
}
