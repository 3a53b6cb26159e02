package wire

import (
	"slices"

	"github.com/tributary-live/tributary/transport/moqt"
)

// The methods of this file tell what a session can do in a draft, for the few
// places where it has to choose another way. They are named after intents.

// Has reports whether the draft has messages of kind k.
func (p *Profile) Has(k Kind) bool {
	for i := range p.messages {
		if p.messages[i].kind == k {
			return true
		}
	}
	return false
}

// RequestStreams reports whether each request has a bidirectional stream of its
// own, whose end is the end of the request, beside a unidirectional control
// stream each way. If not, all but SUBSCRIBE_NAMESPACE share one bidirectional
// control stream that the client opens; answers carry the Request ID, new
// requests need a larger MAX_REQUEST_ID, and there are messages to end what was
// asked for.
func (p *Profile) RequestStreams() bool { return !p.controlMux }

// MaxVarint is the largest number that the draft can carry. A group or object
// with a larger id cannot be sent: methods that return an error then fail, and
// headers get this number instead.
func (p *Profile) MaxVarint() uint64 {
	if p.quicVarints {
		return maxQUICVarint
	}
	return 1<<64 - 1
}

// SeveralSubscriptions reports whether a session may have more than one
// subscription to a track at a time. If not, a second one is refused with
// DUPLICATE_SUBSCRIPTION.
func (p *Profile) SeveralSubscriptions() bool { return p.severalSubscriptions }

// UpdateCredit reports whether MAX_REQUEST_UPDATES bounds the updates that are
// not answered yet.
func (p *Profile) UpdateCredit() bool { return p.option(optionMaxRequestUpdates) != nil }

// RangeFilters reports whether requests may have [Params].Ranges, if the peer's
// MAX_FILTER_RANGES allows them.
func (p *Profile) RangeFilters() bool { return p.param(paramSubgroupFilter) != nil }

// RelativeFilters reports whether filters may start some groups back from the
// largest (FilterRelative) or end with an object (FilterAbsoluteEnd).
func (p *Profile) RelativeFilters() bool { return p.filterForm < filterTagged }

// FetchByFilter reports whether a FETCH tells its range by a filter. Then it may
// be a FetchRelative, and there are no joining fetches: see [Profile.Fill].
func (p *Profile) FetchByFilter() bool { return p.fetchByFilter }

// Fill reports whether a subscription can ask for what is there already, by
// [Params].Fill. If not, a joining FETCH does it.
func (p *Profile) Fill() bool { return p.param(paramFill) != nil }

// StateNotify reports whether a publisher tells of changes to a subscription by
// PUBLISH_STATE_NOTIFY.
func (p *Profile) StateNotify() bool { return p.Has(KindPublishStateNotify) }

// IncludeProperties reports whether a request can decline track properties.
func (p *Profile) IncludeProperties() bool { return p.param(paramIncludeProperties) != nil }

// PublishParams reports whether what a subscriber wants of a subscription
// (forward, filter, priority, timeouts) is in the answer to PUBLISH. If not, it
// follows in a REQUEST_UPDATE, and PUBLISH tells what it is to begin with.
func (p *Profile) PublishParams() bool { return p.allows(inPublishOK, paramForward) }

// PrefixUpdates reports whether the prefix of a SUBSCRIBE_NAMESPACE or
// SUBSCRIBE_TRACKS can be changed by an update.
func (p *Profile) PrefixUpdates() bool { return p.param(paramPrefix) != nil }

// Rendezvous reports whether a SUBSCRIBE can wait for a publisher, by
// RENDEZVOUS_TIMEOUT.
func (p *Profile) Rendezvous() bool { return p.param(paramRendezvousTimeout) != nil }

// Redirects reports whether a REQUEST_ERROR can send the peer elsewhere. If not,
// it is sent without that and as INTERNAL_ERROR.
func (p *Profile) Redirects() bool { return !p.noRedirect }

// RedirectKeepsTrack reports whether a redirect with an empty track means the
// one that was asked for. If not, names in it are as they are.
func (p *Profile) RedirectKeepsTrack() bool { return p.redirectKeepsTrack }

// SubgroupTimeout reports whether there is a SUBGROUP_DELIVERY_TIMEOUT beside
// that of objects.
func (p *Profile) SubgroupTimeout() bool { return p.param(paramSubgroupTimeout) != nil }

// TimeoutsOnObjects reports whether the first object of a subgroup may have
// delivery timeouts of its own, in place of the track's.
func (p *Profile) TimeoutsOnObjects() bool { return p.timeoutsOnObjects }

// GoawayRequestID reports whether GOAWAY tells the first request that was not
// processed.
func (p *Profile) GoawayRequestID() bool { return p.goawayRequestID }

// GoawayTimeout reports whether GOAWAY tells how long the sender will wait.
func (p *Profile) GoawayTimeout() bool { return !p.noGoawayTimeout }

// EmptyNamespaces reports whether a track's namespace may have no fields.
// Prefixes always may.
func (p *Profile) EmptyNamespaces() bool { return !p.namespaceNotEmpty }

// FirstObjectBit reports whether a subgroup stream tells that it starts with the
// first object of its subgroup. If not, Subgroup.First is false on every stream
// that is read.
func (p *Profile) FirstObjectBit() bool { return p.subgroupBits&subgroupFirstObject != 0 }

// StreamCodesDiffer reports whether the draft numbers stream codes in another way
// than package moqt; see [Profile.StreamNumber] and [Profile.StreamCode].
func (p *Profile) StreamCodesDiffer() bool {
	return len(p.codes.stream.lacks)+len(p.codes.stream.numbers) > 0
}

// MandatoryProperties reports whether a range of track properties is for those
// that a receiver has to understand.
func (p *Profile) MandatoryProperties() bool {
	return !slices.Contains(p.codes.request.lacks, moqt.RequestUnsupportedExtension)
}

// TrackStatusProperties reports whether the answer to TRACK_STATUS carries the
// track's properties.
func (p *Profile) TrackStatusProperties() bool { return !p.controlMux }

// Padding reports whether there are padding streams and datagrams.
func (p *Profile) Padding() bool { return p.padding }

// Grease reports whether the draft reserves numbers that mean nothing.
func (p *Profile) Grease() bool { return p.padding }

// Gap reports whether fetch streams can have gaps of kind k.
func (p *Profile) Gap(k GapKind) bool { return int(k) < len(p.gaps) }

// CheckUpdate returns a violation if m holds parameters that a REQUEST_UPDATE of
// a request of the given kind must not have. Where requests have streams,
// [Profile.ReadMessage] has seen to it; where they share one, it knows the
// request only by its id and lets pass what any update may have.
func (p *Profile) CheckUpdate(request Kind, m *RequestUpdate) error {
	for i := range p.params {
		spec := &p.params[i]
		if p.paramCount(spec, &m.Params, true) > 0 && spec.in&updatePlaces[request] == 0 {
			return violation("Message Parameter", "type 0x%x does not belong into an update of %v", spec.typ, request)
		}
	}
	return nil
}

// allows reports whether a message of place where may carry a parameter.
func (p *Profile) allows(where place, typ uint64) bool {
	spec := p.param(typ)
	return spec != nil && spec.in&where != 0
}

// Types of parameters that abilities are told by.
const (
	paramRendezvousTimeout = 0x04
	paramSubgroupTimeout   = 0x06
	paramForward           = 0x10
	paramFill              = 0x23
	paramSubgroupFilter    = 0x25
	paramPrefix            = 0x34
	paramIncludeProperties = 0x35
)
