package moqt

import "slices"

// contains reports whether v is in one of the ranges.
func (f *RangeFilter) contains(v uint64) bool {
	return slices.ContainsFunc(f.Ranges, func(r Range) bool { return r.First <= v && v <= r.Last })
}

// passes reports whether o has a number of its own in one of the ranges. An
// object without such a number does not.
func (f *RangeFilter) passes(o *Object) bool {
	switch f.Field {
	case RangeSubgroup:
		return !o.Datagram && f.contains(o.Subgroup)
	case RangeObjectID:
		return f.contains(o.Object)
	case RangePriority:
		return f.contains(uint64(o.Priority))
	case RangeObjectProperty:
		return f.containsAny(o.Properties)
	}
	return false
}

// containsAny reports whether one of the properties of the filter's type is in
// one of the ranges.
func (f *RangeFilter) containsAny(p Properties) bool {
	return slices.ContainsFunc(p, func(p Property) bool { return p.Type == f.Property && f.contains(p.Value) })
}

// Match reports whether o passes: there are no filters of objects, or all of one
// set let it pass. Filters of tracks do not count. ("Range Filters")
func (fs RangeFilters) Match(o *Object) bool {
	if len(fs) == 0 {
		return true
	}
	var refused, there [256]bool
	any := false
	for i := range fs {
		f := &fs[i]
		if f.Field == RangeTrackProperty || len(f.Ranges) == 0 {
			continue
		}
		any, there[f.Set] = true, true
		if !refused[f.Set] && !f.passes(o) {
			refused[f.Set] = true
		}
	}
	if !any {
		return true
	}
	for set, is := range there {
		if is && !refused[set] {
			return true
		}
	}
	return false
}

// Track reports whether a track with the given properties passes, and returns
// the filters that its objects then have to pass: those of the sets that let the
// track pass.
func (fs RangeFilters) Track(p Properties) (objects RangeFilters, ok bool) {
	var refused, there, narrow [256]bool
	for i := range fs {
		f := &fs[i]
		if len(f.Ranges) == 0 {
			continue
		}
		there[f.Set] = true
		if f.Field != RangeTrackProperty {
			narrow[f.Set] = true
		} else if !f.containsAny(p) {
			refused[f.Set] = true
		}
	}
	any := false
	for set, is := range there {
		if !is {
			continue
		}
		any = true
		if !refused[set] && !narrow[set] {
			return nil, true // a set that asks for nothing of the objects
		}
		ok = ok || !refused[set]
	}
	if !any {
		return nil, true
	}
	for _, f := range fs {
		if f.Field != RangeTrackProperty && len(f.Ranges) > 0 && !refused[f.Set] {
			objects = append(objects, f)
		}
	}
	return objects, ok
}

// Update returns the filters after an update: those of a field that the update
// names are replaced by the ones it has. Neither fs nor update is changed.
func (fs RangeFilters) Update(update RangeFilters) RangeFilters {
	if len(update) == 0 {
		return fs
	}
	var after RangeFilters
	for _, f := range fs {
		if !slices.ContainsFunc(update, func(u RangeFilter) bool { return u.Field == f.Field }) {
			after = append(after, f)
		}
	}
	for _, u := range update {
		if len(u.Ranges) > 0 {
			after = append(after, u)
		}
	}
	return after
}
