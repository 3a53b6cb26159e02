package wire

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
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
		{On{Request: KindPublish}, "REQUEST_UPDATE PUBLISH_DONE PUBLISH_STATE_NOTIFY GOAWAY"},
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
		{On{Request: KindSubscribe, Answers: KindRequestUpdate}, "REQUEST_OK REQUEST_ERROR REQUEST_UPDATE PUBLISH_DONE PUBLISH_STATE_NOTIFY GOAWAY"},
		{On{Request: KindPublish, Answers: KindRequestUpdate}, "REQUEST_OK REQUEST_ERROR REQUEST_UPDATE PUBLISH_DONE PUBLISH_STATE_NOTIFY GOAWAY"},
		{On{Request: KindFetch, Answers: KindRequestUpdate}, "REQUEST_OK REQUEST_ERROR REQUEST_UPDATE GOAWAY"},
		{On{Request: KindPublishNamespace, Answers: KindRequestUpdate}, "REQUEST_OK REQUEST_ERROR REQUEST_UPDATE GOAWAY"},
		{On{Request: KindSubscribeNamespace, Answers: KindRequestUpdate}, "REQUEST_OK REQUEST_ERROR REQUEST_UPDATE NAMESPACE NAMESPACE_DONE GOAWAY"},
		{On{Request: KindSubscribeTracks, Answers: KindRequestUpdate}, "REQUEST_OK REQUEST_ERROR REQUEST_UPDATE PUBLISH_SKIPPED GOAWAY"},
	} {
		want := make(map[string]bool)
		for _, name := range strings.Fields(test.want) {
			want[name] = true
		}
		for k := KindSetup; k < kindEnd; k++ {
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

// paramPlaces are the messages that may carry parameters, with the names that
// the table below has for them.
var paramPlaces = []struct {
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
	{"namespace", On{}, KindSubscribeNamespace},
	{"namespace_ok", On{Request: KindSubscribeNamespace, Answers: KindSubscribeNamespace}, KindRequestOK},
	{"tracks", On{}, KindSubscribeTracks},
	{"tracks_ok", On{Request: KindSubscribeTracks, Answers: KindSubscribeTracks}, KindRequestOK},
	{"update_ok", onUpdated, KindRequestOK},
	{"update", On{Request: KindSubscribe}, KindRequestUpdate},
	{"update_publish", On{Request: KindPublish}, KindRequestUpdate},
	{"update_fetch", On{Request: KindFetch}, KindRequestUpdate},
	{"update_publish_namespace", On{Request: KindPublishNamespace}, KindRequestUpdate},
	{"update_namespace", On{Request: KindSubscribeNamespace}, KindRequestUpdate},
	{"update_tracks", On{Request: KindSubscribeTracks}, KindRequestUpdate},
	{"notify", onUpdated, KindPublishStateNotify},
	{"fill", On{}, KindNone}, // inside FILL_PARAMETERS
}

const (
	subscriptionUpdates = " update update_publish"
	allUpdates          = subscriptionUpdates + " update_fetch update_publish_namespace update_namespace update_tracks"
	allRequests         = "subscribe publish fetch track_status publish_namespace namespace tracks"
	objectFilters       = "subscribe tracks fetch update_tracks" + subscriptionUpdates
)

// paramsTaken20 is the part of paramsTaken for draft-20 and those after it.
var paramsTaken20 = map[uint64]string{
	0x02: "subscribe tracks publish" + allUpdates,
	0x03: allRequests + allUpdates,
	0x04: "subscribe tracks",
	0x06: "subscribe tracks publish" + allUpdates,
	0x08: "subscribe_ok publish publish_ok update_ok track_status_ok publish_namespace_ok namespace_ok tracks_ok",
	0x09: "subscribe_ok publish update_ok track_status_ok notify",
	0x0A: "fetch fill",
	0x10: "subscribe publish tracks update_tracks notify" + subscriptionUpdates,
	0x20: "subscribe tracks publish fetch update_fetch fill" + subscriptionUpdates,
	0x21: "subscribe tracks publish fetch notify fill" + subscriptionUpdates,
	0x22: "subscribe tracks publish fetch fill",
	0x23: "subscribe tracks" + subscriptionUpdates,
	0x25: objectFilters + " fill",
	0x26: objectFilters + " fill",
	0x27: objectFilters + " fill",
	0x28: objectFilters + " fill",
	0x29: "tracks update_tracks",
	0x32: "subscribe tracks" + subscriptionUpdates,
	0x34: "update_namespace update_tracks",
	0x35: "subscribe tracks track_status fetch",
}

// paramsTaken tells for each draft which parameter is taken where.
var paramsTaken = map[moqt.Version]map[uint64]string{
	moqt.Draft16: {
		0x02: "subscribe publish_ok" + allUpdates,
		0x03: "subscribe publish fetch track_status publish_namespace namespace" + allUpdates,
		0x08: "subscribe_ok publish publish_ok update_ok track_status_ok",
		0x09: "subscribe_ok publish update_ok track_status_ok",
		0x10: "subscribe publish publish_ok namespace" + subscriptionUpdates,
		0x20: "subscribe fetch publish_ok update_fetch" + subscriptionUpdates,
		0x21: "subscribe publish_ok" + subscriptionUpdates,
		0x22: "subscribe fetch publish_ok",
		0x32: "subscribe publish_ok" + subscriptionUpdates,
	},
	moqt.Draft18: {
		0x02: "subscribe publish_ok" + allUpdates,
		0x03: allRequests + allUpdates,
		0x04: "subscribe",
		0x06: "subscribe publish_ok" + allUpdates,
		0x08: "subscribe_ok publish publish_ok update_ok track_status_ok",
		0x09: "subscribe_ok publish update_ok track_status_ok",
		0x0A: "fetch",
		0x10: "subscribe publish publish_ok tracks update_tracks" + subscriptionUpdates,
		0x20: "subscribe fetch publish_ok update_fetch" + subscriptionUpdates,
		0x21: "subscribe publish_ok" + subscriptionUpdates,
		0x22: "subscribe fetch publish_ok",
		0x32: "subscribe publish_ok" + subscriptionUpdates,
		0x34: "update_namespace update_tracks",
	},
	moqt.Draft19: {
		0x02: "subscribe tracks publish_ok" + allUpdates,
		0x03: allRequests + allUpdates,
		0x04: "subscribe tracks",
		0x06: "subscribe tracks publish_ok" + allUpdates,
		0x08: "subscribe_ok publish publish_ok update_ok track_status_ok publish_namespace_ok namespace_ok tracks_ok",
		0x09: "subscribe_ok publish update_ok track_status_ok",
		0x0A: "fetch",
		0x10: "subscribe publish publish_ok tracks update_tracks" + subscriptionUpdates,
		0x20: "subscribe tracks fetch publish_ok update_fetch" + subscriptionUpdates,
		0x21: "subscribe tracks publish_ok" + subscriptionUpdates,
		0x22: "subscribe tracks fetch publish",
		0x25: objectFilters + " publish_ok",
		0x26: objectFilters + " publish_ok",
		0x27: objectFilters + " publish_ok",
		0x28: objectFilters + " publish_ok",
		0x29: "tracks update_tracks",
		0x32: "subscribe tracks publish_ok" + subscriptionUpdates,
		0x34: "update_namespace update_tracks",
	},
	moqt.Draft20: paramsTaken20, moqt.Draft21: paramsTaken20, moqt.Draft22: paramsTaken20,
}

// Every parameter is taken exactly where its definition says, and those of other
// drafts nowhere.
func TestParameterPlaces(t *testing.T) {
	for _, p := range profiles {
		taken, ok := paramsTaken[p.version]
		if !ok {
			t.Errorf("%v is not in the table", p.version)
		}
		for typ := range uint64(0x40) {
			for _, place := range paramPlaces {
				want := slices.Contains(strings.Fields(taken[typ]), place.name)
				got, err := takeParam(p, typ, place.on, place.kind)
				if skipped := p.pairs && taken[typ] != ""; got != want || (err == nil) != (want || skipped) || err != nil && !isViolation(err) {
					t.Errorf("%v: parameter 0x%x in %s: %v, want it taken: %v", p.version, typ, place.name, err, want)
				}
			}
		}
	}
}

// takeParam decodes a parameter of type typ in a message of kind k, and reports
// whether it is among the result.
func takeParam(p *Profile, typ uint64, on On, k Kind) (taken bool, err error) {
	value := []byte{0}
	switch {
	case typ == 0x02 || typ == 0x22:
		value = []byte{1}
	case typ == 0x03:
		value = []byte{2, 3, 0}
	case typ == 0x09 && p.pairs:
		value = []byte{2, 0, 0}
	case typ == 0x09:
		value = []byte{0, 0}
	case typ == 0x21 && p.filterForm >= filterTagged:
		value = []byte{1, 2}
	}
	var params Params
	d := decoder{p: p, on: on, b: append(p.appendVarint([]byte{1}, typ), value...)}
	if k == KindNone {
		d.b = d.b[1:]
		d.nextParam(&params, 0, true, inFill)
	} else {
		params = d.params(k)
	}
	if d.err == nil && len(d.b) > 0 {
		d.err = violation("parameter", "%d bytes left", len(d.b))
	}
	return d.err == nil && !reflect.ValueOf(params).IsZero(), d.err
}
