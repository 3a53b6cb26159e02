package moqt

import (
	"fmt"
	"maps"
	"slices"
)

// SessionCode says why a session was closed ("Session Termination"). The
// values are those of draft-18; unknown ones are treated as INTERNAL_ERROR.
// Package wire translates codes that have another number in another draft, or
// none.
type SessionCode uint64

const (
	SessionNoError               SessionCode = 0x0  // NO_ERROR
	SessionInternalError         SessionCode = 0x1  // INTERNAL_ERROR
	SessionUnauthorized          SessionCode = 0x2  // UNAUTHORIZED
	SessionProtocolViolation     SessionCode = 0x3  // PROTOCOL_VIOLATION
	SessionInvalidRequestID      SessionCode = 0x4  // INVALID_REQUEST_ID
	SessionDuplicateTrackAlias   SessionCode = 0x5  // DUPLICATE_TRACK_ALIAS
	SessionKeyValueFormatting    SessionCode = 0x6  // KEY_VALUE_FORMATTING_ERROR
	SessionTooManyRequests       SessionCode = 0x7  // TOO_MANY_REQUESTS, until draft-16
	SessionInvalidPath           SessionCode = 0x8  // INVALID_PATH
	SessionMalformedPath         SessionCode = 0x9  // MALFORMED_PATH
	SessionGoawayTimeout         SessionCode = 0x10 // GOAWAY_TIMEOUT
	SessionControlMessageTimeout SessionCode = 0x11 // CONTROL_MESSAGE_TIMEOUT
	SessionDataStreamTimeout     SessionCode = 0x12 // DATA_STREAM_TIMEOUT
	SessionTokenCacheOverflow    SessionCode = 0x13 // AUTH_TOKEN_CACHE_OVERFLOW
	SessionDuplicateTokenAlias   SessionCode = 0x14 // DUPLICATE_AUTH_TOKEN_ALIAS
	SessionVersionNegotiation    SessionCode = 0x15 // VERSION_NEGOTIATION_FAILED, until draft-19
	SessionMalformedToken        SessionCode = 0x16 // MALFORMED_AUTH_TOKEN
	SessionUnknownTokenAlias     SessionCode = 0x17 // UNKNOWN_AUTH_TOKEN_ALIAS
	SessionExpiredToken          SessionCode = 0x18 // EXPIRED_AUTH_TOKEN
	SessionInvalidAuthority      SessionCode = 0x19 // INVALID_AUTHORITY
	SessionMalformedAuthority    SessionCode = 0x1A // MALFORMED_AUTHORITY
	SessionTooManyRequestUpdates SessionCode = 0x1B // TOO_MANY_REQUEST_UPDATES, from draft-19
)

var sessionCodes = map[SessionCode]string{
	SessionNoError: "NO_ERROR", SessionInternalError: "INTERNAL_ERROR", SessionUnauthorized: "UNAUTHORIZED",
	SessionProtocolViolation: "PROTOCOL_VIOLATION", SessionInvalidRequestID: "INVALID_REQUEST_ID",
	SessionDuplicateTrackAlias: "DUPLICATE_TRACK_ALIAS", SessionKeyValueFormatting: "KEY_VALUE_FORMATTING_ERROR",
	SessionTooManyRequests: "TOO_MANY_REQUESTS", SessionInvalidPath: "INVALID_PATH", SessionMalformedPath: "MALFORMED_PATH",
	SessionGoawayTimeout: "GOAWAY_TIMEOUT", SessionControlMessageTimeout: "CONTROL_MESSAGE_TIMEOUT",
	SessionDataStreamTimeout: "DATA_STREAM_TIMEOUT", SessionTokenCacheOverflow: "AUTH_TOKEN_CACHE_OVERFLOW",
	SessionDuplicateTokenAlias: "DUPLICATE_AUTH_TOKEN_ALIAS", SessionVersionNegotiation: "VERSION_NEGOTIATION_FAILED",
	SessionMalformedToken: "MALFORMED_AUTH_TOKEN", SessionUnknownTokenAlias: "UNKNOWN_AUTH_TOKEN_ALIAS",
	SessionExpiredToken: "EXPIRED_AUTH_TOKEN", SessionInvalidAuthority: "INVALID_AUTHORITY",
	SessionMalformedAuthority: "MALFORMED_AUTHORITY", SessionTooManyRequestUpdates: "TOO_MANY_REQUEST_UPDATES",
}

