package qlog

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/qlogwriter/jsontext"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// Every message of every draft, with what is hardest in it, and what is written
// of it.
func TestMessages(t *testing.T) {
	track := moqt.NS("a", "b").Track("c")
	const names = `"track_namespace":[{"value":"a"},{"value":"b"}],"track_name":{"value":"c"}`
	token := wire.Token{AliasType: wire.TokenRegister, Alias: 7, Type: 2, Value: []byte("hidden")}
	const tokenText = `{"name":"authorization_token","alias_type":"register","token_alias":7,"token_type":2,"token_value":{"length":6}}`
	for _, tt := range []struct {
		m    wire.Message
		want string
	}{
		{&wire.Setup{Authority: wire.Some("relay.example"), Path: wire.Some("/p?hidden"), Tokens: []wire.Token{token}, TokenCacheSize: 9,
			Implementation: "x", MaxRequestID: wire.Some(uint64(4)), Unknown: moqt.Properties{{Type: 0x40, Value: 1}, {Type: 0x41, Bytes: []byte("hidden")}}},
			`{"type":"setup","draft":"draft-18","setup_options":[{"name":"authority","value":"relay.example"},{"name":"path","value":"/p?…"},` +
				`{"name":"max_auth_token_cache_size","value":9},` + tokenText + `,{"name":"implementation","value":"x"},{"name":"max_request_id","value":4},` +
				`{"name":"unknown","name_bytes":64,"value":1},{"name":"unknown","name_bytes":65,"length":6}]}`},
		{&wire.Goaway{URI: "moqt://hidden", Timeout: time.Second, RequestID: wire.Some(uint64(4))},
			`{"type":"goaway","new_session_uri":{"length":13},"timeout":1000,"request_id":4}`},
		{&wire.Subscribe{RequestID: 2, Track: track, Params: wire.Params{Tokens: []wire.Token{token}, Forward: wire.Some(true),
			Priority: wire.Some(moqt.Priority(3)), Filter: wire.Some(moqt.Filter{Kind: moqt.FilterAbsoluteStart, Start: moqt.Location{Group: 1, Object: 2}})}},
			`{"type":"subscribe","request_id":2,` + names + `,"number_of_parameters":4,"parameters":[` + tokenText + `,{"name":"subscriber_priority","value":3},` +
				`{"name":"subscription_filter","value":{"filter_type":3,"start_location":{"group":1,"object":2}}},{"name":"forward","value":1}]}`},
		{&wire.SubscribeOK{Alias: 1 << 60, Params: wire.Params{Largest: wire.Some(moqt.Location{Group: 1}), Expires: wire.Some(time.Minute)}, Properties: moqt.Properties{{Type: 2, Value: 5}}},
			`{"type":"subscribe_ok","request_id":42,"track_alias":"1152921504606846976","number_of_parameters":2,"parameters":[{"name":"expires","value":60000},` +
				`{"name":"largest_object","value":{"group":1,"object":0}}],"track_properties":[{"type":2,"value":5}]}`},
		{&wire.RequestUpdate{RequestID: 6, Params: wire.Params{NewGroup: wire.Some(uint64(8))}},
			`{"type":"request_update","request_id":6,"existing_request_id":42,"number_of_parameters":1,"parameters":[{"name":"new_group_request","value":8}]}`},
		{&wire.Publish{RequestID: 2, Track: track, Alias: 3}, `{"type":"publish","request_id":2,` + names + `,"track_alias":3,"number_of_parameters":0}`},
		{&wire.PublishDone{RequestID: 8, Code: 2, Streams: 3, Reason: "\xff"}, `{"type":"publish_done","request_id":8,"status_code":2,"stream_count":3,"reason_bytes":"ff"}`},
		{&wire.Fetch{RequestID: 2, Type: wire.FetchStandalone, Track: track, End: moqt.Location{Group: moqt.LastGroup}},
			`{"type":"fetch","request_id":2,"fetch_type":"standalone","standalone_fetch":{` + names + `,"start_location":{"group":0,"object":0},` +
				`"end_location":{"group":"18446744073709551615","object":0}},"number_of_parameters":0}`},
		{&wire.Fetch{RequestID: 2, Type: wire.FetchRelativeJoining, JoiningID: 4, JoiningStart: 1},
			`{"type":"fetch","request_id":2,"fetch_type":"relative_joining","joining_fetch":{"joining_request_id":4,"joining_start":1},"number_of_parameters":0}`},
		{&wire.Fetch{RequestID: 2, Type: wire.FetchAbsoluteJoining, JoiningID: 4, JoiningStart: 1},
			`{"type":"fetch","request_id":2,"fetch_type":"absolute_joining","joining_fetch":{"joining_request_id":4,"joining_start":1},"number_of_parameters":0}`},
		{&wire.Fetch{RequestID: 2, Type: wire.FetchRelative, Track: track, Filter: moqt.Filter{Kind: moqt.FilterRelative, Groups: 3}},
			`{"type":"fetch","request_id":2,"fetch_type":"standalone","standalone_fetch":{` + names + `,"location_filter":{"groups":3}},"number_of_parameters":0}`},
		{&wire.FetchOK{EndOfTrack: true, End: moqt.Location{Group: 1, Object: 2}},
			`{"type":"fetch_ok","request_id":42,"end_of_track":1,"end_location":{"group":1,"object":2},"number_of_parameters":0}`},
		{&wire.TrackStatus{RequestID: 2, Track: track}, `{"type":"track_status","request_id":2,` + names + `,"number_of_parameters":0}`},
		{&wire.PublishNamespace{RequestID: 2, Namespace: moqt.NS("a")}, `{"type":"publish_namespace","request_id":2,"track_namespace":[{"value":"a"}],"number_of_parameters":0}`},
		{&wire.SubscribeNamespace{RequestID: 2, Tracks: true}, `{"type":"subscribe_namespace","request_id":2,"track_namespace_prefix":[],"subscribe_options":"both","number_of_parameters":0}`},
		{&wire.SubscribeTracks{RequestID: 2}, `{"type":"subscribe_tracks","request_id":2,"track_namespace_prefix":[],"subscribe_options":"publish","number_of_parameters":0}`},
		{&wire.Namespace{Suffix: moqt.NS("s")}, `{"type":"namespace","track_namespace_suffix":[{"value":"s"}]}`},
		{&wire.NamespaceDone{Suffix: moqt.NS("s")}, `{"type":"namespace_done","track_namespace_suffix":[{"value":"s"}]}`},
		{&wire.PublishSkipped{Suffix: moqt.NS("s"), Name: "n"}, `{"type":"publish_blocked","track_namespace_suffix":[{"value":"s"}],"track_name":{"value":"n"}}`},
		{&wire.RequestOK{Publish: true, RequestID: 8}, `{"type":"publish_ok","request_id":8,"number_of_parameters":0}`},
		{&wire.RequestError{Code: 3, Retry: wire.Some(time.Second), Reason: "no", Redirect: wire.Some(wire.Redirect{URI: "hidden", Track: track})},
			`{"type":"request_error","request_id":42,"error_code":3,"retry_interval":1001,"reason":"no","redirect":{"new_session_uri":{"length":6},` + names + `}}`},
		{&wire.PublishStateNotify{Params: wire.Params{
			Ranges: moqt.RangeFilters{{Field: moqt.RangeObjectProperty, Set: 1, Property: 4, Ranges: []moqt.Range{{First: 1, Last: 2}}}},
			Fill:   wire.Some(wire.FillParameters{Timeout: wire.Some(time.Second), Filter: wire.Some(moqt.Filter{Kind: moqt.FilterAbsoluteEnd, EndGroup: 1, EndObject: 2})}),
			Prefix: wire.Some(moqt.NS("p"))}},
			`{"type":"publish_state_notify","number_of_parameters":3,"parameters":[{"name":"object_property_filter","set":1,"property":4,"value":[{"first":1,"last":2}]},` +
				`{"name":"track_namespace_prefix","value":[{"value":"p"}]},{"name":"fill_parameters","value":[{"name":"fill_timeout","value":1000},` +
				`{"name":"subscription_filter","value":{"start_location":{"group":0,"object":0},"end_group_delta":1,"end_object":2}}]}]}`},
		{&wire.MaxRequestID{Max: 1}, `{"type":"max_request_id","max_request_id":1}`},
		{&wire.RequestsBlocked{Max: 1}, `{"type":"requests_blocked","maximum_request_id":1}`},
		{&wire.Unsubscribe{RequestID: 1}, `{"type":"unsubscribe","request_id":1}`},
		{&wire.FetchCancel{RequestID: 1}, `{"type":"fetch_cancel","request_id":1}`},
		{&wire.PublishNamespaceDone{RequestID: 1}, `{"type":"publish_namespace_done","request_id":1}`},
		{&wire.PublishNamespaceCancel{RequestID: 1, Code: 2, Reason: "r"}, `{"type":"publish_namespace_cancel","request_id":1,"error_code":2,"reason":"r"}`},
	} {
		t.Run(tt.m.Kind().String(), func(t *testing.T) {
			var b buffer
			e := ControlMessage{StreamID: 4, Length: 99, Version: moqt.Draft18, Request: 42, Message: tt.m}
			if err := e.Encode(jsontext.NewEncoder(&b), time.Time{}); err != nil {
				t.Fatal(err)
			}
			if want := `{"stream_id":4,"length":99,"message":` + tt.want + "}\n"; string(b) != want {
				t.Errorf("got  %swant %s", b, want)
			}
			if !json.Valid(b) || strings.Contains(string(b), "hidden") {
				t.Errorf("not JSON, or not redacted: %s", b)
			}
		})
	}
}
