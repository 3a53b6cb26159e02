package interop

import (
	"context"
	"errors"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// The cases of the MoQT interop runner.

func setupOnly(t *trial) error {
	_, err := t.dial(roleClient)
	return err
}

func announceOnly(t *trial) error {
	sess, err := t.dial(roleClient)
	if err != nil {
		return err
	}
	_, err = announceIt(t, sess, runnerNamespace)
	return err
}

func publishNamespaceDone(t *trial) error {
	sess, err := t.dial(roleClient)
	if err != nil {
		return err
	}
	a, err := announceIt(t, sess, runnerNamespace)
	if err != nil {
		return err
	}
	a.Close()
	// The session has survived that if the relay answers what comes after it.
	_, err = announceIt(t, sess, t.ns)
	return err
}

func announceIt(t *trial, sess *transport.Session, ns moqt.Namespace) (*transport.Announcement, error) {
	a, err := sess.Announce(t.ctx, ns)
	if err != nil {
		return nil, failed("REQUEST_OK to PUBLISH_NAMESPACE", err)
	}
	return a, nil
}

func subscribeError(t *trial) error {
	sess, err := t.dial(roleClient)
	if err != nil {
		return err
	}
	_, err = sess.Subscribe(t.ctx, nonexistent.Track(trackName), nil)
	return wantRefusal("SUBSCRIBE to a track that nobody has", err)
}

func announceSubscribe(t *trial) error {
	name := runnerNamespace.Track(trackName)
	if _, err := t.announce(rolePublisher, name); err != nil {
		return err
	}
	sess, err := t.dial(roleSubscriber)
	if err != nil {
		return err
	}
	if _, err := sess.Subscribe(t.ctx, name, nil); err != nil {
		return failed("SUBSCRIBE_OK", err)
	}
	return nil
}

// announceAfter is how much later than the subscriber the publisher comes.
const announceAfter = 500 * time.Millisecond

func subscribeBeforeAnnounce(t *trial) error {
	name := runnerNamespace.Track(trackName)
	sess, err := t.dial(roleSubscriber)
	if err != nil {
		return err
	}
	asked := inBackground(t, func() (*transport.TrackReader, error) { return sess.Subscribe(t.ctx, name, nil) })
	late := time.NewTimer(announceAfter)
	defer late.Stop()
	var answer *outcome[*transport.TrackReader]
	select {
	case a := <-asked:
		answer = &a // and the publisher need not be waited for
	case <-late.C:
	}
	if _, err := t.announce(rolePublisher, name); err != nil {
		return err
	}
	if answer == nil {
		a := <-asked // which ends with t.ctx
		answer = &a
	}
	var refused *transport.RequestError
	if answer.err != nil && !(errors.As(answer.err, &refused) && refused.Remote) {
		return failed("SUBSCRIBE_OK or REQUEST_ERROR", answer.err)
	}
	return nil
}

func rendezvousTimeout(t *trial) error {
	sess, err := t.dial(roleClient)
	if err != nil {
		return err
	}
	const window = 500 * time.Millisecond
	began := time.Now()
	_, err = sess.Subscribe(t.ctx, t.track(), &transport.SubscribeOptions{Rendezvous: window})
	if err := wantRefusal("SUBSCRIBE after RENDEZVOUS_TIMEOUT", err, moqt.RequestTimeout); err != nil {
		return err
	}
	if took := time.Since(began); took < window {
		return got("REQUEST_ERROR after RENDEZVOUS_TIMEOUT of "+window.String(), "it after %v", took.Round(time.Millisecond))
	}
	return nil
}

func namespaceLifecycle(t *trial) error {
	sess, err := t.dial(roleSubscriber)
	if err != nil {
		return err
	}
	prefix := t.ns
	watch, err := sess.WatchNamespaces(t.ctx, prefix)
	if err != nil {
		return failed("REQUEST_OK to SUBSCRIBE_NAMESPACE", err)
	}
	pub, err := t.dial(rolePublisher)
	if err != nil {
		return err
	}
	ns, err := prefix.Join(moqt.NS("live"))
	if err != nil {
		return err
	}
	a, err := announceIt(t, pub, ns)
	if err != nil {
		return err
	}
	if err := wantNamespace(t.ctx, watch, transport.NamespaceEvent{Namespace: ns}); err != nil {
		return err
	}
	a.Close()
	return wantNamespace(t.ctx, watch, transport.NamespaceEvent{Namespace: ns, Gone: true})
}

func wantNamespace(ctx context.Context, watch *transport.NamespaceReader, want transport.NamespaceEvent) error {
	message := func(e transport.NamespaceEvent) string {
		if e.Gone {
			return "NAMESPACE_DONE for " + e.Namespace.String()
		}
		return "NAMESPACE for " + e.Namespace.String()
	}
	e, err := watch.Next(ctx)
	if err != nil {
		return failed(message(want), err)
	}
	if e != want {
		return got(message(want), "%s", message(e))
	}
	return nil
}
