// Package bonds is the relay's end of the bond extension (docs/bond-protocol.md):
// which sessions make up a bond, what has arrived over them, and what they are
// told of that. Objects that were put together go to a [Track] of the relay; of
// tracks and subscribers this package knows nothing.
//
// Locks, in the order in which they may be held together:
//
//	member.mu → Assembler → Bond.mu | the Track's own
//	Registry.mu (alone)
package bonds