// String returns the draft's name of c.
func (c SessionCode) String() string { return codeName(sessionCodes, c) }

// SessionCodes returns all codes that a draft defines, in ascending order.
func SessionCodes() []SessionCode { return slices.Sorted(maps.Keys(sessionCodes)) }

// RequestCode says why a request was refused (REQUEST_ERROR).
type RequestCode uint64

const (
	RequestInternalError         RequestCode = 0x0  // INTERNAL_ERROR
	RequestUnauthorized          RequestCode = 0x1  // UNAUTHORIZED
	RequestTimeout               RequestCode = 0x2  // TIMEOUT
	RequestNotSupported          RequestCode = 0x3  // NOT_SUPPORTED
	RequestMalformedToken        RequestCode = 0x4  // MALFORMED_AUTH_TOKEN
	RequestExpiredToken          RequestCode = 0x5  // EXPIRED_AUTH_TOKEN
	RequestGoingAway             RequestCode = 0x6  // GOING_AWAY
	RequestExcessiveLoad         RequestCode = 0x9  // EXCESSIVE_LOAD
	RequestDoesNotExist          RequestCode = 0x10 // DOES_NOT_EXIST
	RequestInvalidRange          RequestCode = 0x11 // INVALID_RANGE
	RequestMalformedTrack        RequestCode = 0x12 // MALFORMED_TRACK
	RequestDuplicateSubscription RequestCode = 0x19 // DUPLICATE_SUBSCRIPTION, until draft-18
	RequestUninterested          RequestCode = 0x20 // UNINTERESTED
	RequestPrefixOverlap         RequestCode = 0x30 // PREFIX_OVERLAP
	RequestNamespaceTooLarge     RequestCode = 0x31 // NAMESPACE_TOO_LARGE
	RequestInvalidJoiningID      RequestCode = 0x32 // INVALID_JOINING_REQUEST_ID, until draft-19
	RequestUnsupportedExtension  RequestCode = 0x33 // UNSUPPORTED_EXTENSION
	RequestRedirect              RequestCode = 0x34 // REDIRECT
	RequestConflictingFilters    RequestCode = 0x35 // CONFLICTING_FILTERS, from draft-19
	RequestInvalidFilter         RequestCode = 0x36 // INVALID_FILTER, from draft-19
)

var requestCodes = map[RequestCode]string{
	RequestInternalError: "INTERNAL_ERROR", RequestUnauthorized: "UNAUTHORIZED", RequestTimeout: "TIMEOUT",
	RequestNotSupported: "NOT_SUPPORTED", RequestMalformedToken: "MALFORMED_AUTH_TOKEN", RequestExpiredToken: "EXPIRED_AUTH_TOKEN",
	RequestGoingAway: "GOING_AWAY", RequestExcessiveLoad: "EXCESSIVE_LOAD", RequestDoesNotExist: "DOES_NOT_EXIST",
	RequestInvalidRange: "INVALID_RANGE", RequestMalformedTrack: "MALFORMED_TRACK", RequestDuplicateSubscription: "DUPLICATE_SUBSCRIPTION",
	RequestUninterested: "UNINTERESTED", RequestPrefixOverlap: "PREFIX_OVERLAP", RequestNamespaceTooLarge: "NAMESPACE_TOO_LARGE",
	RequestInvalidJoiningID: "INVALID_JOINING_REQUEST_ID", RequestUnsupportedExtension: "UNSUPPORTED_EXTENSION", RequestRedirect: "REDIRECT",
	RequestConflictingFilters: "CONFLICTING_FILTERS", RequestInvalidFilter: "INVALID_FILTER",
}

// String returns the draft's name of c.
func (c RequestCode) String() string { return codeName(requestCodes, c) }

// RequestCodes returns all codes that a draft defines, in ascending order.
func RequestCodes() []RequestCode { return slices.Sorted(maps.Keys(requestCodes)) }

