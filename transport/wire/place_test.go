package wire

import (
	"strings"
	"testing"
)

// TestPlaces walks every kind of message through every place of a stream.
func TestPlaces(t *testing.T) {
	opens := "SUBSCRIBE PUBLISH FETCH TRACK_STATUS PUBLISH_NAMESPACE SUBSCRIBE_NAMESPACE SUBSCRIBE_TRACKS"
	for _, test := range []struct {
		on   On
		want string
	}{
		{On{Control: true}, "SETUP GOAWAY"},
		{On{}, opens},
		// What the side that opened the stream may say later.
		{On{Request: KindSubscribe}, "REQUEST_UPDATE GOAWAY"},
		{On{Request: KindPublish}, "REQUEST_UPDATE PUBLISH_DONE GOAWAY"},
		{On{Request: KindFetch}, "REQUEST_UPDATE GOAWAY"},
		{On{Request: KindTrackStatus}, "GOAWAY"},
		{On{Request: KindPublishNamespace}, "REQUEST_UPDATE GOAWAY"},
		{On{Request: KindSubscribeNamespace}, "REQUEST_UPDATE GOAWAY"},
		{On{Request: KindSubscribeTracks}, "REQUEST_UPDATE GOAWAY"},
		// The first answer.
		{On{Request: KindSubscribe, Answers: KindSubscribe}, "SUBSCRIBE_OK REQUEST_ERROR GOAWAY"},
		{On{Request: KindPublish, Answers: KindPublish}, "REQUEST_OK REQUEST_ERROR GOAWAY"},
		{On{Request: KindFetch, Answers: KindFetch}, "FETCH_OK REQUEST_ERROR GOAWAY"},
		{On{Request: KindTrackStatus, Answers: KindTrackStatus}, "REQUEST_OK REQUEST_ERROR GOAWAY"},
		{On{Request: KindPublishNamespace, Answers: KindPublishNamespace}, "REQUEST_OK REQUEST_ERROR GOAWAY"},
		{On{Request: KindSubscribeNamespace, Answers: KindSubscribeNamespace}, "REQUEST_OK REQUEST_ERROR GOAWAY"},
		{On{Request: KindSubscribeTracks, Answers: KindSubscribeTracks}, "REQUEST_OK REQUEST_ERROR GOAWAY"},
		// Either side, once that has come.
		{On{Request: KindSubscribe, Answers: KindRequestUpdate}, "REQUEST_OK REQUEST_ERROR REQUEST_UPDATE PUBLISH_DONE GOAWAY"},
		{On{Request: KindPublish, Answers: KindRequestUpdate}, "REQUEST_OK REQUEST_ERROR REQUEST_UPDATE PUBLISH_DONE GOAWAY"},
		{On{Request: KindFetch, Answers: KindRequestUpdate}, "REQUEST_OK REQUEST_ERROR REQUEST_UPDATE GOAWAY"},
		{On{Request: KindPublishNamespace, Answers: KindRequestUpdate}, "REQUEST_OK REQUEST_ERROR REQUEST_UPDATE GOAWAY"},
		{On{Request: KindSubscribeNamespace, Answers: KindRequestUpdate}, "REQUEST_OK REQUEST_ERROR REQUEST_UPDATE NAMESPACE NAMESPACE_DONE GOAWAY"},
		{On{Request: KindSubscribeTracks, Answers: KindRequestUpdate}, "REQUEST_OK REQUEST_ERROR REQUEST_UPDATE PUBLISH_SKIPPED GOAWAY"},
	} {
		want := make(map[string]bool)
		for _, name := range strings.Fields(test.want) {
			want[name] = true
		}
		for k := KindSetup; k <= KindRequestError; k++ {
			if got := test.on.admits(k); got != want[k.String()] {
				t.Errorf("%+v admits %v: %v, want %v", test.on, k, got, !got)
			}
			delete(want, k.String())
		}
		if len(want) > 0 {
			t.Errorf("no messages are called %v", want)
		}
	}
}

// Every parameter is taken exactly where its definition says. The letters are
// the messages of a row: see places below.
func TestParameterPlaces(t *testing.T) {
	places := []struct {
		name string
		on   On
		kind Kind
	}{
		{"subscribe", On{}, KindSubscribe},
		{"subscribe_ok", onSubscribe, KindSubscribeOK},
		{"publish", On{}, KindPublish},
		{"publish_ok", onPublish, KindRequestOK},
		{"fetch", On{}, KindFetch},
		{"fetch_ok", onFetch, KindFetchOK},
		{"track_status", On{}, KindTrackStatus},
		{"track_status_ok", onStatus, KindRequestOK},
		{"publish_namespace", On{}, KindPublishNamespace},
		{"publish_namespace_ok", On{Request: KindPublishNamespace, Answers: KindPublishNamespace}, KindRequestOK},
		{"subscribe_namespace", On{}, KindSubscribeNamespace},
		{"subscribe_namespace_ok", On{Request: KindSubscribeNamespace, Answers: KindSubscribeNamespace}, KindRequestOK},
		{"subscribe_tracks", On{}, KindSubscribeTracks},
		{"subscribe_tracks_ok", On{Request: KindSubscribeTracks, Answers: KindSubscribeTracks}, KindRequestOK},
		{"update_ok", onUpdated, KindRequestOK},
		{"update", On{Request: KindSubscribe}, KindRequestUpdate},
		{"update_publish", On{Request: KindPublish}, KindRequestUpdate},
		{"update_fetch", On{Request: KindFetch}, KindRequestUpdate},
		{"update_publish_namespace", On{Request: KindPublishNamespace}, KindRequestUpdate},
		{"update_namespace", On{Request: KindSubscribeNamespace}, KindRequestUpdate},
		{"update_tracks", On{Request: KindSubscribeTracks}, KindRequestUpdate},
	}
	updates := " update update_publish update_fetch update_publish_namespace update_namespace update_tracks"
	values := map[uint64][]byte{0x03: {2, 3, 0}, 0x09: {0, 0}, 0x21: {1, 2}, 0x22: {1}, 0x34: {0}}
	for typ, want := range map[uint64]string{
		0x02: "subscribe publish_ok" + updates,
		0x03: "subscribe publish fetch track_status publish_namespace subscribe_namespace subscribe_tracks" + updates,
		0x04: "subscribe",
		0x06: "subscribe publish_ok" + updates,
		0x08: "subscribe_ok publish publish_ok update_ok track_status_ok",
		0x09: "subscribe_ok publish update_ok track_status_ok",
		0x0A: "fetch",
		0x10: "subscribe publish publish_ok subscribe_tracks update update_publish update_tracks",
		0x20: "subscribe fetch publish_ok update update_publish update_fetch",
		0x21: "subscribe publish_ok update update_publish",
		0x22: "subscribe fetch publish_ok",
		0x32: "subscribe publish_ok update update_publish",
		0x34: "update_namespace update_tracks",
		0x23: "", 0x25: "", 0x35: "", 0x00: "", // of other drafts, or of none
	} {
		value, ok := values[typ]
		if !ok {
			value = []byte{0}
		}
		for _, place := range places {
			d := decoder{p: &draft18, on: place.on, b: append(AppendVarint([]byte{1}, typ), value...)}
			d.params(place.kind)
			taken := false
			for _, name := range strings.Fields(want) {
				taken = taken || name == place.name
			}
			if taken && (d.err != nil || len(d.b) > 0) || !taken && !isViolation(d.err) {
				t.Errorf("parameter 0x%x in %s: %v, want it taken: %v", typ, place.name, d.err, taken)
			}
		}
	}
}
