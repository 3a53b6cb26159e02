package wire

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

var (
	onControl   = On{Control: true}
	onSubscribe = On{Request: KindSubscribe, Answers: KindSubscribe}
	onPublish   = On{Request: KindPublish, Answers: KindPublish}
	onFetch     = On{Request: KindFetch, Answers: KindFetch}
	onStatus    = On{Request: KindTrackStatus, Answers: KindTrackStatus}
	onUpdated   = On{Request: KindSubscribe, Answers: KindRequestUpdate}
	onWatch     = On{Request: KindSubscribeNamespace, Answers: KindRequestUpdate}
	onTracks    = On{Request: KindSubscribeTracks, Answers: KindRequestUpdate}
	video       = moqt.NS("live").Track("video") // 01 04 6c697665 05 766964656f
)

// messageTests feed encoding, decoding and the seeds of the fuzz targets. Beside
// the vectors in testdata they say which field of which struct takes what.
var messageTests = []struct {
	name    string
	version moqt.Version
	on      On
	hex     string
	message Message
}{
	{"setup", moqt.Draft18, onControl, "af00001001012f02030301610110010162020163", &Setup{
		Path: Some("/"), Authority: Some("b"), Tokens: []Token{{AliasType: TokenUseValue, Type: 1, Value: []byte("a")}},
		TokenCacheSize: 16, Implementation: "c",
	}},
	{"setup with unknown option", moqt.Draft18, onControl, "af000005809d020001",
		&Setup{Unknown: moqt.Properties{{Type: 0x9d, Bytes: []byte{0, 1}}}}},
	{"goaway", moqt.Draft18, onControl, "100005016183e802", &Goaway{URI: "a", Timeout: time.Second, RequestID: Some(uint64(2))}},
	{"subscribe", moqt.Draft18, On{}, "03001a0001046c69766505766964656f04100110c80104040102030101", &Subscribe{
		Track: video, Params: Params{
			Forward: Some(true), Priority: Some(moqt.Priority(200)), Order: Some(moqt.Ascending),
			Filter: Some(moqt.Filter{Kind: moqt.FilterAbsoluteRange, Start: moqt.Location{Group: 1, Object: 2}, EndGroup: 4}),
		},
	}},
	{"subscribe with times", moqt.Draft18, On{}, "0300180001046c69766505766964656f0402640280c802812c2c07", &Subscribe{
		Track: video, Params: Params{
			ObjectTimeout: Some(100 * time.Millisecond), RendezvousTimeout: Some(200 * time.Millisecond),
			SubgroupTimeout: Some(300 * time.Millisecond), NewGroup: Some(uint64(7)),
		},
	}},
	{"subscribe ok", moqt.Draft18, onSubscribe, "04000e090208c0ea6001050622027b0178", &SubscribeOK{
		Alias: 9, Params: Params{Expires: Some(time.Minute), Largest: Some(moqt.Location{Group: 5, Object: 6})},
		Properties: moqt.Properties{{Type: moqt.PropDefaultGroupOrder, Value: 2}, {Type: 0x9d, Bytes: []byte("x")}},
	}},
	{"update", moqt.Draft18, On{Request: KindSubscribe}, "02000d0403030202010d001103030000", &RequestUpdate{
		RequestID: 4, Params: Params{
			Tokens: []Token{{AliasType: TokenUseAlias, Alias: 1}}, Forward: Some(false), Filter: Some(moqt.Filter{Kind: moqt.FilterAbsoluteStart}),
		},
	}},
	{"update of prefix", moqt.Draft18, On{Request: KindSubscribeTracks}, "020006040134010161",
		&RequestUpdate{RequestID: 4, Params: Params{Prefix: Some(moqt.NS("a"))}}},
	{"publish", moqt.Draft18, On{}, "1d00130101046c69766505766964656f020110003001", &Publish{
		RequestID: 1, Track: video, Alias: 2, Params: Params{Forward: Some(false)},
		Properties: moqt.Properties{{Type: moqt.PropDynamicGroups, Value: 1}},
	}},
	{"publish done", moqt.Draft18, onUpdated, "0b000402030178", &PublishDone{Code: moqt.DoneTrackEnded, Streams: 3, Reason: "x"}},
	{"publish done, streams unknown", moqt.Draft18, onUpdated, "0b000b06ff3fffffffffffffff00",
		&PublishDone{Code: moqt.DoneExpired, Streams: UnknownStreams}},
	{"fetch", moqt.Draft18, On{}, "160017020101046c69766505766964656f01000204020a321600", &Fetch{
		RequestID: 2, Type: FetchStandalone, Track: video, Start: moqt.Location{Group: 1}, End: moqt.Location{Group: 2, Object: 3},
		Params: Params{FillTimeout: Some(50 * time.Millisecond), Priority: Some(moqt.Priority(0))},
	}},
	{"fetch of a group", moqt.Draft18, On{}, "160015020101046c69766505766964656f01000100012202", &Fetch{
		RequestID: 2, Type: FetchStandalone, Track: video, Start: moqt.Location{Group: 1}, End: moqt.Location{Group: 1, Object: moqt.WholeGroup},
		Params: Params{Order: Some(moqt.Descending)},
	}},
	{"relative joining fetch", moqt.Draft18, On{}, "1600050202000300", &Fetch{RequestID: 2, Type: FetchRelativeJoining, JoiningStart: 3}},
	{"absolute joining fetch", moqt.Draft18, On{}, "1600050203000300", &Fetch{RequestID: 2, Type: FetchAbsoluteJoining, JoiningStart: 3}},
	{"fetch ok", moqt.Draft18, onFetch, "180006010204000405", &FetchOK{
		EndOfTrack: true, End: moqt.Location{Group: 2, Object: 3}, Properties: moqt.Properties{{Type: moqt.PropMaxCacheDuration, Value: 5}},
	}},
	{"track status", moqt.Draft18, On{}, "0d000e0201046c69766505766964656f00", &TrackStatus{RequestID: 2, Track: video}},
	{"publish namespace", moqt.Draft18, On{}, "0600050201016100", &PublishNamespace{RequestID: 2, Namespace: moqt.NS("a")}},
	{"subscribe namespace", moqt.Draft18, On{}, "5000050201016100", &SubscribeNamespace{RequestID: 2, Prefix: moqt.NS("a")}},
	{"subscribe tracks", moqt.Draft18, On{}, "51000702010161011000",
		&SubscribeTracks{RequestID: 2, Prefix: moqt.NS("a"), Params: Params{Forward: Some(false)}}},
	{"namespace", moqt.Draft18, onWatch, "080003010162", &Namespace{Suffix: moqt.NS("b")}},
	{"namespace done", moqt.Draft18, onWatch, "0e0003010162", &NamespaceDone{Suffix: moqt.NS("b")}},
	{"publish blocked", moqt.Draft18, onTracks, "0f00050101620163", &PublishSkipped{Suffix: moqt.NS("b"), Name: "c"}},
	{"publish ok", moqt.Draft18, onPublish, "0700080306010a01110102", &RequestOK{Params: Params{
		SubgroupTimeout: Some(time.Millisecond), Forward: Some(true), Filter: Some(moqt.Filter{}),
	}}},
	{"track status ok", moqt.Draft18, onStatus, "070006010901023000", &RequestOK{
		Params:     Params{Largest: Some(moqt.Location{Group: 1, Object: 2})},
		Properties: moqt.Properties{{Type: moqt.PropDynamicGroups}},
	}},
	{"request error", moqt.Draft18, onSubscribe, "0500051000026e6f", &RequestError{Code: moqt.RequestDoesNotExist, Reason: "no"}},
	{"request error with retry", moqt.Draft18, onSubscribe, "0500040981f500",
		&RequestError{Code: moqt.RequestExcessiveLoad, Retry: Some(500 * time.Millisecond)}},
	{"setup with limits", moqt.Draft19, onControl, "af00000406040210",
		&Setup{MaxFilterRanges: Some(uint64(4)), MaxRequestUpdates: Some(uint64(16))}},
	{"goaway without request id", moqt.Draft19, onControl, "100004016183e8", &Goaway{URI: "a", Timeout: time.Second}},
	{"subscribe with ranges", moqt.Draft19, On{}, "0300190001046c69766505766964656f0226030103020204003c0502", &Subscribe{
		Track: video, Params: Params{Ranges: moqt.RangeFilters{
			{Field: moqt.RangeObjectID, Set: 1, Ranges: []moqt.Range{{First: 3, Last: 5}}},
			{Field: moqt.RangeObjectProperty, Set: 0, Property: 0x3c, Ranges: []moqt.Range{{First: 5, Last: 7}}},
		}},
	}},
	{"subscribe with fill", moqt.Draft20, On{}, "03001d0001046c69766505766964656f03210200000207020a05170201051200", &Subscribe{
		Track: video, Params: Params{
			Filter: Some(moqt.Filter{}), IncludeProperties: Some(false),
			Fill: Some(FillParameters{
				Timeout: Some(5 * time.Millisecond), Filter: Some(moqt.Filter{Kind: moqt.FilterAbsoluteStart, Start: moqt.Location{Group: 1, Object: 5}}),
			}),
		},
	}},
	{"state notify", moqt.Draft20, onUpdated, "22000c030901020701110407000809", &PublishStateNotify{Params: Params{
		Largest: Some(moqt.Location{Group: 1, Object: 2}), Forward: Some(true),
		Filter: Some(moqt.Filter{Kind: moqt.FilterAbsoluteEnd, Start: moqt.Location{Group: 7}, EndGroup: 15, EndObject: 9}),
	}}},
	{"fetch by filter", moqt.Draft21, On{}, "1600150201046c69766505766964656f0221030102001401", &Fetch{
		RequestID: 2, Type: FetchStandalone, Track: video, Start: moqt.Location{Group: 1, Object: 2}, End: moqt.Location{Group: 1, Object: moqt.WholeGroup},
		Params: Params{IncludeProperties: Some(true)},
	}},
	{"relative fetch", moqt.Draft22, On{}, "1600110201046c69766505766964656f01210102", &Fetch{
		RequestID: 2, Type: FetchRelative, Track: video, Filter: moqt.Filter{Kind: moqt.FilterRelative, Groups: 2},
	}},
	{"fetch ok, end inclusive", moqt.Draft22, onFetch, "18000400020300", &FetchOK{End: moqt.Location{Group: 2, Object: 3}}},
	{"client setup", moqt.Draft16, On{}, "2000070201012f014040",
		&Setup{Path: Some("/"), MaxRequestID: Some(uint64(64))}},
	{"server setup", moqt.Draft16, onControl, "210003010205", &Setup{Server: true, MaxRequestID: Some(uint64(5))}},
	{"goaway without timeout", moqt.Draft16, onControl, "1000020161", &Goaway{URI: "a"}},
	{"max request id", moqt.Draft16, onControl, "1500024064", &MaxRequestID{Max: 100}},
	{"requests blocked", moqt.Draft16, onControl, "1a000105", &RequestsBlocked{Max: 5}},
	{"unsubscribe", moqt.Draft16, onControl, "0a000106", &Unsubscribe{RequestID: 6}},
	{"fetch cancel", moqt.Draft16, onControl, "17000106", &FetchCancel{RequestID: 6}},
	{"publish namespace done", moqt.Draft16, onControl, "09000106", &PublishNamespaceDone{RequestID: 6}},
	{"publish namespace cancel", moqt.Draft16, onControl, "0c00040601016e",
		&PublishNamespaceCancel{RequestID: 6, Code: moqt.RequestUnauthorized, Reason: "n"}},
	{"subscribe in pairs", moqt.Draft16, onControl, "03001b0001046c69766505766964656f0410011040c80104040102040101", &Subscribe{
		Track: video, Params: Params{
			Forward: Some(true), Priority: Some(moqt.Priority(200)), Order: Some(moqt.Ascending),
			Filter: Some(moqt.Filter{Kind: moqt.FilterAbsoluteRange, Start: moqt.Location{Group: 1, Object: 2}, EndGroup: 4}),
		},
	}},
	{"subscribe ok with id", moqt.Draft16, onControl, "040009060901090205060405", &SubscribeOK{
		RequestID: 6, Alias: 9, Params: Params{Largest: Some(moqt.Location{Group: 5, Object: 6})},
		Properties: moqt.Properties{{Type: moqt.PropMaxCacheDuration, Value: 5}},
	}},
	{"update with id", moqt.Draft16, onControl, "0200050804011000", &RequestUpdate{RequestID: 8, Existing: 4, Params: Params{Forward: Some(false)}}},
	{"publish ok", moqt.Draft16, onControl, "1e000406011001", &RequestOK{Publish: true, RequestID: 6, Params: Params{Forward: Some(true)}}},
	{"request ok with id", moqt.Draft16, onControl, "0700020600", &RequestOK{RequestID: 6}},
	{"request error with id", moqt.Draft16, onControl, "05000406020000", &RequestError{RequestID: 6, Code: moqt.RequestTimeout}},
	{"publish done with id", moqt.Draft16, onControl, "0b000406060300", &PublishDone{RequestID: 6, Code: moqt.DoneTooFarBehind, Streams: 3}},
	{"fetch ok with id", moqt.Draft16, onControl, "1800050600020400", &FetchOK{RequestID: 6, End: moqt.Location{Group: 2, Object: 3}}},
	{"namespaces", moqt.Draft16, On{}, "110006020101610100", &SubscribeNamespace{RequestID: 2, Prefix: moqt.NS("a")}},
	{"namespaces and tracks", moqt.Draft16, On{}, "110006020101610200", &SubscribeNamespace{RequestID: 2, Prefix: moqt.NS("a"), Tracks: true}},
	{"tracks", moqt.Draft16, On{}, "110006020101610000", &SubscribeTracks{RequestID: 2, Prefix: moqt.NS("a")}},
	{"redirect", moqt.Draft18, onSubscribe, "050011340100017501046c69766505766964656f",
		&RequestError{Code: moqt.RequestRedirect, Retry: Some(time.Duration(0)), Redirect: Some(Redirect{URI: "u", Track: video})}},
}

