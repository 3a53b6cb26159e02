package wire

import (
	"slices"
	"strings"
	"testing"
)

// TestSharedPlaces walks every kind of message through every place where
// requests share the control stream.
func TestSharedPlaces(t *testing.T) {
	control := "SETUP GOAWAY SUBSCRIBE SUBSCRIBE_OK REQUEST_UPDATE PUBLISH PUBLISH_DONE FETCH FETCH_OK TRACK_STATUS PUBLISH_NAMESPACE" +
		" REQUEST_OK REQUEST_ERROR MAX_REQUEST_ID REQUESTS_BLOCKED UNSUBSCRIBE FETCH_CANCEL PUBLISH_NAMESPACE_DONE PUBLISH_NAMESPACE_CANCEL"
	for _, test := range []struct {
		on   On
		want string
	}{
		{On{Control: true}, control},
		{On{}, "SETUP SUBSCRIBE_NAMESPACE"},
		{On{Request: KindSubscribeNamespace}, "REQUEST_UPDATE"},
		{On{Request: KindSubscribeNamespace, Answers: KindSubscribeNamespace}, "REQUEST_OK REQUEST_ERROR"},
		{On{Request: KindSubscribeNamespace, Answers: KindRequestUpdate}, "REQUEST_OK REQUEST_ERROR REQUEST_UPDATE NAMESPACE NAMESPACE_DONE"},
		{On{Request: KindSubscribeTracks, Answers: KindSubscribeTracks}, "REQUEST_OK REQUEST_ERROR"},
		{On{Request: KindSubscribeTracks, Answers: KindRequestUpdate}, "REQUEST_OK REQUEST_ERROR REQUEST_UPDATE"},
		{On{Request: KindSubscribe, Answers: KindSubscribe}, ""},
		{On{Request: KindPublish}, ""},
	} {
		for k := KindSetup; k < kindEnd; k++ {
			if kindNames[k] == "" || !draft16.Has(k) || k == KindSubscribeTracks { // which is read as SUBSCRIBE_NAMESPACE
				continue
			}
			if want, got := slices.Contains(strings.Fields(test.want), k.String()), draft16.admits(test.on, k); got != want {
				t.Errorf("%+v admits %v: %v, want %v", test.on, k, got, want)
			}
		}
	}
}
