package wire

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Feature is something that has a number in some drafts.
type Feature struct {
	Group   string                  // "message", "parameter", "setup option", "gap", or one of "session code", "request code", "done code", "stream code"
	Name    string                  // in the newest draft that has it
	Numbers map[moqt.Version]uint64 // by the drafts that have it
}

// paramNames and optionNames are the newest names of types, which mean the same
// in all drafts that have them.
var (
	paramNames = map[uint64]string{
		0x02: "OBJECT_DELIVERY_TIMEOUT", 0x03: "AUTHORIZATION_TOKEN", 0x04: "RENDEZVOUS_TIMEOUT", 0x06: "SUBGROUP_DELIVERY_TIMEOUT",
		0x08: "EXPIRES", 0x09: "LARGEST_OBJECT", 0x0A: "FILL_TIMEOUT", 0x10: "FORWARD", 0x20: "SUBSCRIBER_PRIORITY",
		0x21: "LOCATION_FILTER", 0x22: "GROUP_ORDER", 0x23: "FILL_PARAMETERS", 0x25: "SUBGROUP_FILTER", 0x26: "OBJECTID_FILTER",
		0x27: "PRIORITY_FILTER", 0x28: "OBJECT_PROPERTY_FILTER", 0x29: "TRACK_PROPERTY_FILTER", 0x32: "NEW_GROUP_REQUEST",
		0x34: "TRACK_NAMESPACE_PREFIX", 0x35: "INCLUDE_PROPERTIES",
	}
	optionNames = map[uint64]string{
		optionPath: "PATH", optionMaxRequestID: "MAX_REQUEST_ID", optionToken: "AUTHORIZATION_TOKEN",
		optionTokenCacheSize: "MAX_AUTH_TOKEN_CACHE_SIZE", optionAuthority: "AUTHORITY", optionMaxFilterRanges: "MAX_FILTER_RANGES",
		optionImplementation: "MOQT_IMPLEMENTATION", optionMaxRequestUpdates: "MAX_REQUEST_UPDATES",
	}
	gapNames = map[GapKind]string{
		GapNonExistent: "End of Non-Existent Range", GapUnknown: "End of Unknown Range", GapTimedOut: "End of Timed-Out Range",
	}
)

// Support lists what the codec knows of each draft, also of those that
// [ProfileFor] does not return: messages, parameters, setup options, gaps of
// fetch streams and codes, in order of group and number. It is what a table of
// the drafts can be checked against.
func Support() []Feature {
	s := make(support)
	for _, p := range profiles {
		for _, c := range p.messages {
			s.add("message", c.name(p), p, c.typ)
		}
		for _, spec := range p.params {
			s.add("parameter", paramNames[spec.typ], p, spec.typ)
		}
		for typ, name := range optionNames {
			if p.knowsOption(typ) {
				s.add("setup option", name, p, typ)
			}
		}
		for kind, n := range p.gaps {
			if kind != int(GapNone) {
				s.add("gap", gapNames[GapKind(kind)], p, n)
			}
		}
		addCodes(s, "session code", p, &p.codes.session, moqt.SessionCodes())
		addCodes(s, "request code", p, &p.codes.request, moqt.RequestCodes())
		addCodes(s, "done code", p, &p.codes.done, moqt.DoneCodes())
		addCodes(s, "stream code", p, &p.codes.stream, moqt.StreamCodes())
	}
	var features []Feature
	for _, f := range s {
		features = append(features, *f)
	}
	slices.SortFunc(features, func(a, b Feature) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.number(), b.number()), cmp.Compare(a.Name, b.Name))
	})
	return features
}

// number is the number in the newest draft that has f.
func (f *Feature) number() uint64 {
	newest := moqt.Version(0)
	for v := range f.Numbers {
		newest = max(newest, v)
	}
	return f.Numbers[newest]
}

type support map[[2]string]*Feature

func (s support) add(group, name string, p *Profile, n uint64) {
	f := s[[2]string{group, name}]
	if f == nil {
		f = &Feature{Group: group, Name: name, Numbers: make(map[moqt.Version]uint64)}
		s[[2]string{group, name}] = f
	}
	f.Numbers[p.version] = n
}

// name is the draft's name of a message type, which is not that of its kind
// where a kind has several.
func (c *messageCodec) name(p *Profile) string {
	switch {
	case c.kind == KindSetup && p.controlMux && c.typ == 0x20:
		return "CLIENT_SETUP"
	case c.kind == KindSetup && p.controlMux:
		return "SERVER_SETUP"
	case c.kind == KindRequestOK && c.typ == 0x1E:
		return "PUBLISH_OK"
	case c.kind == KindSubscribeTracks && c.decode == nil:
		return KindSubscribeNamespace.String()
	}
	return c.kind.String()
}

func addCodes[C interface {
	~uint64
	fmt.Stringer
}](s support, group string, p *Profile, t *codeTable[C], codes []C) {
	for _, c := range codes {
		if !slices.Contains(t.lacks, c) {
			s.add(group, c.String(), p, t.number(c, 0))
		}
	}
}
