package wire

import (
	"maps"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

func TestSupport(t *testing.T) {
	const newest = moqt.Draft22
	all := func(n uint64, from, until moqt.Version) map[moqt.Version]uint64 {
		m := make(map[moqt.Version]uint64)
		for _, p := range profiles {
			if from <= p.version && p.version <= until {
				m[p.version] = n
			}
		}
		return m
	}
	merge := func(a, b map[moqt.Version]uint64) map[moqt.Version]uint64 { maps.Copy(a, b); return a }
	want := map[[2]string]map[moqt.Version]uint64{
		{"message", "CLIENT_SETUP"}:           {16: 0x20},
		{"message", "SERVER_SETUP"}:           {16: 0x21},
		{"message", "SETUP"}:                  all(0x2F00, 18, newest),
		{"message", "SUBSCRIBE"}:              all(0x03, 16, newest),
		{"message", "PUBLISH_OK"}:             all(0x1E, 16, 18),
		{"message", "PUBLISH_STATE_NOTIFY"}:   all(0x22, 20, newest),
		{"message", "SUBSCRIBE_NAMESPACE"}:    merge(all(0x50, 18, newest), all(0x11, 16, 16)),
		{"message", "SUBSCRIBE_TRACKS"}:       all(0x51, 18, newest),
		{"parameter", "LOCATION_FILTER"}:      all(0x21, 16, newest),
		{"parameter", "FILL_PARAMETERS"}:      all(0x23, 20, newest),
		{"parameter", "PRIORITY_FILTER"}:      all(0x27, 19, newest),
		{"setup option", "PATH"}:              all(0x01, 16, newest),
		{"setup option", "MAX_REQUEST_ID"}:    {16: 0x02},
		{"setup option", "MAX_FILTER_RANGES"}: all(0x06, 19, newest),
		{"gap", "End of Timed-Out Range"}:     all(0x20C, 20, newest),
		{"done code", "EXPIRED"}:              merge(all(0x6, 18, newest), all(0x5, 16, 16)),
		{"request code", "REDIRECT"}:          all(0x34, 18, newest),
		{"session code", "TOO_MANY_REQUESTS"}: {16: 0x7},
		{"stream code", "CANCELLED"}:          all(0x1, 16, newest),
	}
	groups := make(map[string]int)
	for _, f := range Support() {
		groups[f.Group]++
		if f.Name == "" || len(f.Numbers) == 0 {
			t.Errorf("%s of numbers %v has no name", f.Group, f.Numbers)
		}
		key := [2]string{f.Group, f.Name}
		if numbers, ok := want[key]; ok && !maps.Equal(f.Numbers, numbers) {
			t.Errorf("%s %s: %v, want %v", f.Group, f.Name, f.Numbers, numbers)
		}
		delete(want, key)
	}
	for key := range want {
		t.Errorf("there is no %s %s", key[0], key[1])
	}
	for group, n := range map[string]int{
		"message": 28, "parameter": len(paramNames), "setup option": len(optionNames), "gap": len(gapNames),
		"session code": len(moqt.SessionCodes()), "request code": len(moqt.RequestCodes()),
		"done code": len(moqt.DoneCodes()), "stream code": len(moqt.StreamCodes()),
	} {
		if groups[group] != n {
			t.Errorf("%d features of group %s, want %d", groups[group], group, n)
		}
	}
}