// DoneCode says why a publisher ended a subscription (PUBLISH_DONE).
type DoneCode uint64

const (
	DoneInternalError     DoneCode = 0x0  // INTERNAL_ERROR
	DoneUnauthorized      DoneCode = 0x1  // UNAUTHORIZED
	DoneTrackEnded        DoneCode = 0x2  // TRACK_ENDED
	DoneSubscriptionEnded DoneCode = 0x3  // SUBSCRIPTION_ENDED, until draft-19
	DoneGoingAway         DoneCode = 0x4  // GOING_AWAY
	DoneTooFarBehind      DoneCode = 0x5  // TOO_FAR_BEHIND
	DoneExpired           DoneCode = 0x6  // EXPIRED
	DoneUpdateFailed      DoneCode = 0x8  // UPDATE_FAILED
	DoneExcessiveLoad     DoneCode = 0x9  // EXCESSIVE_LOAD
	DoneMalformedTrack    DoneCode = 0x12 // MALFORMED_TRACK
)

var doneCodes = map[DoneCode]string{
	DoneInternalError: "INTERNAL_ERROR", DoneUnauthorized: "UNAUTHORIZED", DoneTrackEnded: "TRACK_ENDED",
	DoneSubscriptionEnded: "SUBSCRIPTION_ENDED", DoneGoingAway: "GOING_AWAY", DoneTooFarBehind: "TOO_FAR_BEHIND",
	DoneExpired: "EXPIRED", DoneUpdateFailed: "UPDATE_FAILED", DoneExcessiveLoad: "EXCESSIVE_LOAD", DoneMalformedTrack: "MALFORMED_TRACK",
}

// String returns the draft's name of c.
func (c DoneCode) String() string { return codeName(doneCodes, c) }

// DoneCodes returns all codes that a draft defines, in ascending order.
func DoneCodes() []DoneCode { return slices.Sorted(maps.Keys(doneCodes)) }

// StreamCode says why a stream was reset or stopped ("Stream Reset Codes").
type StreamCode uint64

const (
	StreamInternalError       StreamCode = 0x0  // INTERNAL_ERROR
	StreamCancelled           StreamCode = 0x1  // CANCELLED
	StreamDeliveryTimeout     StreamCode = 0x2  // DELIVERY_TIMEOUT
	StreamSessionClosed       StreamCode = 0x3  // SESSION_CLOSED
	StreamGoingAway           StreamCode = 0x4  // GOING_AWAY
	StreamTooFarBehind        StreamCode = 0x5  // TOO_FAR_BEHIND
	StreamUnknownObjectStatus StreamCode = 0x6  // UNKNOWN_OBJECT_STATUS
	StreamExpiredToken        StreamCode = 0x7  // EXPIRED_AUTH_TOKEN
	StreamExcessiveLoad       StreamCode = 0x9  // EXCESSIVE_LOAD
	StreamMalformedTrack      StreamCode = 0x12 // MALFORMED_TRACK
)

var streamCodes = map[StreamCode]string{
	StreamInternalError: "INTERNAL_ERROR", StreamCancelled: "CANCELLED", StreamDeliveryTimeout: "DELIVERY_TIMEOUT",
	StreamSessionClosed: "SESSION_CLOSED", StreamGoingAway: "GOING_AWAY", StreamTooFarBehind: "TOO_FAR_BEHIND",
	StreamUnknownObjectStatus: "UNKNOWN_OBJECT_STATUS", StreamExpiredToken: "EXPIRED_AUTH_TOKEN",
	StreamExcessiveLoad: "EXCESSIVE_LOAD", StreamMalformedTrack: "MALFORMED_TRACK",
}

// String returns the draft's name of c.
func (c StreamCode) String() string { return codeName(streamCodes, c) }

// StreamCodes returns all codes that a draft defines, in ascending order.
func StreamCodes() []StreamCode { return slices.Sorted(maps.Keys(streamCodes)) }

func codeName[C ~uint64](names map[C]string, c C) string {
	if s, ok := names[c]; ok {
		return s
	}
	return fmt.Sprintf("0x%x", uint64(c))
}
