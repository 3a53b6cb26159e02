package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// moqtapVector is one of the vectors of another project in testdata/moqtap.
type moqtapVector struct {
	ID, Msg, Kind, Hex, Expect string
	Canonical                  *bool
}

// moqtapRefused are vectors that are to be read there, but that the drafts'
// texts want the session closed for.
var moqtapRefused = map[string]string{
	"setup.auth-delete":                         "DELETE in SETUP (AUTHORIZATION TOKEN)",
	"subgroup_stream.status-with-props-decodes": "properties on an End of Group (Object Properties)",
}

// moqtapOther are vectors that are written another way by us.
var moqtapOther = map[string]string{
	"request_error.unknown-code-0x32-decodes":     "it is read as INTERNAL_ERROR, as all unknown codes are",
	"fetch_stream.eor-timed-out-after-object-6.9": "the group of the gap is told as a distance",
	"fetch_stream.object-after-marker-6.10":       "the group of the gap is told as a distance",
	"datagram.single":                             "object 0 has a type that leaves the id out",
	"datagram.zeros":                              "object 0 has a type that leaves the id out",
	"datagram.default-priority":                   "object 0 has a type that leaves the id out",
	"datagram.props":                              "object 0 has a type that leaves the id out",
}

// moqtapPlaces is where messages were read, by their names there.
var moqtapPlaces = map[string]On{
	"SETUP": onControl, "GOAWAY": onControl, "PUBLISH_STATE_NOTIFY": onUpdated, "REQUEST_UPDATE": {Request: KindSubscribe},
	"REQUEST_ERROR": onSubscribe, "FETCH_OK": onFetch,
}

func (v *moqtapVector) on() On {
	if strings.Contains(v.ID, "prefix") && v.Msg == "REQUEST_UPDATE" {
		return On{Request: KindSubscribeNamespace}
	}
	return moqtapPlaces[v.Msg]
}

// transcode reads b as v says and returns what was read, and how to write it.
func (v *moqtapVector) transcode(p *Profile, b []byte) (decoded any, encode func(p *Profile) ([]byte, error), err error) {
	r := NewReader(bytes.NewReader(b))
	switch v.Msg {
	case "FETCH_STREAM":
		s, err := readFetch(p, r, moqt.OrderDefault)
		return s, func(p *Profile) ([]byte, error) { return s.append(p, true) }, err
	case "SUBGROUP_STREAM":
		s, err := readSubgroup(p, r)
		return s, s.append, err
	case "DATAGRAM":
		d, _, err := p.ParseDatagram(b)
		return d, func(p *Profile) ([]byte, error) { return p.AppendDatagram(nil, &d) }, err
	}
	m, err := p.ReadMessage(r, v.on())
	return m, func(p *Profile) ([]byte, error) { return p.AppendMessage(nil, m) }, err
}

// TestMoqtapDraft20 checks the vectors for draft-20 with that draft and the one
// that has its bytes. Draft-22 must carry the same messages.
func TestMoqtapDraft20(t *testing.T) {
	text, err := os.ReadFile("testdata/moqtap/draft20.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for line := range bytes.Lines(text) {
		v := new(moqtapVector)
		if err := json.Unmarshal(line, v); err != nil {
			t.Fatal(err)
		}
		count++
		t.Run(v.ID, func(t *testing.T) {
			for _, p := range []*Profile{&draft20, &draft21} {
				v.check(t, p)
			}
			v.checkAcross(t, &draft20, &draft22)
		})
	}
	if count != 213 {
		t.Errorf("%d vectors, want 213", count)
	}
}

func (v *moqtapVector) check(t *testing.T, p *Profile) {
	b, err := hex.DecodeString(v.Hex)
	if err != nil {
		t.Fatal(err)
	}
	decoded, encode, err := v.transcode(p, b)
	if _, refused := moqtapRefused[v.ID]; refused || v.Expect == "error" {
		if !isViolation(err) {
			t.Errorf("%v: %x: %+v, %v, want a violation", p.version, b, decoded, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("%v: %x: %v", p.version, b, err)
	}
	enc, err := encode(p)
	if err != nil {
		t.Fatalf("%v: encode: %v", p.version, err)
	}
	_, other := moqtapOther[v.ID]
	if want := *v.Canonical && !other; want != bytes.Equal(enc, b) {
		t.Errorf("%v: encoded %x, want %x: %v", p.version, enc, b, want)
	}
}

// checkAcross checks that q can carry what p reads.
func (v *moqtapVector) checkAcross(t *testing.T, p, q *Profile) {
	b, _ := hex.DecodeString(v.Hex)
	decoded, encode, err := v.transcode(p, b)
	if err != nil {
		return
	}
	enc, err := encode(q)
	if err != nil {
		t.Fatalf("%v: encode: %v", q.version, err)
	}
	again, _, err := v.transcode(q, enc)
	if err != nil || !reflect.DeepEqual(again, decoded) {
		t.Errorf("%v: %x: %+v, %v, want %+v", q.version, enc, again, err, decoded)
	}
}
