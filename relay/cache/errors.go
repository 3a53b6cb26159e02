package cache

import "errors"

var (
	// ErrContradiction is wrapped by an error that says how a source's object
	// differs from what another source brought before. The fault is taken to be
	// the later source's.
	ErrContradiction = errors.New("contradicts what is cached")
	// ErrMalformed is wrapped by an error that says how a source's own copy of
	// the track breaks the draft's rules ("Malformed Tracks").
	ErrMalformed = errors.New("malformed track")
	// ErrLimit is wrapped by an error that says which limit an object would
	// pass. The object is not cached; the source may go on.
	ErrLimit = errors.New("beyond the cache's limits")
	// ErrClosed is returned for what is asked of a closed track, source or
	// writer.
	ErrClosed = errors.New("cache: closed")

	// ErrReset ends a cursor, or the payload of an object, that no source can
	// continue. The downstream stream is to be reset.
	ErrReset = errors.New("cache: all sources stopped before the end")
	// ErrGap says that a cursor has lost objects in the middle of its run and
	// stands after them. The downstream stream is to be reset; with a new one,
	// which begins with [Cursor.Header] again, the cursor goes on.
	ErrGap = errors.New("cache: objects dropped before they were read")
	// ErrEvicted ends a cursor, or the payload of an object, whose group has
	// left the cache.
	ErrEvicted = errors.New("cache: group evicted")
)
