// Package wire turns MOQT messages, stream headers and objects into bytes and
// back. It knows the drafts and nothing of streams, sessions or time.
//
// Messages are neutral structs that hold the union of what the drafts carry. A
// [Profile] is the wire format of one draft; a session picks its profile once,
// when the draft has been negotiated, and everything above this package speaks
// of intents. What a decoder refuses comes back as [*Error], which carries the
// code to close the session with.
package wire