func TestMessages(t *testing.T) {
	seen := make(map[Kind]bool)
	for _, test := range messageTests {
		t.Run(test.name, func(t *testing.T) {
			p, want := profile(t, test.version), unhex(t, test.hex)
			seen[test.message.Kind()] = true
			got, err := p.AppendMessage([]byte("kept"), test.message)
			if err != nil || string(got) != "kept"+string(want) {
				t.Errorf("AppendMessage = %x, %v, want %x after what was there", got, err, want)
			}
			m, err := p.ReadMessage(NewReader(bytes.NewReader(want)), test.on)
			if err != nil || !reflect.DeepEqual(m, test.message) {
				t.Errorf("ReadMessage = %+v, %v\nwant %+v", m, err, test.message)
			}
		})
	}
	for k := KindSetup; k < kindEnd; k++ {
		if spoken := slices.ContainsFunc(profiles, func(p *Profile) bool { return p.Has(k) }); spoken && !seen[k] {
			t.Errorf("%v is not in the table", k)
		}
	}
}

// Every message that is cut short anywhere, by FIN or by its length, is a
// violation, and what was read does not alias the buffer.
func TestMessagesCutShort(t *testing.T) {
	for _, test := range messageTests {
		p, whole := profile(t, test.version), unhex(t, test.hex)
		for n := 1; n < len(whole); n++ {
			if m, err := p.ReadMessage(NewReader(bytes.NewReader(whole[:n])), test.on); !isViolation(err) {
				t.Errorf("%s: first %d bytes: %+v, %v", test.name, n, m, err)
			}
		}
		r := NewReader(bytes.NewReader(whole))
		m, err := p.ReadMessage(r, test.on)
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.buf {
			r.buf[i] = 0xff
		}
		if !reflect.DeepEqual(m, test.message) {
			t.Errorf("%s: the message changed with the buffer of its Reader", test.name)
		}
	}
}

