package wire

import "github.com/tributary-live/tributary/transport/moqt"

// draft16 is draft-ietf-moq-transport-16.
var draft16 = Profile{
	version: moqt.Draft16,
	messages: []messageCodec{
		{typ: 0x20, kind: KindSetup, decode: decodeClientSetup, encode: encodeCountedSetup, sends: isClientSetup},
		{typ: 0x21, kind: KindSetup, decode: decodeServerSetup, encode: encodeCountedSetup, sends: isServerSetup},
		{typ: 0x10, kind: KindGoaway, decode: decodeGoaway, encode: encodeGoaway},
		{typ: 0x15, kind: KindMaxRequestID, decode: decodeMaxRequestID, encode: encodeMaxRequestID},
		{typ: 0x1A, kind: KindRequestsBlocked, decode: decodeRequestsBlocked, encode: encodeRequestsBlocked},
		{typ: 0x07, kind: KindRequestOK, decode: decodeRequestOK, encode: encodeRequestOK, sends: isRequestOK},
		{typ: 0x05, kind: KindRequestError, decode: decodeRequestError, encode: encodeRequestError},
		{typ: 0x03, kind: KindSubscribe, decode: decodeSubscribe, encode: encodeSubscribe},
		{typ: 0x04, kind: KindSubscribeOK, decode: decodeSubscribeOK, encode: encodeSubscribeOK},
		{typ: 0x02, kind: KindRequestUpdate, decode: decodeRequestUpdate, encode: encodeRequestUpdate},
		{typ: 0x0A, kind: KindUnsubscribe, decode: decodeUnsubscribe, encode: encodeUnsubscribe},
		{typ: 0x1D, kind: KindPublish, decode: decodePublish, encode: encodePublish},
		{typ: 0x1E, kind: KindRequestOK, decode: decodePublishOK, encode: encodeRequestOK, sends: isPublishOK},
		{typ: 0x0B, kind: KindPublishDone, decode: decodePublishDone, encode: encodePublishDone},
		{typ: 0x16, kind: KindFetch, decode: decodeFetch, encode: encodeFetch},
		{typ: 0x18, kind: KindFetchOK, decode: decodeFetchOK, encode: encodeFetchOK},
		{typ: 0x17, kind: KindFetchCancel, decode: decodeFetchCancel, encode: encodeFetchCancel},
		{typ: 0x0D, kind: KindTrackStatus, decode: decodeTrackStatus, encode: encodeTrackStatus},
		{typ: 0x06, kind: KindPublishNamespace, decode: decodePublishNamespace, encode: encodePublishNamespace},
		{typ: 0x09, kind: KindPublishNamespaceDone, decode: decodePublishNamespaceDone, encode: encodePublishNamespaceDone},
		{typ: 0x0C, kind: KindPublishNamespaceCancel, decode: decodePublishNamespaceCancel, encode: encodePublishNamespaceCancel},
		{typ: 0x11, kind: KindSubscribeNamespace, decode: decodeWatch, encode: encodeWatchNamespaces},
		{typ: 0x11, kind: KindSubscribeTracks, encode: encodeWatchTracks}, // decodeWatch reads it
		{typ: 0x08, kind: KindNamespace, decode: decodeNamespace, encode: encodeNamespace},
		{typ: 0x0E, kind: KindNamespaceDone, decode: decodeNamespaceDone, encode: encodeNamespaceDone},
	},
	params: []paramSpec{
		{typ: 0x02, field: objectTimeout, in: inSubscribe | inPublishOK | inUpdate},
		{typ: 0x03, field: tokens, repeat: true,
			in: inSubscribe | inPublish | inFetch | inTrackStatus | inPublishNamespace | inSubscribeNamespace | inUpdate},
		// The text is not sure about the answer to an update. That to TRACK_STATUS
		// has the parameters of a SUBSCRIBE_OK.
		{typ: 0x08, field: expires, in: inSubscribeOK | inPublish | inPublishOK | inUpdateOK | inTrackStatusOK},
		{typ: 0x09, field: largest, in: inSubscribeOK | inPublish | inUpdateOK | inTrackStatusOK},
		{typ: 0x10, field: forward, in: inSubscribe | inSubscriptionUpdate | inPublish | inPublishOK | inSubscribeNamespace},
		{typ: 0x20, field: priority, in: inSubscribe | inFetch | inSubscriptionUpdate | inFetchUpdate | inPublishOK},
		{typ: 0x21, field: filter, in: inSubscribe | inPublishOK | inSubscriptionUpdate},
		{typ: 0x22, field: order, in: inSubscribe | inPublishOK | inFetch},
		{typ: 0x32, field: newGroup, in: inSubscribe | inPublishOK | inSubscriptionUpdate},
	},
	options: []numberOption{{typ: optionMaxRequestID, field: maxRequestID}},
	codes: codeTables{
		session: codeTable[moqt.SessionCode]{lacks: []moqt.SessionCode{moqt.SessionTooManyRequestUpdates}},
		request: codeTable[moqt.RequestCode]{lacks: []moqt.RequestCode{
			moqt.RequestGoingAway, moqt.RequestExcessiveLoad, moqt.RequestNamespaceTooLarge, moqt.RequestUnsupportedExtension,
			moqt.RequestRedirect, moqt.RequestConflictingFilters, moqt.RequestInvalidFilter,
		}},
		done: codeTable[moqt.DoneCode]{
			lacks:   []moqt.DoneCode{moqt.DoneExcessiveLoad},
			numbers: map[moqt.DoneCode]uint64{moqt.DoneExpired: 0x5, moqt.DoneTooFarBehind: 0x6},
		},
		stream: codeTable[moqt.StreamCode]{
			lacks:   []moqt.StreamCode{moqt.StreamGoingAway, moqt.StreamTooFarBehind, moqt.StreamExpiredToken, moqt.StreamExcessiveLoad},
			numbers: map[moqt.StreamCode]uint64{moqt.StreamUnknownObjectStatus: 0x4},
		},
	},
	quicVarints:       true,
	controlMux:        true,
	pairs:             true,
	orderZero:         true,
	timeoutNotZero:    true,
	namespaceNotEmpty: true,
	filterForm:        filterTaggedGroup,
	fetchIDs:          true,
	noRedirect:        true,
	noGoawayTimeout:   true,
	unknownStreams:    1<<62 - 1,
	subgroupBits:      subgroupProperties | subgroupIDMode | subgroupEndOfGroup | subgroupDefaultPriority,
	datagramBits:      datagramProperties | datagramEndOfGroup | datagramZeroObject | datagramDefaultPriority | datagramStatus,
	gaps:              []uint64{GapNonExistent: 0x8C, GapUnknown: 0x10C},
}
