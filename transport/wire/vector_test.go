package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// vector is one entry of testdata/<draft>/*.json. It holds for that draft and
// all later ones to Until. Those of messages were read where On says; a
// canonical one is what our encoder makes of it.
type vector struct {
	ID    string       `json:"id"`
	Until moqt.Version `json:"until"`
	On    *struct {
		Control          bool
		Request, Answers string
	} `json:"on"`
	Order     string `json:"order"`
	Canonical *bool  `json:"canonical"`
	Hex       string `json:"hex"`
	Decoded   any    `json:"decoded"`
	Error     string `json:"error"`
	Section   string `json:"spec_section"`
}

func (v *vector) bytes(t testing.TB) []byte {
	b, err := hex.DecodeString(v.Hex)
	if err != nil {
		t.Fatalf("%s: %v", v.ID, err)
	}
	return b
}

func (v *vector) on(t testing.TB) On {
	if v.On == nil {
		return On{}
	}
	return On{Control: v.On.Control, Request: kindNamed(t, v.On.Request), Answers: kindNamed(t, v.On.Answers)}
}

func kindNamed(t testing.TB, name string) Kind {
	if name == "" {
		return KindNone
	}
	for k, n := range kindNames {
		if n == name {
			return Kind(k)
		}
	}
	t.Fatalf("no message is called %q", name)
	return KindNone
}

func (v *vector) groupOrder() moqt.GroupOrder {
	if v.Order == "descending" {
		return moqt.Descending
	}
	return moqt.OrderDefault
}

// vectorDrafts are the directories of vectors, and until which draft those
// hold that do not say it themselves.
var vectorDrafts = []struct{ from, until moqt.Version }{
	{moqt.Draft16, moqt.Draft16}, {moqt.Draft18, moqt.Draft22}, {moqt.Draft19, moqt.Draft22}, {moqt.Draft20, moqt.Draft22}, {moqt.Draft22, moqt.Draft22},
}

// vectorFiles returns what is in the files of a draft whose names start with
// prefix.
func vectorFiles(t testing.TB, draft moqt.Version, prefix string) (vectors []*vector) {
	files, err := filepath.Glob(filepath.Join("testdata", fmt.Sprintf("draft%d", draft), prefix+"*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var list []*vector
		if err := json.Unmarshal(b, &list); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		vectors = append(vectors, list...)
	}
	return vectors
}

// eachVector calls f with the vectors of all drafts in files that start with
// prefix.
func eachVector(t testing.TB, prefix string, f func(p *Profile, v *vector)) {
	count := make(map[moqt.Version]int)
	for _, draft := range vectorDrafts {
		for _, v := range vectorFiles(t, draft.from, prefix) {
			until := draft.until
			if v.Until != 0 {
				until = v.Until
			}
			for _, p := range profiles {
				if draft.from <= p.version && p.version <= until {
					f(p, v)
					count[p.version]++
				}
			}
		}
	}
	for _, p := range profiles {
		if count[p.version] == 0 {
			t.Fatalf("%v has no vectors of %s", p.version, prefix)
		}
	}
}

// transcoder decodes b as the vectors of one kind are, and returns how it is
// written there and how it is encoded again.
type transcoder func(p *Profile, v *vector, r *Reader, b []byte) (decoded view, encode func() ([]byte, error), err error)

func testVectors(t *testing.T, prefix string, transcode transcoder) {
	eachVector(t, prefix, func(p *Profile, v *vector) {
		t.Run(fmt.Sprintf("%v/%s", p.version, v.ID), func(t *testing.T) {
			b := v.bytes(t)
			for how, r := range readers(b) {
				got, encode, err := transcode(p, v, r, b)
				if v.Error != "" {
					var violation *Error
					if !errors.As(err, &violation) || violation.Code.String() != v.Error {
						t.Fatalf("%s: decoded %v, %v, want %s (%s)", how, got, err, v.Error, v.Section)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", how, err)
				}
				if want := v.Decoded; !reflect.DeepEqual(asJSON(t, got), want) {
					t.Fatalf("%s: decoded\n%v, want\n%v (%s)", how, got, want, v.Section)
				}
				again, err := encode()
				if err != nil {
					t.Fatalf("encode: %v", err)
				}
				if canonical := v.Canonical == nil || *v.Canonical; canonical != bytes.Equal(again, b) {
					t.Errorf("encoded %x, want %x: %v", again, b, canonical)
				}
			}
		})
	})
}

func asJSON(t *testing.T, v view) (out any) {
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestMessageVectors(t *testing.T) {
	testVectors(t, "messages", func(p *Profile, v *vector, r *Reader, b []byte) (view, func() ([]byte, error), error) {
		m, err := p.ReadMessage(r, v.on(t))
		if err != nil {
			return nil, nil, err
		}
		if _, err := p.ReadMessage(r, v.on(t)); err != io.EOF {
			t.Errorf("after the message: %v, want EOF", err)
		}
		return viewMessage(m), func() ([]byte, error) { return p.AppendMessage(nil, m) }, nil
	})
}

func TestSubgroupVectors(t *testing.T) {
	testVectors(t, "subgroups", func(p *Profile, v *vector, r *Reader, b []byte) (view, func() ([]byte, error), error) {
		s, err := readSubgroup(p, r)
		return viewSubgroup(s), func() ([]byte, error) { return s.append(p) }, err
	})
}

func TestFetchVectors(t *testing.T) {
	testVectors(t, "fetches", func(p *Profile, v *vector, r *Reader, b []byte) (view, func() ([]byte, error), error) {
		s, err := readFetch(p, r, v.groupOrder())
		return viewFetch(s), func() ([]byte, error) { return s.append(p, p.gapLength) }, err
	})
}

func TestDatagramVectors(t *testing.T) {
	testVectors(t, "datagrams", func(p *Profile, v *vector, r *Reader, b []byte) (view, func() ([]byte, error), error) {
		d, padding, err := p.ParseDatagram(b)
		if padding {
			return view{"padding": true}, func() ([]byte, error) { return nil, nil }, err
		}
		return viewDatagram(&d), func() ([]byte, error) { return p.AppendDatagram(nil, &d) }, err
	})
}

// TestVectorCount keeps the vectors from being lost: a wrong pattern would pass
// all the tests above.
func TestVectorCount(t *testing.T) {
	all, malformed := make(map[moqt.Version]int), make(map[moqt.Version]int)
	seen := make(map[string]bool)
	eachVector(t, "", func(p *Profile, v *vector) {
		all[p.version]++
		if v.Error != "" {
			malformed[p.version]++
		}
		key := fmt.Sprint(p.version, v.Hex, v.on(t), v.Order)
		if seen[key] {
			t.Errorf("%v: vector %s is there twice", p.version, v.ID)
		}
		seen[key] = true
		if v.Section == "" || v.Error == "" && v.Decoded == nil || strings.ToLower(v.Hex) != v.Hex {
			t.Errorf("vector %s is incomplete", v.ID)
		}
	})
	for _, p := range profiles {
		if all[p.version] < 350 || malformed[p.version] < 200 {
			t.Errorf("%v: %d vectors, %d of them malformed", p.version, all[p.version], malformed[p.version])
		}
	}
}