func TestSetupOnStream(t *testing.T) {
	p := profile(t, moqt.Draft18)
	r := NewReader(bytes.NewReader(unhex(t, messageTests[0].hex)))
	kind, typ, err := p.ReadStreamType(r)
	if kind != StreamControl || typ != setupType || err != nil {
		t.Fatalf("ReadStreamType = %v, 0x%x, %v", kind, typ, err)
	}
	got, err := p.ReadSetup(r)
	if err != nil || !reflect.DeepEqual(Message(got), messageTests[0].message) {
		t.Errorf("ReadSetup = %+v, %v", got, err)
	}
}

func TestAppendMessageRefuses(t *testing.T) {
	long := string(make([]byte, maxMessageSize))
	for name, m := range map[string]Message{
		"filter as FETCH parameter":    &Fetch{Type: FetchStandalone, Params: Params{Filter: Some(moqt.Filter{})}},
		"parameter of another message": &Subscribe{Params: Params{Expires: Some(time.Second)}},
		"negative time":                &Subscribe{Params: Params{ObjectTimeout: Some(-time.Second)}},
		"filter that ends too early":   &Subscribe{Params: Params{Filter: Some(moqt.Filter{Kind: moqt.FilterAbsoluteRange, Start: moqt.Location{Group: 2}, EndGroup: 1})}},
		"unknown filter":               &Subscribe{Params: Params{Filter: Some(moqt.Filter{Kind: 99})}},
		"name too long":                &Subscribe{Track: moqt.NS("a").Track(long[:4096])},
		"token of unknown type":        &Subscribe{Params: Params{Tokens: []Token{{AliasType: 4}}}},
		"body too long":                &Setup{Unknown: moqt.Properties{{Type: 0x9d, Bytes: []byte(long)}}},
		"property too long":            &SubscribeOK{Properties: moqt.Properties{{Type: 1, Bytes: []byte(long + "x")}}},
		"properties out of order":      &SubscribeOK{Properties: moqt.Properties{{Type: 4}, {Type: 2}}},
		"known option as unknown":      &Setup{Unknown: moqt.Properties{{Type: optionPath}}},
		"alias in setup":               &Setup{Tokens: []Token{{AliasType: TokenUseAlias}}},
		"unknown token in setup":       &Setup{Tokens: []Token{{AliasType: 7}}},
		"uri too long":                 &Goaway{URI: long[:maxURISize+1]},
		"redirect missing":             &RequestError{Code: moqt.RequestRedirect},
		"redirect with another code":   &RequestError{Redirect: Some(Redirect{})},
		"fetch of unknown type":        &Fetch{},
	} {
		if b, err := profile(t, moqt.Draft18).AppendMessage([]byte("kept"), m); err == nil || string(b) != "kept" {
			t.Errorf("%s: AppendMessage = %d bytes, %v, want an error", name, len(b), err)
		}
	}
}

