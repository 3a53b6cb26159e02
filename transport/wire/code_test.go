package wire

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// codeDrafts tells for the codes that are not in all drafts, or not always with
// the same number, which number they have where.
var codeDrafts = map[string]map[moqt.Version]uint64{
	"session TOO_MANY_REQUESTS":          {16: 0x7},
	"session VERSION_NEGOTIATION_FAILED": {16: 0x15, 18: 0x15, 19: 0x15},
	"session TOO_MANY_REQUEST_UPDATES":   {19: 0x1B, 20: 0x1B, 21: 0x1B, 22: 0x1B},
	"request GOING_AWAY":                 {18: 0x6, 19: 0x6, 20: 0x6, 21: 0x6, 22: 0x6},
	"request EXCESSIVE_LOAD":             {18: 0x9, 19: 0x9, 20: 0x9, 21: 0x9, 22: 0x9},
	"request DUPLICATE_SUBSCRIPTION":     {16: 0x19, 18: 0x19},
	"request NAMESPACE_TOO_LARGE":        {18: 0x31, 19: 0x31, 20: 0x31, 21: 0x31, 22: 0x31},
	"request INVALID_JOINING_REQUEST_ID": {16: 0x32, 18: 0x32, 19: 0x32},
	"request UNSUPPORTED_EXTENSION":      {18: 0x33, 19: 0x33, 20: 0x33, 21: 0x33, 22: 0x33},
	"request REDIRECT":                   {18: 0x34, 19: 0x34, 20: 0x34, 21: 0x34, 22: 0x34},
	"request CONFLICTING_FILTERS":        {19: 0x35, 20: 0x35, 21: 0x35, 22: 0x35},
	"request INVALID_FILTER":             {19: 0x36, 20: 0x36, 21: 0x36, 22: 0x36},
	"done SUBSCRIPTION_ENDED":            {16: 0x3, 18: 0x3, 19: 0x3},
	"done TOO_FAR_BEHIND":                {16: 0x6, 18: 0x5, 19: 0x5, 20: 0x5, 21: 0x5, 22: 0x5},
	"done EXPIRED":                       {16: 0x5, 18: 0x6, 19: 0x6, 20: 0x6, 21: 0x6, 22: 0x6},
	"done EXCESSIVE_LOAD":                {18: 0x9, 19: 0x9, 20: 0x9, 21: 0x9, 22: 0x9},
	"stream GOING_AWAY":                  {18: 0x4, 19: 0x4, 20: 0x4, 21: 0x4, 22: 0x4},
	"stream TOO_FAR_BEHIND":              {18: 0x5, 19: 0x5, 20: 0x5, 21: 0x5, 22: 0x5},
	"stream UNKNOWN_OBJECT_STATUS":       {16: 0x4, 18: 0x6, 19: 0x6, 20: 0x6, 21: 0x6, 22: 0x6},
	"stream EXPIRED_AUTH_TOKEN":          {18: 0x7, 19: 0x7, 20: 0x7, 21: 0x7, 22: 0x7},
	"stream EXCESSIVE_LOAD":              {18: 0x9, 19: 0x9, 20: 0x9, 21: 0x9, 22: 0x9},
}

func TestCodes(t *testing.T) {
	seen := make(map[string]bool)
	for _, p := range profiles {
		checkCodes(t, p, seen, "session", &p.codes.session, moqt.SessionCodes(), moqt.SessionInternalError)
		checkCodes(t, p, seen, "request", &p.codes.request, moqt.RequestCodes(), moqt.RequestInternalError)
		checkCodes(t, p, seen, "done", &p.codes.done, moqt.DoneCodes(), moqt.DoneInternalError)
		checkCodes(t, p, seen, "stream", &p.codes.stream, moqt.StreamCodes(), moqt.StreamInternalError)
	}
	for name := range codeDrafts {
		if !seen[name] {
			t.Errorf("there is no code %q", name)
		}
	}
}

func checkCodes[C interface {
	~uint64
	fmt.Stringer
}](t *testing.T, p *Profile, seen map[string]bool, space string, table *codeTable[C], codes []C, internal C) {
	numbers := make(map[uint64]C)
	for _, c := range codes {
		name := space + " " + c.String()
		seen[name] = true
		want, ok := uint64(c), true
		if drafts, special := codeDrafts[name]; special {
			want, ok = drafts[p.version]
		}
		if !ok {
			want = uint64(internal)
		} else {
			numbers[want] = c
		}
		if got := table.number(c, internal); got != want {
			t.Errorf("%v: number of %s = 0x%x, want 0x%x", p.version, name, got, want)
		}
	}
	for n := range uint64(0x200) {
		want, ok := numbers[n]
		if !ok {
			// A number that is no code in any draft is kept for logs.
			if want = C(n); slices.Contains(codes, want) {
				want = internal
			}
		}
		if got := table.code(n, internal); got != want {
			t.Errorf("%v: %s code of 0x%x = %v, want %v", p.version, space, n, got, want)
		}
	}
}

func TestCodeMethods(t *testing.T) {
	p := &draft19
	if got := p.SessionNumber(moqt.SessionTooManyRequests); got != uint64(moqt.SessionInternalError) {
		t.Errorf("SessionNumber = %d", got)
	}
	if got := p.SessionCode(0x1B); got != moqt.SessionTooManyRequestUpdates {
		t.Errorf("SessionCode = %v", got)
	}
	if got := p.StreamNumber(moqt.StreamGoingAway); got != 4 {
		t.Errorf("StreamNumber = %d", got)
	}
	if got := p.StreamCode(4); got != moqt.StreamGoingAway {
		t.Errorf("StreamCode = %v", got)
	}
}
