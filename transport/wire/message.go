package wire

import (
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Kind names a control message, the same for all drafts.
type Kind uint8

// The control messages. KindNone stands for the absence of one.
const (
	KindNone Kind = iota
	KindSetup
	KindGoaway
	KindSubscribe
	KindSubscribeOK
	KindRequestUpdate
	KindPublish
	KindPublishDone
	KindFetch
	KindFetchOK
	KindTrackStatus
	KindPublishNamespace
	KindSubscribeNamespace
	KindNamespace
	KindNamespaceDone
	KindSubscribeTracks
	KindPublishSkipped
	KindRequestOK
	KindRequestError
)

// Message is a control message. Its dynamic type is a pointer to one of the
// structs of this file.
type Message interface{ Kind() Kind }

// Opt is a field that may be absent.
type Opt[T any] struct {
	Value T
	Set   bool
}

// Some returns a field that is present with value v.
func Some[T any](v T) Opt[T] { return Opt[T]{Value: v, Set: true} }

// Or returns the value, or def where the field is absent.
func (o Opt[T]) Or(def T) T {
	if o.Set {
		return o.Value
	}
	return def
}

// AliasType says how a [Token] is carried.
type AliasType uint64

const (
	TokenDelete   AliasType = 0 // DELETE: Alias
	TokenRegister AliasType = 1 // REGISTER: Alias, Type, Value
	TokenUseAlias AliasType = 2 // USE_ALIAS: Alias
	TokenUseValue AliasType = 3 // USE_VALUE: Type, Value
)

// Token is an AUTHORIZATION_TOKEN.
type Token struct {
	AliasType AliasType
	Alias     uint64
	Type      uint64
	Value     []byte
}

// Params are the message parameters of all messages and drafts. Which of them a
// message may carry is checked on encoding and decoding.
type Params struct {
	ObjectTimeout     Opt[time.Duration] // OBJECT_DELIVERY_TIMEOUT
	SubgroupTimeout   Opt[time.Duration] // SUBGROUP_DELIVERY_TIMEOUT
	Tokens            []Token            // AUTHORIZATION_TOKEN
	RendezvousTimeout Opt[time.Duration] // RENDEZVOUS_TIMEOUT
	Expires           Opt[time.Duration] // EXPIRES
	Largest           Opt[moqt.Location] // LARGEST_OBJECT
	FillTimeout       Opt[time.Duration] // FILL_TIMEOUT
	Forward           Opt[bool]          // FORWARD
	Priority          Opt[moqt.Priority] // SUBSCRIBER_PRIORITY
	Filter            Opt[moqt.Filter]   // SUBSCRIPTION_FILTER; absent and FilterNone are the same on the wire
	Order             Opt[moqt.GroupOrder]
	NewGroup          Opt[uint64] // NEW_GROUP_REQUEST: largest known group + 1
	Prefix            Opt[moqt.Namespace]
}

// Setup is SETUP, the first message of each side.
type Setup struct {
	Path           Opt[string] // PATH: client on raw QUIC only
	Authority      Opt[string] // AUTHORITY: client on raw QUIC only
	Tokens         []Token     // AUTHORIZATION_TOKEN
	TokenCacheSize uint64      // MAX_AUTH_TOKEN_CACHE_SIZE, bytes; 0 is not sent
	Implementation string      // MOQT_IMPLEMENTATION; "" is not sent
	// Unknown are the options that no draft defines, as they came: extensions
	// and grease. On encoding they are sent in order of type.
	Unknown moqt.Properties
}

// Goaway is GOAWAY.
type Goaway struct {
	URI     string
	Timeout time.Duration
	// RequestID is the smallest request of the peer that was not processed. It
	// is there only on the control stream, and only at draft-18.
	RequestID Opt[uint64]
}

// Subscribe is SUBSCRIBE.
type Subscribe struct {
	RequestID uint64
	Track     moqt.TrackName
	Params    Params
}

// SubscribeOK is SUBSCRIBE_OK.
type SubscribeOK struct {
	Alias      uint64
	Params     Params
	Properties moqt.Properties
}

// RequestUpdate is REQUEST_UPDATE.
type RequestUpdate struct {
	RequestID uint64
	Params    Params
}

// Publish is PUBLISH.
type Publish struct {
	RequestID  uint64
	Track      moqt.TrackName
	Alias      uint64
	Params     Params
	Properties moqt.Properties
}

// PublishDone is PUBLISH_DONE. Streams is how many data streams the publisher
// opened, or UnknownStreams.
type PublishDone struct {
	Code    moqt.DoneCode
	Streams uint64
	Reason  string
}

// UnknownStreams is a Stream Count that the publisher could not tell. The
// number on the wire differs between drafts.
const UnknownStreams = ^uint64(0)

// FetchKind is the way in which a FETCH tells its range.
type FetchKind uint8

const (
	FetchStandalone      FetchKind = 1 // Track, Start, End
	FetchRelativeJoining FetchKind = 2 // JoiningID, JoiningStart groups before the newest
	FetchAbsoluteJoining FetchKind = 3 // JoiningID, JoiningStart is a group
)

// Fetch is FETCH. End is inclusive; an End.Object of moqt.WholeGroup asks for
// all of group End.Group.
type Fetch struct {
	RequestID    uint64
	Type         FetchKind
	Track        moqt.TrackName
	Start, End   moqt.Location
	JoiningID    uint64
	JoiningStart uint64
	Params       Params
}

// FetchOK is FETCH_OK. End is inclusive, as in [Fetch].
type FetchOK struct {
	EndOfTrack bool
	End        moqt.Location
	Params     Params
	Properties moqt.Properties
}

// TrackStatus is TRACK_STATUS.
type TrackStatus struct {
	RequestID uint64
	Track     moqt.TrackName
	Params    Params
}

// PublishNamespace is PUBLISH_NAMESPACE.
type PublishNamespace struct {
	RequestID uint64
	Namespace moqt.Namespace
	Params    Params
}

// SubscribeNamespace is SUBSCRIBE_NAMESPACE.
type SubscribeNamespace struct {
	RequestID uint64
	Prefix    moqt.Namespace
	Params    Params
}

// Namespace is NAMESPACE.
type Namespace struct{ Suffix moqt.Namespace }

// NamespaceDone is NAMESPACE_DONE.
type NamespaceDone struct{ Suffix moqt.Namespace }

// SubscribeTracks is SUBSCRIBE_TRACKS.
type SubscribeTracks struct {
	RequestID uint64
	Prefix    moqt.Namespace
	Params    Params
}

// PublishSkipped is PUBLISH_SKIPPED, called PUBLISH_BLOCKED until draft-18.
type PublishSkipped struct {
	Suffix moqt.Namespace
	Name   string
}

// RequestOK is REQUEST_OK. Properties are there only in answer to TRACK_STATUS.
type RequestOK struct {
	Params     Params
	Properties moqt.Properties
}

// Redirect is where a request should be sent instead.
type Redirect struct {
	URI   string
	Track moqt.TrackName
}

// RequestError is REQUEST_ERROR. Retry is after how long the request may be
// repeated; if it is not set the request should not be repeated.
type RequestError struct {
	Code     moqt.RequestCode
	Retry    Opt[time.Duration]
	Reason   string
	Redirect Opt[Redirect] // with RequestRedirect only
}

func (*Setup) Kind() Kind              { return KindSetup }
func (*Goaway) Kind() Kind             { return KindGoaway }
func (*Subscribe) Kind() Kind          { return KindSubscribe }
func (*SubscribeOK) Kind() Kind        { return KindSubscribeOK }
func (*RequestUpdate) Kind() Kind      { return KindRequestUpdate }
func (*Publish) Kind() Kind            { return KindPublish }
func (*PublishDone) Kind() Kind        { return KindPublishDone }
func (*Fetch) Kind() Kind              { return KindFetch }
func (*FetchOK) Kind() Kind            { return KindFetchOK }
func (*TrackStatus) Kind() Kind        { return KindTrackStatus }
func (*PublishNamespace) Kind() Kind   { return KindPublishNamespace }
func (*SubscribeNamespace) Kind() Kind { return KindSubscribeNamespace }
func (*Namespace) Kind() Kind          { return KindNamespace }
func (*NamespaceDone) Kind() Kind      { return KindNamespaceDone }
func (*SubscribeTracks) Kind() Kind    { return KindSubscribeTracks }
func (*PublishSkipped) Kind() Kind     { return KindPublishSkipped }
func (*RequestOK) Kind() Kind          { return KindRequestOK }
func (*RequestError) Kind() Kind       { return KindRequestError }
