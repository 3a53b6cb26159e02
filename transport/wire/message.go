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

// The control messages that only some drafts have.
const (
	KindPublishStateNotify Kind = iota + 32 // from draft-20
	KindMaxRequestID                        // this and the rest until draft-16
	KindRequestsBlocked
	KindUnsubscribe
	KindFetchCancel
	KindPublishNamespaceDone
	KindPublishNamespaceCancel

	kindEnd
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
	// Filter is LOCATION_FILTER, until draft-18 SUBSCRIPTION_FILTER. Until
	// draft-19 absent and FilterNone are the same on the wire.
	Filter            Opt[moqt.Filter]
	Order             Opt[moqt.GroupOrder]
	Fill              Opt[FillParameters] // FILL_PARAMETERS, from draft-20
	Ranges            moqt.RangeFilters   // the five range filters, from draft-19
	NewGroup          Opt[uint64]         // NEW_GROUP_REQUEST: largest known group + 1
	Prefix            Opt[moqt.Namespace]
	IncludeProperties Opt[bool] // INCLUDE_PROPERTIES, from draft-20
}

// FillParameters ask the publisher of a subscription to send what is already
// there on a fetch stream of its own. What is absent is as for the
// subscription.
type FillParameters struct {
	Timeout  Opt[time.Duration] // FILL_TIMEOUT
	Priority Opt[moqt.Priority] // SUBSCRIBER_PRIORITY
	Filter   Opt[moqt.Filter]   // LOCATION_FILTER: what to send, but nothing after the largest object
	Order    Opt[moqt.GroupOrder]
	Ranges   moqt.RangeFilters // without RangeTrackProperty
}

// Setup is SETUP, the first message of each side. Options that a draft does not
// have are not sent.
type Setup struct {
	// Server says that it is the server's. It is used at draft-16 only, where the
	// two sides have messages of their own, CLIENT_SETUP and SERVER_SETUP.
	Server         bool
	Path           Opt[string] // PATH: client on raw QUIC only
	Authority      Opt[string] // AUTHORITY: client on raw QUIC only
	Tokens         []Token     // AUTHORIZATION_TOKEN
	TokenCacheSize uint64      // MAX_AUTH_TOKEN_CACHE_SIZE, bytes; 0 is not sent
	Implementation string      // MOQT_IMPLEMENTATION; "" is not sent
	// MaxRequestID is MAX_REQUEST_ID, until draft-16: the smallest Request ID that
	// the peer may not use yet. Absent is 0.
	MaxRequestID Opt[uint64]
	// MaxFilterRanges is MAX_FILTER_RANGES, from draft-19: how many ranges the
	// filters of one request of the peer may have. Absent is 0.
	MaxFilterRanges Opt[uint64]
	// MaxRequestUpdates is MAX_REQUEST_UPDATES, from draft-19: how many updates of
	// one request the peer may send ahead of the answers. 0, or absent, is no
	// limit.
	MaxRequestUpdates Opt[uint64]
	// Unknown are the options that the draft does not define, as they came:
	// extensions and grease. On encoding they are sent in order of type.
	Unknown moqt.Properties
}

// OldVersions reports whether m, read as a CLIENT_SETUP of draft-16, may be one
// of an older draft, which begins with a list of versions: they look like options
// with numbers of a kind that only drafts up to 14 have.
func (m *Setup) OldVersions() bool {
	for _, o := range m.Unknown {
		if o.Type>>8 == 0xff0000 {
			return true
		}
	}
	return false
}

