package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// The fuzz targets check one thing beside the absence of panics: what parsed
// encodes, and what that parses to is the same. Their first argument chooses
// the draft.

func fuzzProfile(draft byte) *Profile { return profiles[int(draft)%len(profiles)] }

// fuzzDraft is the first argument that chooses p.
func fuzzDraft(p *Profile) byte { return byte(slices.Index(profiles, p)) }

// fuzzPlaces are where FuzzMessage reads, chosen by its second argument.
var fuzzPlaces = []On{
	{}, onControl, onSubscribe, onPublish, onFetch, onStatus, onUpdated, onWatch, onTracks,
	{Request: KindSubscribe}, {Request: KindPublish}, {Request: KindFetch}, {Request: KindSubscribeNamespace}, {Request: KindSubscribeTracks},
	{Request: KindPublish, Answers: KindRequestUpdate}, {Request: KindFetch, Answers: KindRequestUpdate},
	{Request: KindPublishNamespace, Answers: KindPublishNamespace}, {Request: KindSubscribeNamespace, Answers: KindSubscribeNamespace},
}

func FuzzMessage(f *testing.F) {
	seed := func(p *Profile, on On, b []byte) {
		for place, known := range fuzzPlaces {
			if known == on {
				f.Add(fuzzDraft(p), byte(place), b)
			}
		}
	}
	for _, test := range messageTests {
		seed(profile(f, test.version), test.on, unhex(f, test.hex))
	}
	eachVector(f, "messages", func(p *Profile, v *vector) { seed(p, v.on(f), v.bytes(f)) })
	for _, b := range mediamtxInputs(f) {
		for _, p := range profiles {
			seed(p, On{}, b)
		}
	}
	f.Fuzz(func(t *testing.T, draft, place byte, b []byte) {
		p, on := fuzzProfile(draft), fuzzPlaces[int(place)%len(fuzzPlaces)]
		m, err := p.ReadMessage(NewReader(bytes.NewReader(b)), on)
		if !okOrRefused(t, err) {
			return
		}
		enc, err := p.AppendMessage(nil, m)
		if err != nil && rangesOf(m).Check(math.MaxUint64) != nil {
			return // a request that is to be refused
		}
		if err != nil {
			t.Fatalf("%+v does not encode: %v", m, err)
		}
		again, err := p.ReadMessage(NewReader(bytes.NewReader(enc)), on)
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%x\nwas  %+v\nencoded %x\nis %+v, %v", b, m, enc, again, err)
		}
	})
}

// rangesOf returns all range filters of m.
func rangesOf(m Message) moqt.RangeFilters {
	params := reflect.ValueOf(m).Elem().FieldByName("Params")
	if !params.IsValid() {
		return nil
	}
	p := params.Interface().(Params)
	return slices.Concat(p.Ranges, p.Fill.Value.Ranges)
}

func FuzzSetup(f *testing.F) {
	eachVector(f, "messages", func(p *Profile, v *vector) {
		if rest, ok := bytes.CutPrefix(v.bytes(f), []byte{0xaf, 0}); ok {
			f.Add(fuzzDraft(p), rest)
		}
	})
	f.Fuzz(func(t *testing.T, draft byte, b []byte) {
		p := fuzzProfile(draft)
		m, err := p.ReadSetup(NewReader(bytes.NewReader(b)))
		if !okOrRefused(t, err) {
			return
		}
		enc, err := p.AppendMessage(nil, m)
		if err != nil {
			t.Fatalf("%+v does not encode: %v", m, err)
		}
		again, err := p.ReadMessage(NewReader(bytes.NewReader(enc)), onControl)
		if err != nil || !reflect.DeepEqual(again, Message(m)) {
			t.Fatalf("%x\nwas  %+v\nencoded %x\nis %+v, %v", b, m, enc, again, err)
		}
	})
}

func FuzzSubgroupStream(f *testing.F) {
	eachVector(f, "subgroups", func(p *Profile, v *vector) { f.Add(fuzzDraft(p), v.bytes(f)) })
	f.Fuzz(func(t *testing.T, draft byte, b []byte) {
		p := fuzzProfile(draft)
		// What came before an error is encoded as well.
		s, err := readSubgroup(p, NewReader(bytes.NewReader(b)))
		if !okOrRefused(t, err) && len(s.objects) == 0 {
			return
		}
		enc, err := s.append(p)
		if err != nil {
			t.Fatalf("%+v does not encode: %v", s, err)
		}
		again, err := readSubgroup(p, NewReader(bytes.NewReader(enc)))
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%x\nwas  %+v\nencoded %x\nis %+v, %v", b, s, enc, again, err)
		}
	})
}

func FuzzFetchStream(f *testing.F) {
	eachVector(f, "fetches", func(p *Profile, v *vector) {
		f.Add(fuzzDraft(p), v.groupOrder() == moqt.Descending, false, v.bytes(f))
	})
	f.Fuzz(func(t *testing.T, draft byte, descending, gapLength bool, b []byte) {
		p, order := fuzzProfile(draft), moqt.Ascending
		if descending {
			order = moqt.Descending
		}
		s, err := readFetch(p, NewReader(bytes.NewReader(b)), order)
		if !okOrRefused(t, err) && len(s.objects) == 0 {
			return
		}
		enc, err := s.append(p, gapLength)
		if err != nil {
			t.Fatalf("%+v does not encode: %v", s, err)
		}
		again, err := readFetch(p, NewReader(bytes.NewReader(enc)), order)
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("%x\nwas  %+v\nencoded %x\nis %+v, %v", b, s, enc, again, err)
		}
	})
}

func FuzzDatagram(f *testing.F) {
	eachVector(f, "datagrams", func(p *Profile, v *vector) { f.Add(fuzzDraft(p), v.bytes(f)) })
	f.Fuzz(func(t *testing.T, draft byte, b []byte) {
		p := fuzzProfile(draft)
		d, padding, err := p.ParseDatagram(b)
		if !okOrRefused(t, err) || padding {
			return
		}
		enc, err := p.AppendDatagram(nil, &d)
		if err != nil {
			t.Fatalf("%+v does not encode: %v", d, err)
		}
		again, padding, err := p.ParseDatagram(enc)
		if err != nil || padding || !reflect.DeepEqual(again, d) {
			t.Fatalf("%x\nwas  %+v\nencoded %x\nis %+v, %v", b, d, enc, again, err)
		}
	})
}

// okOrRefused reports whether there was no error, and fails the test if there
// was one that no stream of bytes may cause.
func okOrRefused(t *testing.T, err error) bool {
	var violation *Error
	switch {
	case err == nil:
		return true
	case err == io.EOF, errors.Is(err, ErrTooLarge):
	case errors.As(err, &violation):
		if c := violation.Code; c != moqt.SessionProtocolViolation && c != moqt.SessionKeyValueFormatting {
			t.Fatalf("code %v: %v", c, err)
		}
	case errors.As(err, new(*wrongStream)):
	default:
		t.Fatalf("neither a violation nor the stream's error: %v", err)
	}
	return false
}

// wrongStream says that a stream was of another kind than the test reads.
type wrongStream struct{ kind StreamKind }

func (e *wrongStream) Error() string { return fmt.Sprintf("stream of kind %d", e.kind) }