// What a draft has no form for is refused if the peer would take it for something
// else.
func TestAppendMessageRefusesOtherDrafts(t *testing.T) {
	filter := func(f moqt.Filter) Message { return &Subscribe{Track: video, Params: Params{Filter: Some(f)}} }
	for _, test := range []struct {
		name        string
		message     Message
		from, until moqt.Version // drafts that have it
	}{
		{"range filter", &Subscribe{Track: video, Params: Params{Ranges: moqt.RangeFilters{{}}}}, 19, 22},
		{"fill", &Subscribe{Track: video, Params: Params{Fill: Some(FillParameters{})}}, 20, 22},
		{"relative filter", filter(moqt.Filter{Kind: moqt.FilterRelative, Groups: 2}), 20, 22},
		{"filter that ends with an object", filter(moqt.Filter{Kind: moqt.FilterAbsoluteEnd, EndGroup: 1}), 20, 22},
		{"filter that ends too early", filter(moqt.Filter{Kind: moqt.FilterAbsoluteEnd, Start: moqt.Location{Group: 2}}), 99, 0},
		{"unknown filter", filter(moqt.Filter{Kind: 99}), 99, 0},
		{"fetch from a relative start", &Fetch{Type: FetchRelative, Track: video, Filter: moqt.Filter{Kind: moqt.FilterNextGroup}}, 20, 22},
		{"fetch from a start that is not relative", &Fetch{Type: FetchRelative, Track: video, Filter: moqt.Filter{Kind: moqt.FilterNone}}, 99, 0},
		{"joining fetch", &Fetch{Type: FetchRelativeJoining}, 16, 19},
		{"fetch that ends too early", &Fetch{Type: FetchStandalone, Track: video, Start: moqt.Location{Group: 2}, End: moqt.Location{Group: 1}}, 16, 19},
		{"state notify", &PublishStateNotify{}, 20, 22},
		{"publish skipped", &PublishSkipped{}, 18, 22},
		{"unsubscribe", &Unsubscribe{}, 16, 16},
		{"prefix in an update", &RequestUpdate{Params: Params{Prefix: Some(moqt.NS("a"))}}, 18, 22},
		{"track in an empty namespace", &Subscribe{}, 18, 22},
		{"empty namespace", &PublishNamespace{}, 18, 22},
		{"request id of 63 bits", &SubscribeTracks{RequestID: 1 << 62}, 18, 22},
		{"property of 63 bits", &SubscribeOK{Properties: moqt.Properties{{Type: 4, Value: 1 << 62}}}, 18, 22},
		{"property type of 63 bits", &SubscribeOK{Properties: moqt.Properties{{Type: 1 << 62}}}, 18, 22},
	} {
		for _, p := range profiles {
			want := test.from <= p.version && p.version <= test.until
			if b, err := p.AppendMessage([]byte("kept"), test.message); (err == nil) != want || err != nil && string(b) != "kept" {
				t.Errorf("%v: %s: AppendMessage = %x, %v, want it to work: %v", p.version, test.name, b, err, want)
			}
		}
	}
}

