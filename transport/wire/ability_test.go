package wire

import (
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// abilities tells from which draft, and until which, a profile says yes.
var abilities = []struct {
	name        string
	has         func(p *Profile) bool
	from, until moqt.Version
}{
	{"RequestStreams", (*Profile).RequestStreams, 18, 22},
	{"SeveralSubscriptions", (*Profile).SeveralSubscriptions, 19, 22},
	{"UpdateCredit", (*Profile).UpdateCredit, 19, 22},
	{"RangeFilters", (*Profile).RangeFilters, 19, 22},
	{"RelativeFilters", (*Profile).RelativeFilters, 20, 22},
	{"FetchByFilter", (*Profile).FetchByFilter, 20, 22},
	{"Fill", (*Profile).Fill, 20, 22},
	{"StateNotify", (*Profile).StateNotify, 20, 22},
	{"IncludeProperties", (*Profile).IncludeProperties, 20, 22},
	{"PublishParams", (*Profile).PublishParams, 16, 19},
	{"PrefixUpdates", (*Profile).PrefixUpdates, 18, 22},
	{"Rendezvous", (*Profile).Rendezvous, 18, 22},
	{"Redirects", (*Profile).Redirects, 18, 22},
	{"RedirectKeepsTrack", (*Profile).RedirectKeepsTrack, 18, 19},
	{"SubgroupTimeout", (*Profile).SubgroupTimeout, 18, 22},
	{"TimeoutsOnObjects", (*Profile).TimeoutsOnObjects, 19, 22},
	{"GoawayRequestID", (*Profile).GoawayRequestID, 18, 18},
	{"GoawayTimeout", (*Profile).GoawayTimeout, 18, 22},
	{"EmptyNamespaces", (*Profile).EmptyNamespaces, 18, 22},
	{"FirstObjectBit", (*Profile).FirstObjectBit, 18, 22},
	{"TrackStatusProperties", (*Profile).TrackStatusProperties, 18, 22},
	{"Padding", (*Profile).Padding, 18, 22},
	{"Grease", (*Profile).Grease, 18, 22},
	{"gaps that timed out", func(p *Profile) bool { return p.Gap(GapTimedOut) }, 20, 22},
	{"unknown gaps", func(p *Profile) bool { return p.Gap(GapUnknown) }, 16, 22},
	{"integers of 64 bits", func(p *Profile) bool { return p.MaxVarint() == 1<<64-1 }, 18, 22},
	{"MAX_REQUEST_ID", func(p *Profile) bool { return p.Has(KindMaxRequestID) }, 16, 16},
	{"PUBLISH_SKIPPED", func(p *Profile) bool { return p.Has(KindPublishSkipped) }, 18, 22},
}

func TestAbilities(t *testing.T) {
	for _, p := range profiles {
		for _, a := range abilities {
			if want := a.from <= p.version && p.version <= a.until; a.has(p) != want {
				t.Errorf("%v: %s = %v, want %v", p.version, a.name, !want, want)
			}
		}
	}
}

func TestCheckUpdate(t *testing.T) {
	m := &RequestUpdate{Params: Params{Forward: Some(true)}}
	for _, p := range profiles {
		if err := p.CheckUpdate(KindSubscribe, m); err != nil {
			t.Errorf("%v: FORWARD in the update of a subscription: %v", p.version, err)
		}
		if err := p.CheckUpdate(KindFetch, m); !isViolation(err) {
			t.Errorf("%v: FORWARD in the update of a fetch: %v, want a violation", p.version, err)
		}
	}
}