// Goaway is GOAWAY.
type Goaway struct {
	URI     string
	Timeout time.Duration // from draft-17; 0 leaves it open
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

// The RequestID of answers, and of what ends a request, says which request is
// meant. It is used until draft-16; then the stream tells, and it is 0.

// SubscribeOK is SUBSCRIBE_OK.
type SubscribeOK struct {
	RequestID  uint64 // until draft-16
	Alias      uint64
	Params     Params
	Properties moqt.Properties
}

// RequestUpdate is REQUEST_UPDATE.
type RequestUpdate struct {
	RequestID uint64
	Existing  uint64 // Request ID of what is updated; until draft-16, then 0
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
	RequestID uint64 // until draft-16
	Code      moqt.DoneCode
	Streams   uint64
	Reason    string
}

// UnknownStreams is a Stream Count that the publisher could not tell. The
// number on the wire differs between drafts.
const UnknownStreams = ^uint64(0)

// FetchKind is the way in which a FETCH tells its range.
type FetchKind uint8

const (
	FetchStandalone      FetchKind = 1 // Track, Start, End
	FetchRelativeJoining FetchKind = 2 // JoiningID, JoiningStart groups before the newest; until draft-19
	FetchAbsoluteJoining FetchKind = 3 // JoiningID, JoiningStart is a group; until draft-19
	FetchRelative        FetchKind = 4 // Track, Filter; from draft-20
)

// Fetch is FETCH. End is inclusive; an End.Object of moqt.WholeGroup asks for
// all of group End.Group, an End.Group of moqt.LastGroup for all there is.
type Fetch struct {
	RequestID    uint64
	Type         FetchKind
	Track        moqt.TrackName
	Start, End   moqt.Location
	JoiningID    uint64
	JoiningStart uint64
	// Filter is a start relative to the largest object: FilterRelative,
	// FilterNextGroup or FilterLargestObject.
	Filter moqt.Filter
	Params Params // Filter is not set: it is told by the fields above
}

// FetchOK is FETCH_OK. End is inclusive, as in [Fetch].
type FetchOK struct {
	RequestID  uint64 // until draft-16
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
	// Tracks says that the request is for the tracks under the prefix as well, as
	// if it were a [SubscribeTracks] too. Until draft-16.
	Tracks bool
	Params Params
}

// Namespace is NAMESPACE.
type Namespace struct{ Suffix moqt.Namespace }

// NamespaceDone is NAMESPACE_DONE.
type NamespaceDone struct{ Suffix moqt.Namespace }

// SubscribeTracks is SUBSCRIBE_TRACKS, until draft-16 a form of
// SUBSCRIBE_NAMESPACE.
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

// RequestOK is REQUEST_OK. Properties are there only in answer to TRACK_STATUS,
// from draft-17.
type RequestOK struct {
	RequestID uint64 // until draft-16
	// Publish says that it answers a PUBLISH. It is used at draft-16 only, where
	// that is a message of its own, PUBLISH_OK.
	Publish    bool
	Params     Params
	Properties moqt.Properties
}

// PublishStateNotify is PUBLISH_STATE_NOTIFY: the publisher tells of a change
// to a subscription. There is no answer.
type PublishStateNotify struct{ Params Params }

// MaxRequestID is MAX_REQUEST_ID: Max is the smallest Request ID that the peer
// may not use yet.
type MaxRequestID struct{ Max uint64 }

// RequestsBlocked is REQUESTS_BLOCKED: there are requests that wait for a Max
// larger than this.
type RequestsBlocked struct{ Max uint64 }

// Unsubscribe is UNSUBSCRIBE: the subscriber ends a subscription.
type Unsubscribe struct{ RequestID uint64 }

// FetchCancel is FETCH_CANCEL: the subscriber ends a fetch.
type FetchCancel struct{ RequestID uint64 }

// PublishNamespaceDone is PUBLISH_NAMESPACE_DONE: the publisher withdraws a
// namespace.
type PublishNamespaceDone struct{ RequestID uint64 }

// PublishNamespaceCancel is PUBLISH_NAMESPACE_CANCEL: the subscriber wants no
// more of a namespace.
type PublishNamespaceCancel struct {
	RequestID uint64
	Code      moqt.RequestCode
	Reason    string
}

// Redirect is where a request should be sent instead. Until draft-19 an empty
// Track means the same one; see [Profile.RedirectKeepsTrack].
type Redirect struct {
	URI   string
	Track moqt.TrackName
}

// RequestError is REQUEST_ERROR. Retry is after how long the request may be
// repeated; if it is not set the request should not be repeated.
type RequestError struct {
	RequestID uint64 // until draft-16
	Code      moqt.RequestCode
	Retry     Opt[time.Duration]
	Reason    string
	Redirect  Opt[Redirect] // with RequestRedirect only
}

func (*Setup) Kind() Kind                  { return KindSetup }
func (*Goaway) Kind() Kind                 { return KindGoaway }
func (*Subscribe) Kind() Kind              { return KindSubscribe }
func (*SubscribeOK) Kind() Kind            { return KindSubscribeOK }
func (*RequestUpdate) Kind() Kind          { return KindRequestUpdate }
func (*Publish) Kind() Kind                { return KindPublish }
func (*PublishDone) Kind() Kind            { return KindPublishDone }
func (*Fetch) Kind() Kind                  { return KindFetch }
func (*FetchOK) Kind() Kind                { return KindFetchOK }
func (*TrackStatus) Kind() Kind            { return KindTrackStatus }
func (*PublishNamespace) Kind() Kind       { return KindPublishNamespace }
func (*SubscribeNamespace) Kind() Kind     { return KindSubscribeNamespace }
func (*Namespace) Kind() Kind              { return KindNamespace }
func (*NamespaceDone) Kind() Kind          { return KindNamespaceDone }
func (*SubscribeTracks) Kind() Kind        { return KindSubscribeTracks }
func (*PublishSkipped) Kind() Kind         { return KindPublishSkipped }
func (*RequestOK) Kind() Kind              { return KindRequestOK }
func (*RequestError) Kind() Kind           { return KindRequestError }
func (*PublishStateNotify) Kind() Kind     { return KindPublishStateNotify }
func (*MaxRequestID) Kind() Kind           { return KindMaxRequestID }
func (*RequestsBlocked) Kind() Kind        { return KindRequestsBlocked }
func (*Unsubscribe) Kind() Kind            { return KindUnsubscribe }
func (*FetchCancel) Kind() Kind            { return KindFetchCancel }
func (*PublishNamespaceDone) Kind() Kind   { return KindPublishNamespaceDone }
func (*PublishNamespaceCancel) Kind() Kind { return KindPublishNamespaceCancel }
