package transport_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

func TestParseURI(t *testing.T) {
	catalog := moqt.NS("customer", "live-stream", "123").Track("catalog")
	for _, tt := range []struct {
		in   string
		want transport.URI
		err  string
	}{
		{"moqt://example.com/server/config?a=1&b=2", transport.URI{Server: "moqt://example.com/server/config?a=1&b=2"}, ""},
		{"moqt://example.com/server?a=1#msf:customer-live.2dstream-123--catalog",
			transport.URI{Server: "moqt://example.com/server?a=1", Type: "msf", Track: catalog}, ""},
		{"moqt://example.com/r#msf:customer-live.2dstream-123--catalog&connection=wt",
			transport.URI{Server: "https://example.com/r", Type: "msf", Track: catalog}, ""},
		{"https://example.com/r#msf:customer-live.2dstream-123--catalog&connection=q",
			transport.URI{Server: "moqt://example.com/r", Type: "msf", Track: catalog}, ""},
		{"moqt://h/#msf:a--b&c4m=-_8&location-range=34-64&location-range=70&x=", transport.URI{Server: "moqt://h/", Type: "msf",
			Track: moqt.NS("a").Track("b"), Token: []byte{0xfb, 0xff},
			Params: []transport.URIParam{{Name: "location-range", Value: "34-64"}, {Name: "location-range", Value: "70"}, {Name: "x"}}}, ""},
		{"moqt://h/#msf:a--b&c4m=%2B", transport.URI{}, "c4m"},
		{"moqt://h/#msf:a--b&c4m=+/8=", transport.URI{Server: "moqt://h/", Type: "msf", Track: moqt.NS("a").Track("b"), Token: []byte{0xfb, 0xff}}, ""},
		{"moqt://h/#other:anything&at=all", transport.URI{Server: "moqt://h/", Type: "other"}, ""},
		{"moqt://h/#top", transport.URI{}, `"top" has no type`},
		{"moqt://h/#", transport.URI{}, "has no type"},
		{"moqt://h/#msf:", transport.URI{}, "fragment"},
		{"moqt://h/#msf:a-b", transport.URI{}, `has no "--"`},
		{"moqt://h/#msf:a--b&", transport.URI{}, "NAME=VALUE"},
		{"moqt://h/#msf:a--b&=c", transport.URI{}, "NAME=VALUE"},
		{"moqt://h/#msf:a--b&connection=tcp", transport.URI{}, "neither q nor wt"},
		{"h#msf:a--b&connection=q", transport.URI{}, "no scheme"},
		{"moqt://h/#msf:a--b&c4m=", transport.URI{}, "c4m"},
		{"moqt://h/#msf:a.2--b", transport.URI{}, "fragment"},
	} {
		got, err := transport.ParseURI(tt.in)
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("ParseURI(%q) = %v, want an error about %q", tt.in, err, tt.err)
			}
		case err != nil || !reflect.DeepEqual(got, tt.want):
			t.Errorf("ParseURI(%q) = %+v, %v, want %+v", tt.in, got, err, tt.want)
		}
	}
}
