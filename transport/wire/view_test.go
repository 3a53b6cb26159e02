package wire

import (
	"encoding/hex"
	"math"
	"strconv"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// The functions of this file write what was decoded as the vectors in testdata
// do: numbers as decimal strings, bytes as hex, names in the draft's printed
// form, and what is absent or zero by default left out.

type view = map[string]any

func num[N ~uint8 | ~uint64](n N) string { return strconv.FormatUint(uint64(n), 10) }

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func viewMessage(m Message) view {
	v := view{"message": m.Kind().String()}
	switch m := m.(type) {
	case *Setup:
		viewOpt(v, "path", m.Path, func(s string) any { return s })
		viewOpt(v, "authority", m.Authority, func(s string) any { return s })
		viewTokens(v, m.Tokens)
		if m.TokenCacheSize > 0 {
			v["token_cache_size"] = num(m.TokenCacheSize)
		}
		if m.Implementation != "" {
			v["implementation"] = m.Implementation
		}
		number := func(n uint64) any { return num(n) }
		viewOpt(v, "max_request_id", m.MaxRequestID, number)
		viewOpt(v, "max_filter_ranges", m.MaxFilterRanges, number)
		viewOpt(v, "max_request_updates", m.MaxRequestUpdates, number)
		viewFlags(v, map[string]bool{"server": m.Server})
		viewProperties(v, "unknown", m.Unknown)
	case *Goaway:
		v["uri"], v["timeout_ms"] = m.URI, millis(m.Timeout)
		viewOpt(v, "request_id", m.RequestID, func(n uint64) any { return num(n) })
	case *Subscribe:
		v["request_id"], v["track"] = num(m.RequestID), m.Track.String()
		viewParams(v, &m.Params)
	case *SubscribeOK:
		viewID(v, "request_id", m.RequestID)
		v["alias"] = num(m.Alias)
		viewParams(v, &m.Params)
		viewProperties(v, "properties", m.Properties)
	case *RequestUpdate:
		v["request_id"] = num(m.RequestID)
		viewID(v, "existing", m.Existing)
		viewParams(v, &m.Params)
	case *Publish:
		v["request_id"], v["track"], v["alias"] = num(m.RequestID), m.Track.String(), num(m.Alias)
		viewParams(v, &m.Params)
		viewProperties(v, "properties", m.Properties)
	case *PublishDone:
		viewID(v, "request_id", m.RequestID)
		v["code"], v["streams"], v["reason"] = m.Code.String(), num(m.Streams), m.Reason
		if m.Streams == UnknownStreams {
			v["streams"] = "unknown"
		}
	case *Fetch:
		v["request_id"] = num(m.RequestID)
		v["type"] = map[FetchKind]string{1: "standalone", 2: "relative_joining", 3: "absolute_joining", 4: "relative"}[m.Type]
		switch m.Type {
		case FetchStandalone:
			v["track"], v["start"], v["end"] = m.Track.String(), m.Start.String(), viewEnd(m.End)
		case FetchRelative:
			v["track"], v["filter"] = m.Track.String(), viewFilter(m.Filter)
		default:
			v["joining_id"], v["joining_start"] = num(m.JoiningID), num(m.JoiningStart)
		}
		viewParams(v, &m.Params)
	case *FetchOK:
		viewID(v, "request_id", m.RequestID)
		v["end_of_track"], v["end"] = m.EndOfTrack, viewEnd(m.End)
		viewParams(v, &m.Params)
		viewProperties(v, "properties", m.Properties)
	case *TrackStatus:
		v["request_id"], v["track"] = num(m.RequestID), m.Track.String()
		viewParams(v, &m.Params)
	case *PublishNamespace:
		v["request_id"], v["namespace"] = num(m.RequestID), m.Namespace.String()
		viewParams(v, &m.Params)
	case *SubscribeNamespace:
		v["request_id"], v["prefix"] = num(m.RequestID), m.Prefix.String()
		viewFlags(v, map[string]bool{"tracks": m.Tracks})
		viewParams(v, &m.Params)
	case *SubscribeTracks:
		v["request_id"], v["prefix"] = num(m.RequestID), m.Prefix.String()
		viewParams(v, &m.Params)
	case *Namespace:
		v["suffix"] = m.Suffix.String()
	case *NamespaceDone:
		v["suffix"] = m.Suffix.String()
	case *PublishSkipped:
		v["suffix"], v["name"] = m.Suffix.String(), m.Name
	case *RequestOK:
		viewID(v, "request_id", m.RequestID)
		viewFlags(v, map[string]bool{"publish": m.Publish})
		viewParams(v, &m.Params)
		viewProperties(v, "properties", m.Properties)
	case *RequestError:
		viewID(v, "request_id", m.RequestID)
		v["code"], v["reason"] = m.Code.String(), m.Reason
		viewOpt(v, "retry_ms", m.Retry, func(d time.Duration) any { return millis(d) })
		viewOpt(v, "redirect", m.Redirect, func(r Redirect) any { return view{"uri": r.URI, "track": r.Track.String()} })
	case *PublishStateNotify:
		viewParams(v, &m.Params)
	case *MaxRequestID:
		v["max"] = num(m.Max)
	case *RequestsBlocked:
		v["max"] = num(m.Max)
	case *Unsubscribe:
		v["request_id"] = num(m.RequestID)
	case *FetchCancel:
		v["request_id"] = num(m.RequestID)
	case *PublishNamespaceDone:
		v["request_id"] = num(m.RequestID)
	case *PublishNamespaceCancel:
		v["request_id"], v["code"], v["reason"] = num(m.RequestID), m.Code.String(), m.Reason
	}
	return v
}

// viewID writes an id that only some drafts have, and that is 0 in others.
func viewID(v view, key string, id uint64) {
	if id != 0 {
		v[key] = num(id)
	}
}

func viewOpt[T any](v view, key string, o Opt[T], value func(T) any) {
	if o.Set {
		v[key] = value(o.Value)
	}
}

func viewEnd(l moqt.Location) string {
	if l.Object == moqt.WholeGroup {
		return num(l.Group) + "/all"
	}
	return l.String()
}

func viewTokens(v view, tokens []Token) {
	var list []any
	for _, t := range tokens {
		e := view{"alias_type": num(uint64(t.AliasType))}
		if t.AliasType != TokenUseValue {
			e["alias"] = num(t.Alias)
		}
		if t.AliasType == TokenRegister || t.AliasType == TokenUseValue {
			e["type"], e["value"] = num(t.Type), hex.EncodeToString(t.Value)
		}
		list = append(list, e)
	}
	if list != nil {
		v["tokens"] = list
	}
}

func viewProperties(v view, key string, props moqt.Properties) {
	var list []any
	for _, p := range props {
		e := view{"type": num(p.Type)}
		if p.Type%2 == 0 {
			e["value"] = num(p.Value)
		} else {
			e["bytes"] = hex.EncodeToString(p.Bytes)
		}
		list = append(list, e)
	}
	if list != nil {
		v[key] = list
	}
}

func viewParams(message view, p *Params) {
	v := view{}
	duration := func(d time.Duration) any { return millis(d) }
	viewOpt(v, "object_timeout_ms", p.ObjectTimeout, duration)
	viewOpt(v, "subgroup_timeout_ms", p.SubgroupTimeout, duration)
	viewTokens(v, p.Tokens)
	viewOpt(v, "rendezvous_timeout_ms", p.RendezvousTimeout, duration)
	viewOpt(v, "expires_ms", p.Expires, duration)
	viewOpt(v, "largest", p.Largest, func(l moqt.Location) any { return l.String() })
	viewOpt(v, "fill_timeout_ms", p.FillTimeout, duration)
	viewOpt(v, "forward", p.Forward, func(f bool) any { return f })
	viewOpt(v, "priority", p.Priority, func(p moqt.Priority) any { return num(p) })
	viewOpt(v, "filter", p.Filter, viewFilter)
	viewOpt(v, "order", p.Order, func(o moqt.GroupOrder) any { return []string{"default", "ascending", "descending"}[o] })
	viewOpt(v, "new_group", p.NewGroup, func(n uint64) any { return num(n) })
	viewOpt(v, "prefix", p.Prefix, func(n moqt.Namespace) any { return n.String() })
	viewOpt(v, "include_properties", p.IncludeProperties, func(f bool) any { return f })
	viewRanges(v, p.Ranges)
	viewOpt(v, "fill", p.Fill, func(f FillParameters) any {
		inner := view{}
		viewParams(inner, &Params{FillTimeout: f.Timeout, Priority: f.Priority, Filter: f.Filter, Order: f.Order, Ranges: f.Ranges})
		if inner["params"] == nil {
			return view{}
		}
		return inner["params"]
	})
	if len(v) > 0 {
		message["params"] = v
	}
}

func viewRanges(v view, filters moqt.RangeFilters) {
	var list []any
	for _, f := range filters {
		e := view{"field": f.Field.String()}
		if len(f.Ranges) > 0 {
			e["set"] = num(f.Set)
			if ofProperty(f.Field) {
				e["property"] = num(f.Property)
			}
			ranges := ""
			for _, r := range f.Ranges {
				ranges += " " + num(r.First) + "-"
				if r.Last != math.MaxUint64 {
					ranges += num(r.Last)
				}
			}
			e["ranges"] = ranges[1:]
		}
		list = append(list, e)
	}
	if list != nil {
		v["ranges"] = list
	}
}

func viewFilter(f moqt.Filter) any {
	switch f.Kind {
	case moqt.FilterLargestObject:
		return view{"kind": "largest_object"}
	case moqt.FilterNextGroup:
		return view{"kind": "next_group"}
	case moqt.FilterAbsoluteStart:
		return view{"kind": "absolute_start", "start": f.Start.String()}
	case moqt.FilterAbsoluteRange:
		return view{"kind": "absolute_range", "start": f.Start.String(), "end_group": num(f.EndGroup)}
	case moqt.FilterAbsoluteEnd:
		return view{"kind": "absolute_end", "start": f.Start.String(), "end_group": num(f.EndGroup), "end_object": num(f.EndObject)}
	case moqt.FilterRelative:
		return view{"kind": "relative", "groups": num(f.Groups)}
	}
	return view{"kind": "none"}
}

func viewSubgroup(s *subgroupStream) view {
	h := &s.header
	v := view{"alias": num(h.Alias), "group": num(h.Group), "subgroup": num(h.ID)}
	if !h.DefaultPriority {
		v["priority"] = num(h.Priority)
	}
	viewFlags(v, map[string]bool{"first": h.First, "end_of_group": h.EndOfGroup, "has_properties": h.Properties, "id_from_first": h.IDFromFirst})
	objects := []any{}
	for i := range s.objects {
		o := view{"id": num(s.objects[i].ID), "payload": hex.EncodeToString(s.payloads[i])}
		if s.objects[i].Status != moqt.StatusNormal {
			o["status"] = s.objects[i].Status.String()
		}
		viewProperties(o, "properties", s.objects[i].Properties)
		objects = append(objects, o)
	}
	v["objects"] = objects
	return v
}

func viewFetch(s *fetchStream) view {
	objects := []any{}
	for i := range s.objects {
		f := &s.objects[i]
		o := view{"location": f.Location.String()}
		if f.Gap != GapNone {
			o["gap"] = map[GapKind]string{GapNonExistent: "non-existent", GapUnknown: "unknown", GapTimedOut: "timed-out"}[f.Gap]
		} else {
			o["subgroup"], o["priority"], o["payload"] = num(f.Subgroup), num(f.Priority), hex.EncodeToString(s.payloads[i])
			viewFlags(o, map[string]bool{"datagram": f.Datagram})
			viewProperties(o, "properties", f.Properties)
		}
		objects = append(objects, o)
	}
	return view{"request_id": num(s.header.RequestID), "objects": objects}
}

func viewDatagram(d *Datagram) view {
	v := view{"alias": num(d.Alias), "location": d.Location.String(), "payload": hex.EncodeToString(d.Payload)}
	if !d.DefaultPriority {
		v["priority"] = num(d.Priority)
	}
	if d.Status != moqt.StatusNormal {
		v["status"] = d.Status.String()
	}
	viewFlags(v, map[string]bool{"end_of_group": d.EndOfGroup})
	viewProperties(v, "properties", d.Properties)
	return v
}

func viewFlags(v view, flags map[string]bool) {
	for name, set := range flags {
		if set {
			v[name] = true
		}
	}
}