// What has no exact form on the wire is sent as the next best.
func TestAppendMessageAdapts(t *testing.T) {
	for _, test := range []struct {
		name       string
		version    moqt.Version
		on         On
		sent, want Message
	}{
		{"range from the first location on", 21, On{}, &Subscribe{Params: Params{Filter: Some(moqt.Filter{Kind: moqt.FilterAbsoluteStart})}},
			&Subscribe{Params: Params{Filter: Some(moqt.Filter{Kind: moqt.FilterNone})}}},
		{"no group back", 22, On{}, &Subscribe{Params: Params{Filter: Some(moqt.Filter{Kind: moqt.FilterRelative})}},
			&Subscribe{Params: Params{Filter: Some(moqt.Filter{Kind: moqt.FilterNextGroup})}}},
		{"end in the last group", 19, On{}, &Fetch{Type: FetchStandalone, End: moqt.Location{Group: moqt.LastGroup, Object: moqt.WholeGroup}},
			&Fetch{Type: FetchStandalone, End: moqt.Location{Group: moqt.LastGroup, Object: moqt.WholeGroup}}},
		{"code of other drafts", 18, onSubscribe, &RequestError{Code: moqt.RequestInvalidFilter}, &RequestError{}},
		{"code of older drafts", 20, onUpdated, &PublishDone{Code: moqt.DoneSubscriptionEnded}, &PublishDone{}},
		{"options of later drafts", 18, onControl, &Setup{MaxFilterRanges: Some(uint64(1)), MaxRequestUpdates: Some(uint64(2))}, &Setup{}},
		{"options of earlier drafts", 19, onControl, &Setup{MaxRequestID: Some(uint64(1)), Server: true}, &Setup{}},
		{"wish for properties", 19, On{}, &Subscribe{Params: Params{IncludeProperties: Some(true)}}, &Subscribe{}},
		{"id of what is answered", 22, onSubscribe, &SubscribeOK{RequestID: 4}, &SubscribeOK{}},
		{"redirect", 16, onControl, &RequestError{Code: moqt.RequestRedirect, Redirect: Some(Redirect{URI: "u", Track: video})}, &RequestError{}},
		{"timeout of nothing", 16, onControl, &Subscribe{Track: video, Params: Params{ObjectTimeout: Some(time.Duration(0))}}, &Subscribe{Track: video}},
		{"timeout of subgroups", 16, onControl, &Subscribe{Track: video, Params: Params{SubgroupTimeout: Some(time.Second)}}, &Subscribe{Track: video}},
		{"properties for TRACK_STATUS", 16, onControl, &RequestOK{Properties: moqt.Properties{{Type: 4, Value: 5}}}, &RequestOK{}},
		{"timeout of GOAWAY", 16, onControl, &Goaway{Timeout: time.Second}, &Goaway{}},
		{"code that moved", 16, onControl, &PublishDone{Code: moqt.DoneExpired}, &PublishDone{Code: moqt.DoneExpired}},
		{"end in the last group", 16, onControl, &Fetch{Type: FetchStandalone, Track: video, End: moqt.Location{Group: moqt.LastGroup, Object: moqt.WholeGroup}},
			&Fetch{Type: FetchStandalone, Track: video, End: moqt.Location{Group: moqt.LastGroup, Object: moqt.WholeGroup}}},
		{"no filter is silence", 18, On{}, &Subscribe{Params: Params{Filter: Some(moqt.Filter{Kind: moqt.FilterNone})}}, &Subscribe{}},
		{"no filter in an update", 18, On{Request: KindSubscribe}, &RequestUpdate{Params: Params{Filter: Some(moqt.Filter{Kind: moqt.FilterNone})}},
			&RequestUpdate{Params: Params{Filter: Some(moqt.Filter{Kind: moqt.FilterAbsoluteStart})}}},
		{"default order", 18, On{}, &Subscribe{Params: Params{Order: Some(moqt.OrderDefault)}}, &Subscribe{}},
		{"times are rounded up", 18, On{}, &Subscribe{Params: Params{ObjectTimeout: Some(time.Nanosecond), RendezvousTimeout: Some(1500 * time.Microsecond)}},
			&Subscribe{Params: Params{ObjectTimeout: Some(time.Millisecond), RendezvousTimeout: Some(2 * time.Millisecond)}}},
		{"options in order", 18, onControl, &Setup{Unknown: moqt.Properties{{Type: 0x9d, Bytes: []byte{}}, {Type: 2}}},
			&Setup{Unknown: moqt.Properties{{Type: 2}, {Type: 0x9d, Bytes: []byte{}}}}},
		{"reason too long", 18, onSubscribe, &RequestError{Reason: string(make([]byte, 5000))}, &RequestError{Reason: string(make([]byte, 1024))}},
		{"reason cut between runes", 18, onSubscribe, &RequestError{Reason: string(make([]byte, 1022)) + "€"}, &RequestError{Reason: string(make([]byte, 1022))}},
		{"longest retry", 18, onSubscribe, &RequestError{Retry: Some(time.Duration(1<<63 - 1))}, &RequestError{Retry: Some(fromMillis(maxMillis))}},
	} {
		p := profile(t, test.version)
		b, err := p.AppendMessage(nil, test.sent)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got, err := p.ReadMessage(NewReader(bytes.NewReader(b)), test.on); err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: read %+v, %v\nwant %+v", test.name, got, err, test.want)
		}
	}
}

