package qlog

import (
	"strings"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// params writes number_of_parameters and, if there are any, parameters.
func (f *fields) params(p *wire.Params) {
	list := paramsOf(p)
	f.uint("number_of_parameters", uint64(len(list)))
	if len(list) == 0 {
		return
	}
	f.list("parameters", func() {
		for _, write := range list {
			write(f)
		}
	})
}

// paramsOf returns what writes each parameter that is set.
func paramsOf(p *wire.Params) (list []func(*fields)) {
	add := func(set bool, name string, value func(f *fields)) {
		if set {
			list = append(list, func(f *fields) {
				f.object("", func() {
					f.str("name", name)
					value(f)
				})
			})
		}
	}
	number := func(set bool, name string, v uint64) {
		add(set, name, func(f *fields) { f.uint("value", v) })
	}
	duration := func(name string, v wire.Opt[time.Duration]) {
		number(v.Set, name, uint64(v.Value.Milliseconds()))
	}
	flag := func(name string, v wire.Opt[bool]) {
		n := uint64(0)
		if v.Value {
			n = 1
		}
		number(v.Set, name, n)
	}
	filter := func(name string, v wire.Opt[moqt.Filter]) {
		add(v.Set, name, func(f *fields) { f.filter("value", v.Value) })
	}
	ranges := func(filters moqt.RangeFilters) {
		for i := range filters {
			r := &filters[i]
			add(true, strings.ToLower(r.Field.String()), func(f *fields) { f.rangeFilter(r) })
		}
	}
	for i := range p.Tokens {
		list = append(list, func(f *fields) { f.authToken(&p.Tokens[i]) })
	}
	duration("delivery_timeout", p.ObjectTimeout)
	duration("subgroup_delivery_timeout", p.SubgroupTimeout)
	duration("rendezvous_timeout", p.RendezvousTimeout)
	duration("expires", p.Expires)
	duration("fill_timeout", p.FillTimeout)
	number(p.Priority.Set, "subscriber_priority", uint64(p.Priority.Value))
	number(p.Order.Set, "group_order", uint64(p.Order.Value))
	filter("subscription_filter", p.Filter)
	ranges(p.Ranges)
	add(p.Largest.Set, "largest_object", func(f *fields) { f.location("value", p.Largest.Value) })
	flag("forward", p.Forward)
	number(p.NewGroup.Set, "new_group_request", p.NewGroup.Value)
	flag("include_properties", p.IncludeProperties)
	add(p.Prefix.Set, "track_namespace_prefix", func(f *fields) { f.namespace("value", p.Prefix.Value) })
	if fill := &p.Fill.Value; p.Fill.Set {
		inner := paramsOf(&wire.Params{FillTimeout: fill.Timeout, Priority: fill.Priority, Filter: fill.Filter, Order: fill.Order, Ranges: fill.Ranges})
		add(true, "fill_parameters", func(f *fields) {
			f.list("value", func() {
				for _, write := range inner {
					write(f)
				}
			})
		})
	}
	return list
}

// authToken writes an authorization token as parameter or setup option, and of
// its value only the length.
func (f *fields) authToken(t *wire.Token) {
	f.object("", func() {
		f.str("name", "authorization_token")
		f.str("alias_type", [...]string{"delete", "register", "use_alias", "use_value"}[t.AliasType&3])
		if t.AliasType != wire.TokenUseValue {
			f.uint("token_alias", t.Alias)
		}
		if t.AliasType == wire.TokenRegister || t.AliasType == wire.TokenUseValue {
			f.uint("token_type", t.Type)
			f.raw("token_value", len(t.Value))
		}
	})
}

// filterTypes are the numbers of draft-18. What came later has none.
var filterTypes = map[moqt.FilterKind]uint64{
	moqt.FilterNextGroup: 1, moqt.FilterLargestObject: 2, moqt.FilterAbsoluteStart: 3, moqt.FilterAbsoluteRange: 4,
}

// filter writes an MOQTSubscriptionFilter.
func (f *fields) filter(k string, v moqt.Filter) {
	f.object(k, func() {
		if typ, ok := filterTypes[v.Kind]; ok {
			f.uint("filter_type", typ)
		}
		switch v.Kind {
		case moqt.FilterNone:
			f.str("filter", "none")
		case moqt.FilterRelative:
			f.uint("groups", v.Groups)
		case moqt.FilterAbsoluteStart, moqt.FilterAbsoluteRange, moqt.FilterAbsoluteEnd:
			f.location("start_location", v.Start)
		}
		if v.Kind == moqt.FilterAbsoluteRange || v.Kind == moqt.FilterAbsoluteEnd {
			f.uint("end_group_delta", v.EndGroup-v.Start.Group)
		}
		if v.Kind == moqt.FilterAbsoluteEnd {
			f.uint("end_object", v.EndObject)
		}
	})
}

func (f *fields) rangeFilter(r *moqt.RangeFilter) {
	f.uint("set", uint64(r.Set))
	if r.Field == moqt.RangeObjectProperty || r.Field == moqt.RangeTrackProperty {
		f.uint("property", r.Property)
	}
	f.list("value", func() {
		for _, one := range r.Ranges {
			f.object("", func() {
				f.uint("first", one.First)
				f.uint("last", one.Last)
			})
		}
	})
}
