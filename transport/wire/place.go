package wire

// On is where a message was read, which decides what may come and what it may
// carry. The zero value is the start of a request stream, or in drafts whose
// requests share the control stream that of any bidirectional stream.
type On struct {
	// Control says that it is the control stream; then the rest is zero.
	Control bool
	// Request is the kind of the message that opened the request stream, or
	// KindNone if this is that message.
	Request Kind
	// Answers is which message the next REQUEST_OK or REQUEST_ERROR answers:
	// Request while that waits for its first answer, KindRequestUpdate after.
	// KindNone is for the side that opened the stream and has nothing to answer.
	Answers Kind
	// LongLocation says that the peer may write LARGEST_OBJECT as draft-16 has it,
	// with a length before it. A message that cannot be read otherwise is read so.
	LongLocation bool
}

// admits reports whether a message of kind k may be read there.
func (p *Profile) admits(on On, k Kind) bool {
	if p.controlMux {
		return on.admitsShared(k)
	}
	return on.admits(k)
}

// admits is for drafts with a stream for each request. Where Answers is
// KindRequestUpdate it does not know which side sends.
func (on On) admits(k Kind) bool {
	if on.Control {
		return k == KindSetup || k == KindGoaway
	}
	if on.Request == KindNone {
		return k.opensRequest()
	}
	first := on.Answers == on.Request
	switch k {
	case KindGoaway:
		return true
	case KindRequestError:
		return on.Answers != KindNone
	case KindSubscribeOK:
		return first && on.Request == KindSubscribe
	case KindFetchOK:
		return first && on.Request == KindFetch
	case KindRequestOK:
		return on.Answers != KindNone && on.Answers != KindSubscribe && on.Answers != KindFetch
	case KindRequestUpdate:
		return !first && on.Request != KindTrackStatus
	case KindPublishDone, KindPublishStateNotify:
		return !first && (on.Request == KindPublish || on.Request == KindSubscribe && on.Answers != KindNone)
	case KindNamespace, KindNamespaceDone:
		return on.Request == KindSubscribeNamespace && on.Answers == KindRequestUpdate
	case KindPublishSkipped:
		return on.Request == KindSubscribeTracks && on.Answers == KindRequestUpdate
	}
	return false
}

// place is a set of messages that carry parameters, told apart by the request
// they belong to.
type place uint32

const (
	inSubscribe place = 1 << iota
	inSubscribeOK
	inPublish
	inPublishOK
	inFetch
	inFetchOK
	inTrackStatus
	inTrackStatusOK
	inPublishNamespace
	inPublishNamespaceOK
	inSubscribeNamespace
	inSubscribeNamespaceOK
	inSubscribeTracks
	inSubscribeTracksOK
	inSubscriptionUpdate // REQUEST_UPDATE of what SUBSCRIBE or PUBLISH made
	inFetchUpdate
	inPublishNamespaceUpdate
	inSubscribeNamespaceUpdate
	inSubscribeTracksUpdate
	inUpdateOK
	inStateNotify
	inFill // inside FILL_PARAMETERS

	inUpdate = inSubscriptionUpdate | inFetchUpdate | inPublishNamespaceUpdate | inSubscribeNamespaceUpdate | inSubscribeTracksUpdate
	// inObjectFilter is where range filters of objects may be.
	inObjectFilter = inSubscribe | inSubscribeTracks | inFetch | inSubscriptionUpdate | inSubscribeTracksUpdate
	inOK           = inPublishOK | inTrackStatusOK | inPublishNamespaceOK | inSubscribeNamespaceOK | inSubscribeTracksOK | inUpdateOK
)

var kindPlaces = [kindEnd]place{
	KindSubscribe: inSubscribe, KindSubscribeOK: inSubscribeOK, KindPublish: inPublish, KindFetch: inFetch, KindFetchOK: inFetchOK,
	KindTrackStatus: inTrackStatus, KindPublishNamespace: inPublishNamespace, KindSubscribeNamespace: inSubscribeNamespace,
	KindSubscribeTracks: inSubscribeTracks, KindRequestUpdate: inUpdate, KindRequestOK: inOK,
	KindPublishStateNotify: inStateNotify,
}

var updatePlaces = [kindEnd]place{
	KindSubscribe: inSubscriptionUpdate, KindPublish: inSubscriptionUpdate, KindFetch: inFetchUpdate,
	KindPublishNamespace: inPublishNamespaceUpdate, KindSubscribeNamespace: inSubscribeNamespaceUpdate,
	KindSubscribeTracks: inSubscribeTracksUpdate,
}

var okPlaces = [kindEnd]place{
	KindPublish: inPublishOK, KindTrackStatus: inTrackStatusOK, KindPublishNamespace: inPublishNamespaceOK,
	KindSubscribeNamespace: inSubscribeNamespaceOK, KindSubscribeTracks: inSubscribeTracksOK,
	KindRequestUpdate: inUpdateOK,
}

// place returns which message one of kind k is there.
func (on On) place(k Kind) place {
	switch {
	case on.Control && k == KindRequestOK: // which request is meant is told by an id
		return inOK &^ inPublishOK
	case on.Control:
	case k == KindRequestUpdate:
		return updatePlaces[on.Request]
	case k == KindRequestOK:
		return okPlaces[on.Answers]
	}
	return kindPlaces[k]
}
