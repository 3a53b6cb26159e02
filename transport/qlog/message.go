package qlog

import (
	"strings"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

// message writes the members of an MOQTControlMessage. A message or field that
// the qlog draft does not have keeps the name of the MOQT draft, in lower case; a
// field that the spoken draft does not have is left out.
func (f *fields) message(e *ControlMessage) {
	f.str("type", typeOf(e.Message))
	// An answer says which request it is for until draft-16, then its stream does.
	answers := func(id uint64) {
		if id == 0 {
			id = e.Request
		}
		f.uint("request_id", id)
	}
	switch m := e.Message.(type) {
	case *wire.Setup:
		f.str("draft", e.Version.String())
		f.setup(m)
	case *wire.Goaway:
		f.raw("new_session_uri", len(m.URI))
		f.millis("timeout", m.Timeout)
		if m.RequestID.Set {
			f.uint("request_id", m.RequestID.Value)
		}
	case *wire.Subscribe:
		f.uint("request_id", m.RequestID)
		f.track(m.Track)
		f.params(&m.Params)
	case *wire.SubscribeOK:
		answers(m.RequestID)
		f.uint("track_alias", m.Alias)
		f.params(&m.Params)
		f.properties("track_properties", m.Properties)
	case *wire.RequestUpdate:
		f.uint("request_id", m.RequestID)
		existing := m.Existing
		if existing == 0 {
			existing = e.Request
		}
		f.uint("existing_request_id", existing)
		f.params(&m.Params)
	case *wire.Publish:
		f.uint("request_id", m.RequestID)
		f.track(m.Track)
		f.uint("track_alias", m.Alias)
		f.params(&m.Params)
		f.properties("track_properties", m.Properties)
	case *wire.PublishDone:
		answers(m.RequestID)
		f.uint("status_code", uint64(m.Code))
		f.uint("stream_count", m.Streams)
		f.text("reason", m.Reason)
	case *wire.Fetch:
		f.uint("request_id", m.RequestID)
		f.fetch(m)
		f.params(&m.Params)
	case *wire.FetchOK:
		answers(m.RequestID)
		end := uint64(0)
		if m.EndOfTrack {
			end = 1
		}
		f.uint("end_of_track", end)
		f.location("end_location", m.End)
		f.params(&m.Params)
		f.properties("track_properties", m.Properties)
	case *wire.TrackStatus:
		f.uint("request_id", m.RequestID)
		f.track(m.Track)
		f.params(&m.Params)
	case *wire.PublishNamespace:
		f.uint("request_id", m.RequestID)
		f.namespace("track_namespace", m.Namespace)
		f.params(&m.Params)
	case *wire.SubscribeNamespace:
		f.uint("request_id", m.RequestID)
		f.namespace("track_namespace_prefix", m.Prefix)
		options := "namespace"
		if m.Tracks {
			options = "both"
		}
		f.str("subscribe_options", options)
		f.params(&m.Params)
	case *wire.SubscribeTracks:
		f.uint("request_id", m.RequestID)
		f.namespace("track_namespace_prefix", m.Prefix)
		f.str("subscribe_options", "publish")
		f.params(&m.Params)
	case *wire.Namespace:
		f.namespace("track_namespace_suffix", m.Suffix)
	case *wire.NamespaceDone:
		f.namespace("track_namespace_suffix", m.Suffix)
	case *wire.PublishSkipped:
		f.namespace("track_namespace_suffix", m.Suffix)
		f.byteString("track_name", m.Name)
	case *wire.RequestOK:
		answers(m.RequestID)
		f.params(&m.Params)
		f.properties("track_properties", m.Properties)
	case *wire.RequestError:
		answers(m.RequestID)
		f.uint("error_code", uint64(m.Code))
		f.requestError(m)
	case *wire.PublishStateNotify:
		f.params(&m.Params)
	case *wire.MaxRequestID:
		f.uint("max_request_id", m.Max)
	case *wire.RequestsBlocked:
		f.uint("maximum_request_id", m.Max)
	case *wire.Unsubscribe:
		f.uint("request_id", m.RequestID)
	case *wire.FetchCancel:
		f.uint("request_id", m.RequestID)
	case *wire.PublishNamespaceDone:
		f.uint("request_id", m.RequestID)
	case *wire.PublishNamespaceCancel:
		f.uint("request_id", m.RequestID)
		f.uint("error_code", uint64(m.Code))
		f.text("reason", m.Reason)
	}
}

func typeOf(m wire.Message) string {
	if ok, is := m.(*wire.RequestOK); is && ok.Publish {
		return "publish_ok"
	}
	if m.Kind() == wire.KindPublishSkipped {
		return "publish_blocked" // its name until draft-18
	}
	return strings.ToLower(m.Kind().String())
}

// setup writes the options of SETUP.
func (f *fields) setup(m *wire.Setup) {
	f.list("setup_options", func() {
		text := func(name, v string) {
			f.object("", func() {
				f.str("name", name)
				f.text("value", v)
			})
		}
		number := func(name string, v wire.Opt[uint64]) {
			if v.Set {
				f.object("", func() {
					f.str("name", name)
					f.uint("value", v.Value)
				})
			}
		}
		if m.Authority.Set {
			text("authority", m.Authority.Value)
		}
		if m.Path.Set {
			text("path", withoutQuery(m.Path.Value))
		}
		number("max_auth_token_cache_size", wire.Opt[uint64]{Value: m.TokenCacheSize, Set: m.TokenCacheSize > 0})
		for i := range m.Tokens {
			f.authToken(&m.Tokens[i])
		}
		if m.Implementation != "" {
			text("implementation", m.Implementation)
		}
		number("max_request_id", m.MaxRequestID)
		number("max_filter_ranges", m.MaxFilterRanges)
		number("max_request_updates", m.MaxRequestUpdates)
		for i := range m.Unknown {
			o := &m.Unknown[i]
			f.object("", func() {
				f.str("name", "unknown")
				f.uint("name_bytes", o.Type)
				if o.Type%2 == 0 {
					f.uint("value", o.Value)
				} else {
					f.uint("length", uint64(len(o.Bytes)))
				}
			})
		}
	})
}

// withoutQuery cuts what follows the path: it is where tokens are put that the
// protocol has no place for.
func withoutQuery(path string) string {
	if before, query, ok := strings.Cut(path, "?"); ok && query != "" {
		return before + "?…"
	}
	return path
}

func (f *fields) fetch(m *wire.Fetch) {
	switch m.Type {
	case wire.FetchStandalone:
		f.str("fetch_type", "standalone")
		f.object("standalone_fetch", func() {
			f.track(m.Track)
			f.location("start_location", m.Start)
			f.location("end_location", m.End)
		})
	case wire.FetchRelative: // not a type of its own on the wire
		f.str("fetch_type", "standalone")
		f.object("standalone_fetch", func() {
			f.track(m.Track)
			f.filter("location_filter", m.Filter)
		})
	case wire.FetchRelativeJoining, wire.FetchAbsoluteJoining:
		kind := "absolute_joining"
		if m.Type == wire.FetchRelativeJoining {
			kind = "relative_joining"
		}
		f.str("fetch_type", kind)
		f.object("joining_fetch", func() {
			f.uint("joining_request_id", m.JoiningID)
			f.uint("joining_start", m.JoiningStart)
		})
	}
}

func (f *fields) requestError(m *wire.RequestError) {
	// On the wire 0 is "do not repeat", and else the time + 1.
	retry := uint64(0)
	if m.Retry.Set {
		retry = uint64(m.Retry.Value.Milliseconds()) + 1
	}
	f.uint("retry_interval", retry)
	f.text("reason", m.Reason)
	if m.Redirect.Set {
		f.object("redirect", func() {
			f.raw("new_session_uri", len(m.Redirect.Value.URI))
			if m.Redirect.Value.Track != (moqt.TrackName{}) {
				f.track(m.Redirect.Value.Track)
			}
		})
	}
}

func (f *fields) millis(k string, d time.Duration) { f.uint(k, uint64(d.Milliseconds())) }
