// Package pub publishes a broadcast: it takes the chunks of package fmp4,
// gives them group and object ids, and adds the catalog.
//
// The [Packager] is pure. It has no clock and no sockets, and decides by the
// chunks alone, in their order and by their decode times. Two packagers that
// are given the same chunks, first group and options therefore make the same
// objects at the same locations, the catalog included. That is what lets two
// publishers send one broadcast and a relay take each object from whichever
// comes first.
package pub
