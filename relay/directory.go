package relay

import (
	"context"
	"time"

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
	retry := backoff{first: 250 * time.Millisecond, most: 5 * time.Second}
	var forget *time.Timer
	for r.ctx.Err() == nil {
		sess, err := r.dialDirectory()
		if err == nil {
			if forget != nil {
				forget.Stop()
				forget = nil
			}
			retry.reset()
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
		retry.wait(r.ctx)
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
	ctx := sess.Context()
	names, err := sess.WatchNamespaces(ctx, moqt.Namespace{})
	if err != nil {
		return err
	}
	told := make(chan error, 1)
	go func() { told <- r.readDirectory(ctx, names) }()
	said := make(map[moqt.Namespace]*transport.Announcement)
	r.mu.Lock()
	clear(r.dirDirty)
	for ns := range r.names {
		r.dirDirty[ns] = struct{}{}
	}
	r.mu.Unlock()
	for {
		if err := r.tellDirectory(ctx, sess, said); err != nil {
			sess.Close()
			<-told
			return err
		}
		select {
		case <-r.dirWake:
		case err := <-told:
			return err
		}
	}
}

// tellDirectory brings what the directory was said up to date with what is
// announced here.
func (r *Relay) tellDirectory(ctx context.Context, sess *transport.Session, said map[moqt.Namespace]*transport.Announcement) error {
	r.mu.Lock()
	dirty := r.dirDirty
	r.dirDirty = make(map[moqt.Namespace]struct{})
	here := make(map[moqt.Namespace]bool, len(dirty))
	for ns := range dirty {
		here[ns] = len(r.names[ns]) > 0
	}
	r.mu.Unlock()
	for ns, there := range here {
		a := said[ns]
		switch {
		case there && a == nil:
			a, err := sess.Announce(ctx, ns)
			if err != nil {
				return err
			}
			said[ns] = a
		case !there && a != nil:
			a.Close()
			delete(said, ns)
		}
	}
	return nil
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
				delete(r.remote, ns)
				r.namesChangedLocked(ns)
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
			r.remote[e.Namespace] = struct{}{}
			r.hintLocked(e.Namespace)
		case ctx.Err() == nil: // the session's end is not that of the namespaces
			delete(told, e.Namespace)
			delete(r.remote, e.Namespace)
		}
		r.namesChangedLocked(e.Namespace)
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
		delete(r.remote, ns)
		r.namesChangedLocked(ns)
	}
}
