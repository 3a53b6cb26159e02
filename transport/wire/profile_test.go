package wire

import (
	"slices"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// The tables of a profile are written by hand; these are the mistakes one
// makes there.
func TestProfileTables(t *testing.T) {
	for _, p := range spoken {
		if got, ok := ProfileFor(p.version); got != p || !ok {
			t.Errorf("ProfileFor(%v) = %p, %v, want %p", p.version, got, ok, p)
		}
	}
	for _, p := range profiles {
		types := make(map[uint64]bool)
		for _, c := range p.messages {
			if types[c.typ] != (c.decode == nil) {
				t.Errorf("%v: message type 0x%x is read by none, or by two", p.version, c.typ)
			}
			types[c.typ] = true
			if (c.encode == nil) != (c.answers != KindNone) {
				t.Errorf("%v: message type 0x%x lacks a function, or has one too many", p.version, c.typ)
			}
		}
		if !slices.IsSortedFunc(p.params, func(a, b paramSpec) int { return int(a.typ) - int(b.typ) }) {
			t.Errorf("%v: parameters are not in order", p.version)
		}
		fields := make(map[any]uint64)
		params := new(Params)
		for _, spec := range p.params {
			field := spec.field(params)
			if field == any(&params.Ranges) {
				field = spec.ranges // the entries of one field are of several types
			}
			if other, ok := fields[field]; ok {
				t.Errorf("%v: parameters 0x%x and 0x%x share a field", p.version, other, spec.typ)
			}
			fields[field] = spec.typ
			if spec.in == 0 {
				t.Errorf("%v: parameter 0x%x is allowed nowhere", p.version, spec.typ)
			}
		}
	}
	if p, ok := ProfileFor(moqt.Version(1)); ok {
		t.Errorf("ProfileFor(1) = %v, want none", p.version)
	}
}

func TestKindString(t *testing.T) {
	for k, want := range map[Kind]string{
		KindSetup: "SETUP", KindRequestError: "REQUEST_ERROR", KindRequestError + 1: "message kind 19",
		KindPublishStateNotify: "PUBLISH_STATE_NOTIFY", kindEnd - 1: "PUBLISH_NAMESPACE_CANCEL", kindEnd: "message kind 39", 200: "message kind 200",
	} {
		if got := k.String(); got != want {
			t.Errorf("Kind(%d) = %q, want %q", uint8(k), got, want)
		}
	}
}

func TestOpt(t *testing.T) {
	if got := Some(3).Or(4); got != 3 {
		t.Errorf("Some(3).Or(4) = %d", got)
	}
	if got := (Opt[int]{}).Or(4); got != 4 {
		t.Errorf("unset.Or(4) = %d", got)
	}
}
