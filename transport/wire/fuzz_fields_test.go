package wire

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// The fuzz targets of what messages and objects are made of; those of messages
// and streams, and what all of them check, are in fuzz_test.go.

func FuzzParams(f *testing.F) {
	for _, seed := range []string{
		"00", "01 10 01", "02 10 01 10 c8", "01 21 01 01", "01 21 05 04 01 02 03", "01 21 04 01 02 03 04", "02 03 04 01 01 00 aa 1e 00",
		"01 25 04 00 01 02 03", "01 28 03 00 3c 05", "01 23 07 02 0a 05 17 02 01 05", "01 09 05 06", "01 34 01 01 61", "01 32 07",
	} {
		for _, p := range profiles {
			for place := range fuzzParamPlaces {
				f.Add(fuzzDraft(p), byte(place), unhex(f, strings.ReplaceAll(seed, " ", "")))
			}
		}
	}
	f.Fuzz(func(t *testing.T, draft, place byte, b []byte) {
		p, where := fuzzProfile(draft), fuzzParamPlaces[int(place)%len(fuzzParamPlaces)]
		d := decoder{p: p, on: where.on, b: b}
		params := d.params(where.kind)
		if !okOrRefused(t, d.err) {
			return
		}
		e := encoder{p: p}
		e.paramsIn(where.on.place(where.kind), &params, where.kind == KindRequestUpdate)
		if e.err != nil && slices.Concat(params.Ranges, params.Fill.Value.Ranges).Check(math.MaxUint64) != nil {
			return // a request that is to be refused
		}
		again := decoder{p: p, on: where.on, b: e.b}
		if got := again.params(where.kind); e.err != nil || again.err != nil || len(again.b) > 0 || !reflect.DeepEqual(got, params) {
			t.Fatalf("%x\nwas  %+v\nencoded %x, %v\nis %+v, %v", b, params, e.b, e.err, got, again.err)
		}
	})
}

// fuzzParamPlaces are the messages whose parameters FuzzParams reads, chosen by
// its second argument.
var fuzzParamPlaces = []struct {
	on   On
	kind Kind
}{
	{On{}, KindSubscribe}, {onSubscribe, KindSubscribeOK}, {On{}, KindPublish}, {onPublish, KindRequestOK}, {On{}, KindFetch},
	{On{}, KindSubscribeTracks}, {onStatus, KindRequestOK}, {On{Request: KindSubscribe}, KindRequestUpdate}, {On{Request: KindFetch}, KindRequestUpdate},
	{On{Request: KindSubscribeTracks}, KindRequestUpdate}, {onControl, KindRequestUpdate}, {onUpdated, KindPublishStateNotify},
}

func FuzzProperties(f *testing.F) {
	for _, b := range []string{"", "2200", "30010205", "0b0202009d0105", "0b04020002013c05", "ffffffffffffffffff00", "7f7f7f7f"} {
		for _, p := range profiles {
			f.Add(fuzzDraft(p), unhex(f, b))
		}
	}
	f.Fuzz(func(t *testing.T, draft byte, b []byte) {
		p := fuzzProfile(draft)
		props, err := p.ParseProperties(b)
		if !okOrRefused(t, err) {
			return
		}
		enc, err := p.AppendProperties(nil, props)
		if err != nil || uint64(len(enc)) != p.propertiesSize(props) {
			t.Fatalf("%+v encodes to %x, %v; size told %d", props, enc, err, p.propertiesSize(props))
		}
		if again, err := p.ParseProperties(enc); err != nil || !reflect.DeepEqual(again, props) {
			t.Fatalf("%x\nwas  %+v\nencoded %x\nis %+v, %v", b, props, enc, again, err)
		}
		p.checkTrackProperties(props)
	})
}

func FuzzToken(f *testing.F) {
	for _, b := range []string{"", "0001", "01010061", "0201", "030061", "0401", "03ff", "020100"} {
		for _, p := range profiles {
			f.Add(fuzzDraft(p), unhex(f, b))
		}
	}
	f.Fuzz(func(t *testing.T, draft byte, b []byte) {
		p := fuzzProfile(draft)
		d := decoder{p: p}
		token := d.token(b)
		if d.err != nil {
			if e := new(Error); !errors.As(d.err, &e) || e.Code != moqt.SessionKeyValueFormatting {
				t.Fatalf("%x: %v, want KEY_VALUE_FORMATTING_ERROR", b, d.err)
			}
			return
		}
		e := encoder{p: p}
		e.tokenBody(&token)
		if e.err != nil || uint64(len(e.b)) != e.tokenSize(&token) {
			t.Fatalf("%+v encodes to %x, %v; size told %d", token, e.b, e.err, e.tokenSize(&token))
		}
		again := decoder{p: p}
		if got := again.token(e.b); again.err != nil || !reflect.DeepEqual(got, token) {
			t.Fatalf("%x\nwas  %+v\nencoded %x\nis %+v, %v", b, token, e.b, got, again.err)
		}
	})
}

func FuzzName(f *testing.F) {
	for _, b := range []string{"00 00", "01 01 61 01 62", "02 01 61 01 62 00", "01 00 00", "20" + strings.Repeat("0161", 32) + "00", "21" + strings.Repeat("0161", 33) + "00"} {
		for _, p := range profiles {
			f.Add(fuzzDraft(p), unhex(f, strings.ReplaceAll(b, " ", "")))
		}
	}
	f.Fuzz(func(t *testing.T, draft byte, b []byte) {
		p := fuzzProfile(draft)
		d := decoder{p: p, b: b}
		name := d.trackName()
		if !okOrRefused(t, d.err) {
			return
		}
		if err := name.Check(); err != nil {
			t.Fatalf("%x: %v was let pass: %v", b, name, err)
		}
		e := encoder{p: p}
		e.trackName(name)
		again := decoder{p: p, b: e.b}
		if got := again.trackName(); e.err != nil || again.err != nil || len(again.b) > 0 || got != name {
			t.Fatalf("%x\nwas  %v\nencoded %x, %v\nis %v, %v", b, name, e.b, e.err, got, again.err)
		}
		if read, err := moqt.ParseTrackName(name.String()); err != nil || read != name {
			t.Fatalf("%v is printed as %s, which is %v, %v", name, name.String(), read, err)
		}
	})
}
