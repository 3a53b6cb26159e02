// Package moqt holds the nouns of Media over QUIC Transport: versions, names,
// locations, objects, properties and the code registries. It depends on the
// standard library alone, so every other package may import it.
//
// Names and numbers follow draft-ietf-moq-transport. Where a code point
// differs between drafts the constants here carry the meaning and package wire
// carries the number.
package moqt
