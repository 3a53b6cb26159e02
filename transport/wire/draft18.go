package wire

import "github.com/tributary-live/tributary/transport/moqt"

// draft18 is draft-ietf-moq-transport-18.
var draft18 = Profile{
	version: moqt.Draft18,
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
		// The text makes PUBLISH_OK a REQUEST_OK, the table of message types
		// still has it.
		{typ: 0x1E, kind: KindRequestOK, decode: decodeRequestOK, answers: KindPublish},
	},
	params: []paramSpec{
		{typ: 0x02, field: func(p *Params) any { return &p.ObjectTimeout }, in: inSubscribe | inPublishOK | inUpdate},
		{typ: 0x03, field: func(p *Params) any { return &p.Tokens }, repeat: true,
			in: inSubscribe | inPublish | inFetch | inTrackStatus | inPublishNamespace | inSubscribeNamespace | inSubscribeTracks | inUpdate},
		{typ: 0x04, field: func(p *Params) any { return &p.RendezvousTimeout }, in: inSubscribe},
		{typ: 0x06, field: func(p *Params) any { return &p.SubgroupTimeout }, in: inSubscribe | inPublishOK | inUpdate},
		// TRACK_STATUS_OK has the parameters of a SUBSCRIBE_OK.
		{typ: 0x08, field: func(p *Params) any { return &p.Expires }, in: inSubscribeOK | inPublish | inPublishOK | inUpdateOK | inTrackStatusOK},
		{typ: 0x09, field: func(p *Params) any { return &p.Largest }, in: inSubscribeOK | inPublish | inUpdateOK | inTrackStatusOK},
		{typ: 0x0A, field: func(p *Params) any { return &p.FillTimeout }, in: inFetch},
		{typ: 0x10, field: func(p *Params) any { return &p.Forward },
			in: inSubscribe | inSubscriptionUpdate | inPublish | inPublishOK | inSubscribeTracks | inSubscribeTracksUpdate},
		{typ: 0x20, field: func(p *Params) any { return &p.Priority }, in: inSubscribe | inFetch | inSubscriptionUpdate | inFetchUpdate | inPublishOK},
		{typ: 0x21, field: func(p *Params) any { return &p.Filter }, in: inSubscribe | inPublishOK | inSubscriptionUpdate},
		{typ: 0x22, field: func(p *Params) any { return &p.Order }, in: inSubscribe | inPublishOK | inFetch},
		{typ: 0x32, field: func(p *Params) any { return &p.NewGroup }, in: inSubscribe | inPublishOK | inSubscriptionUpdate},
		{typ: 0x34, field: func(p *Params) any { return &p.Prefix }, in: inSubscribeNamespaceUpdate | inSubscribeTracksUpdate},
	},
	codes: codeTables{
		session: codeTable[moqt.SessionCode]{lacks: []moqt.SessionCode{moqt.SessionTooManyRequests, moqt.SessionTooManyRequestUpdates}},
		request: codeTable[moqt.RequestCode]{lacks: []moqt.RequestCode{moqt.RequestConflictingFilters, moqt.RequestInvalidFilter}},
	},
	filterForm:         filterTagged,
	redirectKeepsTrack: true,

	unknownStreams:  1<<62 - 1,
	goawayRequestID: true,
	subgroupBits:    subgroupProperties | subgroupIDMode | subgroupEndOfGroup | subgroupDefaultPriority | subgroupFirstObject,
	datagramBits:    datagramProperties | datagramEndOfGroup | datagramZeroObject | datagramDefaultPriority | datagramStatus,
	padding:         true,
	gaps:            []uint64{GapNonExistent: 0x8C, GapUnknown: 0x10C},
}
