package qlog

import (
	"encoding/hex"
	"strconv"
	"unicode/utf8"

	"github.com/quic-go/quic-go/qlogwriter/jsontext"

	"github.com/tributary-live/tributary/transport/moqt"
)

// fields writes the members of JSON objects. The first error stays.
type fields struct {
	enc *jsontext.Encoder
	err error
}

func (f *fields) token(t jsontext.Token) {
	if f.err == nil {
		f.err = f.enc.WriteToken(t)
	}
}

func (f *fields) key(k string)          { f.token(jsontext.String(k)) }
func (f *fields) str(k, v string)       { f.key(k); f.token(jsontext.String(v)) }
func (f *fields) bool(k string, v bool) { f.key(k); f.token(jsontext.Bool(v)) }

// object writes a member that is an object, or without a key an element of a
// list.
func (f *fields) object(k string, members func()) {
	if k != "" {
		f.key(k)
	}
	f.token(jsontext.BeginObject)
	members()
	f.token(jsontext.EndObject)
}

func (f *fields) list(k string, elements func()) {
	f.key(k)
	f.token(jsontext.BeginArray)
	elements()
	f.token(jsontext.EndArray)
}

// maxNumber is the largest integer that every reader of JSON gets right. Larger
// ones are strings, as qlog allows ("JSON Interoperability").
const maxNumber = 1<<53 - 1

func (f *fields) uint(k string, v uint64) {
	f.key(k)
	if v > maxNumber {
		f.token(jsontext.String(strconv.FormatUint(v, 10)))
	} else {
		f.token(jsontext.Uint(v))
	}
}

// raw writes a RawInfo that tells how long something is, and not what it is.
func (f *fields) raw(k string, length int) {
	f.object(k, func() { f.uint("length", uint64(length)) })
}

func (f *fields) location(k string, l moqt.Location) {
	f.object(k, func() {
		f.uint("group", l.Group)
		f.uint("object", l.Object)
	})
}

// text writes bytes that should be text as a member k, or in hex as k_bytes
// where they are not.
func (f *fields) text(k, v string) {
	if utf8.ValidString(v) {
		f.str(k, v)
	} else {
		f.str(k+"_bytes", hex.EncodeToString([]byte(v)))
	}
}

// byteString writes an MOQTByteString.
func (f *fields) byteString(k, v string) { f.object(k, func() { f.text("value", v) }) }

func (f *fields) namespace(k string, ns moqt.Namespace) {
	f.list(k, func() {
		for _, field := range ns.Fields() {
			f.byteString("", field)
		}
	})
}

func (f *fields) track(t moqt.TrackName) {
	f.namespace("track_namespace", t.Namespace)
	f.byteString("track_name", t.Name)
}

// properties writes those of a track or an object, if there are any: numbers
// whole, bytes by their length.
func (f *fields) properties(k string, props moqt.Properties) {
	if len(props) == 0 {
		return
	}
	f.list(k, func() {
		for i := range props {
			p := &props[i]
			f.object("", func() {
				f.uint("type", p.Type)
				if p.Type%2 == 0 {
					f.uint("value", p.Value)
				} else {
					f.uint("length", uint64(len(p.Bytes)))
				}
			})
		}
	})
}