func profile(t testing.TB, v moqt.Version) *Profile {
	t.Helper()
	for _, p := range profiles {
		if p.Version() == v {
			return p
		}
	}
	t.Fatalf("there is no profile of %v", v)
	return nil
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A peer that puts a length before LARGEST_OBJECT is understood where that is
// expected of it, and so is one that does not.
func TestLongLocation(t *testing.T) {
	want := &SubscribeOK{Alias: 9, Params: Params{Largest: Some(moqt.Location{Group: 5, Object: 6})},
		Properties: moqt.Properties{{Type: moqt.PropDefaultGroupOrder, Value: 1}}}
	for _, tt := range []struct {
		name, hex string
		long, ok  bool
	}{
		{"right", "0400070901090506" + "2201", false, true},
		{"right, expected long", "0400070901090506" + "2201", true, true},
		{"long", "040008090109020506" + "2201", false, false},
		{"long, expected", "040008090109020506" + "2201", true, true},
		{"too long", "040008090109030506" + "2201", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := hex.DecodeString(tt.hex)
			if err != nil {
				t.Fatal(err)
			}
			p, _ := ProfileFor(moqt.Draft20)
			on := onSubscribe
			on.LongLocation = tt.long
			m, err := p.ReadMessage(NewReader(bytes.NewReader(b)), on)
			if tt.ok != (err == nil) || tt.ok && !reflect.DeepEqual(m, Message(want)) {
				t.Errorf("ReadMessage() = %+v, %v, want it read: %v", m, err, tt.ok)
			}
		})
	}
}
