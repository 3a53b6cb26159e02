// Package transport speaks Media over QUIC Transport (MOQT): sessions over raw
// QUIC (moqt:// URLs) and WebTransport (https:// URLs), tracks in and tracks
// out. It reads like net/http: dial, then publish or subscribe with blocking
// calls and a context; a [Server] hands each session to a [Handler].
//
// A session has writers and readers but no cache; package relay has that.
//
// # Names
//
// A track has a name, [moqt.TrackName]: a namespace of some fields, and a name in
// it. Its objects are in groups, which are places to begin at: an object is known
// by its [moqt.Location], the ids of group and object. The objects of a group come
// on one stream for each of its subgroups, or as datagrams.
//
// # Publishing
//
// Either this end offers a track by [Session.Publish], or it is asked for one:
// [Session.Announce] tells the namespace, and [Session.Accept] then returns a
// [*SubscribeRequest] for each track that the peer wants. Both lead to a
// [*TrackWriter]. [TrackWriter.OpenGroup] opens a group that is one stream,
// [TrackWriter.OpenSubgroup] a part of one; [TrackWriter.SendDatagram] sends an
// object by itself. What the subscriber does not want is dropped without an error,
// so a publisher writes on as if all were wanted.
//
// # Subscribing
//
// [Session.Subscribe] asks for what is published from now on, or from where its
// filter says. [TrackReader.Objects] yields whole objects in the order in which
// they come; [TrackReader.AcceptSubgroup] gives the streams one by one, with
// payloads that can be read while they arrive. [Session.Fetch] asks for a range of
// what was published before, and [Session.Join] for both, so that nothing is
// missing between them.
//
// # Serving
//
// All that a peer asks for comes out of [Session.Accept], at clients too, as a
// [Request] of its own type. Whoever serves calls it in a loop, and answers each
// request with Accept or Reject, from any goroutine and at any time.
//
// # Drafts
//
// A session speaks one draft, which QUIC (by ALPN) or WebTransport (by its
// subprotocol) has negotiated; [Session.Version] tells which. Config.Versions says
// which are offered. The methods mean the same with each: what a draft does not
// have is left out where the peer can do without, and fails where it cannot.
// docs/protocol.md lists what is spoken, message by message.
//
// # Concurrency
//
// The methods of sessions, connections, listeners, servers, track writers and track
// readers may be called concurrently. Streams have one user at a time:
// those of [SubgroupWriter], [SubgroupReader], [FetchWriter] and [FetchReader] must
// not overlap, but for Cancel and Close where they say so. Different streams of a
// track may be used by different goroutines.
//
// Writes block until the transport has taken the bytes, so a publisher runs at the
// speed of the path. Streams wait for each other by priority: subscriber's,
// publisher's, then the group order.
//
// # Who owns what
//
// What a reader returns belongs to the caller. Writers do not keep what they are
// given: payloads and properties may be used again when the call has returned.
// NewSession takes over its connection, also when it fails, and a listener its
// socket.
//
// A context bounds the call it is given to, and not what the call returns; that
// ends with Close, with its request, or with the session. Session.Close waits for
// the session's goroutines.
//
// # Errors
//
// An end is told by who ended what: [*SessionError], [*RequestError] (the peer
// refused), [*TrackDone] (the publisher has ended the track), [*StreamError] (one
// stream was cancelled), each with the draft's code; [ErrClosed] is this end's own
// Close. All work with errors.Is and errors.As. A peer that breaks the rules ends
// its session with the draft's code, and nothing else.
//
// # Limits
//
// Each session bounds what its peer can cost. These are the defaults of [Limits]:
//
//	SetupTimeout       10 s    for the peer's SETUP
//	MessageTimeout     10 s    for a message or header, from first byte to last
//	StallTimeout       30 s    for an object to make progress
//	ResponseTimeout    30 s    for the answer to a request of ours
//	UnknownAliasWait   2 s     for the message that tells a stream's track
//	MaxUnknownAlias    64      streams that wait so
//	MaxRequests        1024    open requests of the peer
//	RequestRate        200     requests a second, after a burst of MaxRequests
//	DoneWait           2 s     for late streams of a track that has ended
//	MaxRequestUpdates  16      updates of a request ahead of the answers
//	MaxFilterRanges    64      ranges of a request's filters
//	TokenCacheSize     8 KiB   authorization tokens that the peer registers
//	MaxObjectSize      32 MiB  payload of an object
//	MaxPropertiesSize  16 KiB  properties of an object
//
// How many streams a peer may have open is QUIC's to say: [Dialer.QUIC],
// [ListenConfig.QUIC], [Server.QUIC].
//
// # Traces
//
// Config.Tracer takes traces of sessions: package qlog writes them to a directory.
package transport
