package wire

import "github.com/tributary-live/tributary/transport/moqt"

// draft19 is draft-ietf-moq-transport-19.
var draft19 = Profile{
	version: moqt.Draft19,
	messages: []messageCodec{
		{typ: 0x03, kind: KindSubscribe, decode: decodeSubscribe, encode: encodeSubscribe},
		{typ: 0x04, kind: KindSubscribeOK, decode: decodeSubscribeOK, encode: encodeSubscribeOK},
		{typ: 0x02, kind: KindRequestUpdate, decode: decodeRequestUpdate, encode: encodeRequestUpdate},
		{typ: 0x07, kind: KindRequestOK, decode: decodeRequestOK, encode: encodeRequestOK},
		{typ: 0x05, kind: KindRequestError, decode: decodeRequestError, encode: encodeRequestError},
		{typ: 0x1D, kind: KindPublish, decode: decodePublish, encode: encodePublish},
		{typ: 0x0B, kind: KindPublishDone, decode: decodePublishDone, encode: encodePublishDone},
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
		{typ: 0x02, field: objectTimeout, in: inSubscribe | inSubscribeTracks | inPublishOK | inUpdate},
		{typ: 0x03, field: tokens, repeat: true,
			in: inSubscribe | inPublish | inFetch | inTrackStatus | inPublishNamespace | inSubscribeNamespace | inSubscribeTracks | inUpdate},
		{typ: 0x04, field: rendezvousTimeout, in: inSubscribe | inSubscribeTracks},
		{typ: 0x06, field: subgroupTimeout, in: inSubscribe | inSubscribeTracks | inPublishOK | inUpdate},
		// TRACK_STATUS_OK has the parameters of a SUBSCRIBE_OK.
		{typ: 0x08, field: expires, in: inSubscribeOK | inPublish | inOK},
		{typ: 0x09, field: largest, in: inSubscribeOK | inPublish | inUpdateOK | inTrackStatusOK},
		{typ: 0x0A, field: fillTimeout, in: inFetch},
		{typ: 0x10, field: forward,
			in: inSubscribe | inSubscribeTracks | inSubscriptionUpdate | inSubscribeTracksUpdate | inPublish | inPublishOK},
		{typ: 0x20, field: priority, in: inSubscribe | inSubscribeTracks | inFetch | inSubscriptionUpdate | inFetchUpdate | inPublishOK},
		{typ: 0x21, field: filter, in: inSubscribe | inSubscribeTracks | inPublishOK | inSubscriptionUpdate},
		// A PUBLISH has the order of the SUBSCRIBE_TRACKS that it comes from.
		{typ: 0x22, field: order, in: inSubscribe | inSubscribeTracks | inFetch | inPublish},
		{typ: 0x25, field: ranges, ranges: moqt.RangeSubgroup, repeat: true, in: inObjectFilter | inPublishOK},
		{typ: 0x26, field: ranges, ranges: moqt.RangeObjectID, repeat: true, in: inObjectFilter | inPublishOK},
		{typ: 0x27, field: ranges, ranges: moqt.RangePriority, repeat: true, in: inObjectFilter | inPublishOK},
		{typ: 0x28, field: ranges, ranges: moqt.RangeObjectProperty, repeat: true, in: inObjectFilter | inPublishOK},
		{typ: 0x29, field: ranges, ranges: moqt.RangeTrackProperty, repeat: true, in: inSubscribeTracks | inSubscribeTracksUpdate},
		{typ: 0x32, field: newGroup, in: inSubscribe | inSubscribeTracks | inPublishOK | inSubscriptionUpdate},
		{typ: 0x34, field: prefix, in: inSubscribeNamespaceUpdate | inSubscribeTracksUpdate},
	},
	options: []numberOption{
		{typ: optionMaxFilterRanges, field: maxFilterRanges},
		{typ: optionMaxRequestUpdates, field: maxRequestUpdates},
	},
	codes: codeTables{
		session: codeTable[moqt.SessionCode]{lacks: []moqt.SessionCode{moqt.SessionTooManyRequests}},
		request: codeTable[moqt.RequestCode]{lacks: []moqt.RequestCode{moqt.RequestDuplicateSubscription}},
	},
	filterForm:           filterTagged,
	severalSubscriptions: true,
	timeoutsOnObjects:    true,
	redirectKeepsTrack:   true,
	unknownStreams:       1<<62 - 1,
	subgroupBits:         subgroupProperties | subgroupIDMode | subgroupEndOfGroup | subgroupDefaultPriority | subgroupFirstObject,
	datagramBits:         datagramProperties | datagramEndOfGroup | datagramZeroObject | datagramDefaultPriority | datagramStatus,
	padding:              true,
	gaps:                 []uint64{GapNonExistent: 0x8C, GapUnknown: 0x10C},
}
