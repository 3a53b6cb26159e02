package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// moqtap16Refused are vectors that are to be read there, but that the draft's
// text wants the session closed for.
var moqtap16Refused = map[string]string{
	"subscribe/unknown-extension-param":          "an unknown message parameter (Parameters)",
	"fetch-header/fetch-with-explicit-subgroup":  "the first object takes its priority from the one before (Flags)",
	"fetch-header/fetch-datagram-forwarding":     "the first object takes its priority from the one before (Flags)",
	"subgroup/subgroup-extensions-status-object": "properties on an End of Group (Object Extension Headers)",
	"fetch/with-params":                          "the second parameter has its type and not the distance to it (Key-Value-Pair Structure)",
	"publish-ok/with-params":                     "the second parameter has its type and not the distance to it (Key-Value-Pair Structure)",
}

// moqtap16Objects are vectors whose second object is told to be the next one by
// a distance of 1, which means one further.
var moqtap16Objects = map[string]bool{
	"subgroup/subgroup-extensions-two-objects-empty": true, "subgroup/subgroup-extensions-two-objects-nonempty": true,
}

// moqtap16Ignored are vectors with a parameter that does not belong into their
// message. The draft wants it ignored.
var moqtap16Ignored = map[string]string{
	"subscribe-ok/with-delivery-timeout": "delivery_timeout",
	"publish-namespace/with-forward":     "forward",
}

// moqtap16Other are vectors of which our encoder takes another form: a type
// that leaves the id of object 0 out.
var moqtap16Other = map[string]bool{
	"datagram/datagram-4byte-payload": true, "datagram/datagram-with-extensions": true,
	"datagram/datagram-default-priority": true, "datagram/datagram-end-of-track-status": true,
}

type moqtap16Vector struct {
	ID, Hex, Error string
	Decoded        map[string]any
	Canonical      *bool
}

func TestMoqtapDraft16(t *testing.T) {
	count, refused := 0, 0
	err := filepath.WalkDir("testdata/moqtap/draft16/codec", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var file struct {
			Type    string `json:"message_type"`
			Vectors []*moqtap16Vector
		}
		if err := json.Unmarshal(text, &file); err != nil {
			return err
		}
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		for _, v := range file.Vectors {
			count++
			if v.Error != "" {
				refused++
			}
			t.Run(name+"/"+v.ID, func(t *testing.T) { v.check(t, name, name+"/"+v.ID) })
		}
		return nil
	})
	if err != nil || count != 188 || refused != 31 {
		t.Errorf("%d vectors, %d that must fail, %v, want 188 and 31", count, refused, err)
	}
}

