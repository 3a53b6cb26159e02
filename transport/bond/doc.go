// Package bond is the bond extension of MOQT: one publisher on several
// connections, whose objects are cut in chunks and put together again, as
// docs/bond-protocol.md describes. It has what both ends share: the messages, the
// proof of belonging, chunk streams, and the [Assembler].
//
// Which path a chunk takes is package pub/bond's business, and where an object
// goes when it is there is package relay's.
package bond
