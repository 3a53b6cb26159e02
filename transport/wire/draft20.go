package wire

import "github.com/tributary-live/tributary/transport/moqt"

// draft20 is draft-ietf-moq-transport-20.
var draft20 = Profile{
	version: moqt.Draft20,
	messages: []messageCodec{
		{typ: 0x03, kind: KindSubscribe, decode: decodeSubscribe, encode: encodeSubscribe},
		{typ: 0x04, kind: KindSubscribeOK, decode: decodeSubscribeOK, encode: encodeSubscribeOK},
		{typ: 0x02, kind: KindRequestUpdate, decode: decodeRequestUpdate, encode: encodeRequestUpdate},
		{typ: 0x07, kind: KindRequestOK, decode: decodeRequestOK, encode: encodeRequestOK},
		{typ: 0x05, kind: KindRequestError, decode: decodeRequestError, encode: encodeRequestError},
		{typ: 0x1D, kind: KindPublish, decode: decodePublish, encode: encodePublish},
		{typ: 0x0B, kind: KindPublishDone, decode: decodePublishDone, encode: encodePublishDone},
		{typ: 0x22, kind: KindPublishStateNotify, decode: decodePublishStateNotify, encode: encodePublishStateNotify},
		{typ: 0x16, kind: KindFetch, decode: decodeFetch, encode: encodeFetch},
		{typ: 0x18, kind: KindFetchOK, decode: decodeFetchOK, encode: encodeFetchOK},
		{typ: 0x0D, kind: KindTrackStatus, decode: decodeTrackStatus, encode: encodeTrackStatus},
		{typ: 0x06, kind: KindPublishNamespace, decode: decodePublishNamespace, encode: encodePublishNamespace},
		{typ: 0x50, kind: KindSubscribeNamespace, decode: decodeSubscribeNamespace, encode: encodeSubscribeNamespace},
		{typ: 0x51, kind: KindSubscribeTracks, decode: decodeSubscribeTracks, encode: encodeSubscribeTracks},
		{typ: 0x08, kind: KindNamespace, decode: decodeNamespace, encode: encodeNamespace},
		{typ: 0x0E, kind: KindNamespaceDone, decode: decodeNamespaceDone, encode: encodeNamespaceDone},
		{typ: 0x0F, kind: KindPublishSkipped, decode: decodePublishSkipped, encode: encodePublishSkipped},
		{typ: 0x10, kind: KindGoaway, decode: decodeGoaway, encode: encodeGoaway},
		{typ: setupType, kind: KindSetup, decode: decodeSetup, encode: encodeSetup},
	},
	// What SUBSCRIBE may carry, SUBSCRIBE_TRACKS may for the subscriptions to come.
	params: []paramSpec{
		{typ: 0x02, field: objectTimeout, in: inSubscribe | inSubscribeTracks | inPublish | inUpdate},
		{typ: 0x03, field: tokens, repeat: true,
			in: inSubscribe | inPublish | inFetch | inTrackStatus | inPublishNamespace | inSubscribeNamespace | inSubscribeTracks | inUpdate},
		{typ: 0x04, field: rendezvousTimeout, in: inSubscribe | inSubscribeTracks},
		{typ: 0x06, field: subgroupTimeout, in: inSubscribe | inSubscribeTracks | inPublish | inUpdate},
		// TRACK_STATUS_OK has the parameters of a SUBSCRIBE_OK.
		{typ: 0x08, field: expires, in: inSubscribeOK | inPublish | inOK},
		{typ: 0x09, field: largest, in: inSubscribeOK | inPublish | inUpdateOK | inTrackStatusOK | inStateNotify},
		{typ: 0x0A, field: fillTimeout, in: inFetch | inFill},
		{typ: 0x10, field: forward,
			in: inSubscribe | inSubscribeTracks | inSubscriptionUpdate | inSubscribeTracksUpdate | inPublish | inStateNotify},
		{typ: 0x20, field: priority,
			in: inSubscribe | inSubscribeTracks | inPublish | inFetch | inSubscriptionUpdate | inFetchUpdate | inFill},
		{typ: 0x21, field: filter,
			in: inSubscribe | inSubscribeTracks | inPublish | inFetch | inSubscriptionUpdate | inStateNotify | inFill},
		{typ: 0x22, field: order, in: inSubscribe | inSubscribeTracks | inPublish | inFetch | inFill},
		{typ: 0x23, field: fill, in: inSubscribe | inSubscribeTracks | inSubscriptionUpdate},
		{typ: 0x25, field: ranges, ranges: moqt.RangeSubgroup, repeat: true, in: inObjectFilter | inFill},
		{typ: 0x26, field: ranges, ranges: moqt.RangeObjectID, repeat: true, in: inObjectFilter | inFill},
		{typ: 0x27, field: ranges, ranges: moqt.RangePriority, repeat: true, in: inObjectFilter | inFill},
		{typ: 0x28, field: ranges, ranges: moqt.RangeObjectProperty, repeat: true, in: inObjectFilter | inFill},
		{typ: 0x29, field: ranges, ranges: moqt.RangeTrackProperty, repeat: true, in: inSubscribeTracks | inSubscribeTracksUpdate},
		{typ: 0x32, field: newGroup, in: inSubscribe | inSubscribeTracks | inSubscriptionUpdate},
		{typ: 0x34, field: prefix, in: inSubscribeNamespaceUpdate | inSubscribeTracksUpdate},
		{typ: 0x35, field: includeProperties, in: inSubscribe | inSubscribeTracks | inTrackStatus | inFetch},
	},
	options: []numberOption{
		{typ: optionMaxFilterRanges, field: maxFilterRanges},
		{typ: optionMaxRequestUpdates, field: maxRequestUpdates},
	},
	codes: codeTables{
		session: codeTable[moqt.SessionCode]{lacks: []moqt.SessionCode{moqt.SessionTooManyRequests, moqt.SessionVersionNegotiation}},
		request: codeTable[moqt.RequestCode]{lacks: []moqt.RequestCode{moqt.RequestDuplicateSubscription, moqt.RequestInvalidJoiningID}},
		done:    codeTable[moqt.DoneCode]{lacks: []moqt.DoneCode{moqt.DoneSubscriptionEnded}},
	},
	filterForm:           filterCounted,
	fetchByFilter:        true,
	severalSubscriptions: true,
	timeoutsOnObjects:    true,
	unknownStreams:       1<<64 - 1,
	subgroupBits:         subgroupProperties | subgroupIDMode | subgroupEndOfGroup | subgroupDefaultPriority | subgroupFirstObject,
	datagramBits:         datagramProperties | datagramEndOfGroup | datagramZeroObject | datagramDefaultPriority | datagramStatus,
	padding:              true,
	gaps:                 []uint64{GapNonExistent: 0x8C, GapUnknown: 0x10C, GapTimedOut: 0x20C},
}

// draft21 is draft-ietf-moq-transport-21: the text was moved about, no byte is
// another than in draft-20.
var draft21 = func() Profile {
	p := draft20
	p.version = moqt.Draft21
	return p
}()

// draft22 is draft-ietf-moq-transport-22: LOCATION_FILTER is written another
// way.
var draft22 = func() Profile {
	p := draft21
	p.version = moqt.Draft22
	p.filterForm = filterTyped
	return p
}()
