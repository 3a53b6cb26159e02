// Package transport speaks Media over QUIC Transport (MOQT): sessions over raw
// QUIC (moqt:// URLs) and WebTransport (https:// URLs), tracks in and tracks
// out. It reads like net/http: dial, then publish or subscribe with blocking
// calls and a context; a [Server] hands each session to a [Handler].
//
// A session has writers and readers but no cache; package relay has that.
package transport
