// Package cache holds the newest groups of a track, each object once, between
// the publishers that bring them and the subscribers that take them.
//
// Several sources may publish the same track at the same time. An object is
// known by its group and object id; the first copy wins, byte by byte, and
// every later copy is compared with it and dropped. A source that contradicts
// what is held is told so and heard no more.
//
// Objects that may follow each other on one downstream stream form a run: each
// is the "next object" of the draft after the one before it. A subgroup has one
// run as long as nothing goes wrong. When objects are missing and nobody can
// bring them, what comes after them is a new run, so a subscriber that opens
// one stream per run never puts on a stream what must not be there.
//
// A subscriber is a position and nothing more. A [Reader] yields a [Cursor] for
// every run, and a cursor walks the run's objects without a lock and without a
// queue of its own. The memory of a track therefore does not depend on the
// number of subscribers or on how slow they are, and a writer never waits for
// a reader: who is too slow falls out of the cache and is told by
// [ErrEvicted].
package cache