func (v *moqtap16Vector) check(t *testing.T, file, id string) {
	b, err := hex.DecodeString(v.Hex)
	if err != nil {
		t.Fatal(err)
	}
	got, encode, err := moqtap16Read(file, b)
	if moqtap16Refused[id] != "" || v.Error != "" {
		if !isViolation(err) {
			t.Errorf("%x: %v, %v, want a violation", b, got, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	ignored := moqtap16Ignored[id]
	if ignored != "" {
		delete(v.Decoded["parameters"].(map[string]any), ignored)
	}
	if moqtap16Objects[id] {
		v.Decoded["objects"].([]any)[1].(map[string]any)["object_id"] = "2"
	}
	if want := plain(v.Decoded); !reflect.DeepEqual(asJSON(t, got.(view)), want) {
		t.Errorf("%x: decoded\n%v, want\n%v", b, got, want)
	}
	enc, err := encode()
	if err != nil {
		t.Fatalf("encode: %v", err)
	}
	canonical := (v.Canonical == nil || *v.Canonical) && !moqtap16Other[id] && ignored == ""
	if canonical != bytes.Equal(enc, b) {
		t.Errorf("encoded %x, want %x: %v", enc, b, canonical)
	}
}

// plain drops from a decoded vector what tells of the encoding alone.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := view{}
		for k, e := range v {
			switch k {
			case "stream_type", "datagram_type", "header_type", "serialization_flags", "payload_length":
			default:
				out[k] = plain(e)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	}
	return v
}

// moqtap16Read decodes b as the vectors of a file are, and returns the result as
// they write it.
func moqtap16Read(file string, b []byte) (any, func() ([]byte, error), error) {
	p, r := &draft16, NewReader(bytes.NewReader(b))
	on := onControl
	switch file {
	case "varint":
		v, err := p.readField(r, "integer")
		return view{"value": num(v)}, func() ([]byte, error) { return p.appendVarint(nil, v), nil }, err
	case "subgroup":
		s, err := readSubgroup(p, r)
		return moqtap16Subgroup(s), func() ([]byte, error) { return s.append(p) }, err
	case "fetch-header":
		s, err := readFetch(p, r, moqt.OrderDefault)
		return moqtap16Fetch(s), func() ([]byte, error) { return s.append(p, true) }, err
	case "datagram":
		d, _, err := p.ParseDatagram(b)
		return moqtap16Datagram(&d), func() ([]byte, error) { return p.AppendDatagram(nil, &d) }, err
	case "client-setup", "subscribe-namespace":
		on = On{}
	case "namespace", "namespace-done":
		on = onWatch
	}
	m, err := p.ReadMessage(r, on)
	if err != nil {
		return nil, nil, err
	}
	return moqtap16Message(m), func() ([]byte, error) { return p.AppendMessage(nil, m) }, nil
}

func moqtap16Message(m Message) view {
	switch m := m.(type) {
	case *Setup:
		v := view{}
		viewOpt(v, "path", m.Path, func(s string) any { return s })
		viewOpt(v, "authority", m.Authority, func(s string) any { return s })
		viewOpt(v, "max_request_id", m.MaxRequestID, func(n uint64) any { return num(n) })
		moqtap16Tokens(v, m.Tokens)
		if m.TokenCacheSize > 0 {
			v["max_auth_token_cache_size"] = num(m.TokenCacheSize)
		}
		if m.Implementation != "" {
			v["moqt_implementation"] = m.Implementation
		}
		return view{"parameters": v}
	case *Goaway:
		return view{"new_session_uri": m.URI}
	case *MaxRequestID:
		return view{"max_request_id": num(m.Max)}
	case *RequestsBlocked:
		return view{"maximum_request_id": num(m.Max)}
	case *Unsubscribe:
		return view{"request_id": num(m.RequestID)}
	case *FetchCancel:
		return view{"request_id": num(m.RequestID)}
	case *PublishNamespaceDone:
		return view{"request_id": num(m.RequestID)}
	case *PublishNamespaceCancel:
		return view{"request_id": num(m.RequestID), "error_code": num(uint64(m.Code)), "reason_phrase": m.Reason}
	case *Subscribe:
		return moqtap16Params(view{"request_id": num(m.RequestID), "track_namespace": m.Track.Namespace.Fields(), "track_name": m.Track.Name}, &m.Params)
	case *TrackStatus:
		return moqtap16Params(view{"request_id": num(m.RequestID), "track_namespace": m.Track.Namespace.Fields(), "track_name": m.Track.Name}, &m.Params)
	case *SubscribeOK:
		v := view{"request_id": num(m.RequestID), "track_alias": num(m.Alias)}
		moqtap16Properties(v, "track_extensions", m.Properties)
		return moqtap16Params(v, &m.Params)
	case *RequestUpdate:
		return moqtap16Params(view{"request_id": num(m.RequestID), "existing_request_id": num(m.Existing)}, &m.Params)
	case *Publish:
		v := view{
			"request_id": num(m.RequestID), "track_namespace": m.Track.Namespace.Fields(), "track_name": m.Track.Name, "track_alias": num(m.Alias),
		}
		moqtap16Properties(v, "track_extensions", m.Properties)
		return moqtap16Params(v, &m.Params)
	case *PublishDone:
		code := draft16.codes.done.number(m.Code, moqt.DoneInternalError)
		return view{"request_id": num(m.RequestID), "status_code": num(code), "stream_count": num(m.Streams), "reason_phrase": m.Reason}
	case *Fetch:
		v := view{"request_id": num(m.RequestID), "fetch_type": num(uint64(m.Type))}
		if m.Type == FetchStandalone {
			v["track_namespace"], v["track_name"] = m.Track.Namespace.Fields(), m.Track.Name
			v["start_group"], v["start_object"] = num(m.Start.Group), num(m.Start.Object)
			v["end_group"], v["end_object"] = num(m.End.Group), num(m.End.Object+1)
		} else {
			v["joining_request_id"], v["joining_start"] = num(m.JoiningID), num(m.JoiningStart)
		}
		return moqtap16Params(v, &m.Params)
	case *FetchOK:
		v := view{
			"request_id": num(m.RequestID), "end_of_track": map[bool]string{false: "0", true: "1"}[m.EndOfTrack],
			"end_group": num(m.End.Group), "end_object": num(m.End.Object + 1),
		}
		moqtap16Properties(v, "track_extensions", m.Properties)
		return moqtap16Params(v, &m.Params)
	case *PublishNamespace:
		return moqtap16Params(view{"request_id": num(m.RequestID), "track_namespace": m.Namespace.Fields()}, &m.Params)
	case *SubscribeNamespace:
		options := map[bool]string{false: "1", true: "2"}[m.Tracks]
		return moqtap16Params(view{"request_id": num(m.RequestID), "namespace_prefix": m.Prefix.Fields(), "subscribe_options": options}, &m.Params)
	case *SubscribeTracks:
		return moqtap16Params(view{"request_id": num(m.RequestID), "namespace_prefix": m.Prefix.Fields(), "subscribe_options": "0"}, &m.Params)
	case *Namespace:
		return view{"namespace_suffix": append([]string{}, m.Suffix.Fields()...)}
	case *NamespaceDone:
		return view{"namespace_suffix": append([]string{}, m.Suffix.Fields()...)}
	case *RequestOK:
		return moqtap16Params(view{"request_id": num(m.RequestID)}, &m.Params)
	case *RequestError:
		retry := uint64(0)
		if m.Retry.Set {
			retry = uint64(m.Retry.Value.Milliseconds()) + 1
		}
		return view{"request_id": num(m.RequestID), "error_code": num(uint64(m.Code)), "retry_interval": num(retry), "reason_phrase": m.Reason}
	}
	return nil
}

func moqtap16Params(m view, p *Params) view {
	v := view{}
	if p.ObjectTimeout.Set {
		v["delivery_timeout"] = millis(p.ObjectTimeout.Value)
	}
	if p.Expires.Set {
		v["expires"] = millis(p.Expires.Value)
	}
	moqtap16Tokens(v, p.Tokens)
	viewOpt(v, "largest_object", p.Largest, func(l moqt.Location) any { return view{"group": num(l.Group), "object": num(l.Object)} })
	viewOpt(v, "forward", p.Forward, func(f bool) any { return map[bool]string{false: "0", true: "1"}[f] })
	viewOpt(v, "subscriber_priority", p.Priority, func(p moqt.Priority) any { return num(p) })
	viewOpt(v, "group_order", p.Order, func(o moqt.GroupOrder) any { return num(o) })
	viewOpt(v, "new_group_request", p.NewGroup, func(n uint64) any { return num(n) })
	viewOpt(v, "subscription_filter", p.Filter, func(f moqt.Filter) any {
		kinds := map[moqt.FilterKind]string{
			moqt.FilterNextGroup: "1", moqt.FilterLargestObject: "2", moqt.FilterAbsoluteStart: "3", moqt.FilterAbsoluteRange: "4",
		}
		v := view{"filter_type": kinds[f.Kind]}
		if f.Kind == moqt.FilterAbsoluteStart || f.Kind == moqt.FilterAbsoluteRange {
			v["start_group"], v["start_object"] = num(f.Start.Group), num(f.Start.Object)
		}
		if f.Kind == moqt.FilterAbsoluteRange {
			v["end_group"] = num(f.EndGroup)
		}
		return v
	})
	m["parameters"] = v
	return m
}

func moqtap16Tokens(v view, tokens []Token) {
	for _, t := range tokens {
		e := view{"alias_type": num(uint64(t.AliasType)), "token_type": num(t.Type), "token_value": hex.EncodeToString(t.Value)}
		if t.AliasType == TokenRegister {
			e["token_alias"] = num(t.Alias)
		}
		v["authorization_token"] = e
	}
}

func moqtap16Properties(v view, key string, props moqt.Properties) {
	names := map[uint64]string{
		moqt.PropObjectDeliveryTimeout: "delivery_timeout", moqt.PropMaxCacheDuration: "max_cache_duration",
		moqt.PropDefaultPriority: "default_publisher_priority", moqt.PropPriorGroupIDGap: "prior_group_id_gap",
	}
	for _, p := range props {
		if v[key] == nil {
			v[key] = view{}
		}
		v[key].(view)[names[p.Type]] = num(p.Value)
	}
}

func moqtap16Subgroup(s *subgroupStream) view {
	h := &s.header
	v := view{"track_alias": num(h.Alias), "group_id": num(h.Group), "subgroup_id": num(h.ID)}
	if !h.DefaultPriority {
		v["publisher_priority"] = num(h.Priority)
	}
	viewFlags(v, map[string]bool{"end_of_group": h.EndOfGroup})
	objects := []any{}
	for i := range s.objects {
		o := view{"object_id": num(s.objects[i].ID), "payload_hex": hex.EncodeToString(s.payloads[i])}
		if s.objects[i].Size == 0 {
			o["status"] = num(uint64(s.objects[i].Status))
		}
		moqtap16Properties(o, "extension_headers", s.objects[i].Properties)
		objects = append(objects, o)
	}
	v["objects"] = objects
	return v
}

func moqtap16Fetch(s *fetchStream) view {
	objects := []any{}
	for i := range s.objects {
		f := &s.objects[i]
		o := view{"group_id": num(f.Group), "object_id": num(f.Object), "subgroup_id": num(f.Subgroup), "publisher_priority": num(f.Priority)}
		if f.Gap == GapNone {
			o["payload_hex"] = hex.EncodeToString(s.payloads[i])
		} else {
			o["publisher_priority"] = num(moqt.DefaultPriority) // which a gap has not
		}
		moqtap16Properties(o, "extension_headers", f.Properties)
		objects = append(objects, o)
	}
	return view{"request_id": num(s.header.RequestID), "objects": objects}
}

func moqtap16Datagram(d *Datagram) view {
	v := view{"track_alias": num(d.Alias), "group_id": num(d.Group), "object_id": num(d.Object)}
	if !d.DefaultPriority {
		v["publisher_priority"] = num(d.Priority)
	}
	if d.Status != moqt.StatusNormal {
		v["object_status"] = num(uint64(d.Status))
	} else {
		v["payload_hex"] = hex.EncodeToString(d.Payload)
	}
	viewFlags(v, map[string]bool{"end_of_group": d.EndOfGroup})
	moqtap16Properties(v, "extension_headers", d.Properties)
	return v
}
