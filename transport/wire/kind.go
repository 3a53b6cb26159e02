package wire

import "fmt"

var kindNames = [...]string{
	KindNone: "none", KindSetup: "SETUP", KindGoaway: "GOAWAY", KindSubscribe: "SUBSCRIBE", KindSubscribeOK: "SUBSCRIBE_OK",
	KindRequestUpdate: "REQUEST_UPDATE", KindPublish: "PUBLISH", KindPublishDone: "PUBLISH_DONE", KindFetch: "FETCH",
	KindFetchOK: "FETCH_OK", KindTrackStatus: "TRACK_STATUS", KindPublishNamespace: "PUBLISH_NAMESPACE",
	KindSubscribeNamespace: "SUBSCRIBE_NAMESPACE", KindNamespace: "NAMESPACE", KindNamespaceDone: "NAMESPACE_DONE",
	KindSubscribeTracks: "SUBSCRIBE_TRACKS", KindPublishSkipped: "PUBLISH_SKIPPED", KindRequestOK: "REQUEST_OK",
	KindRequestError: "REQUEST_ERROR", KindPublishStateNotify: "PUBLISH_STATE_NOTIFY", KindMaxRequestID: "MAX_REQUEST_ID",
	KindRequestsBlocked: "REQUESTS_BLOCKED", KindUnsubscribe: "UNSUBSCRIBE", KindFetchCancel: "FETCH_CANCEL",
	KindPublishNamespaceDone: "PUBLISH_NAMESPACE_DONE", KindPublishNamespaceCancel: "PUBLISH_NAMESPACE_CANCEL",
}

// String returns the newest draft's name of k.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return fmt.Sprintf("message kind %d", uint8(k))
}

// opensRequest reports whether k is the first message of a request stream.
func (k Kind) opensRequest() bool {
	switch k {
	case KindSubscribe, KindPublish, KindFetch, KindTrackStatus,
		KindPublishNamespace, KindSubscribeNamespace, KindSubscribeTracks:
		return true
	}
	return false
}
