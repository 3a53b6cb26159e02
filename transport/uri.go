package transport

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/tributary-live/tributary/transport/moqt"
)

// URI is a moqt:// or https:// URI whose fragment says what to get there ("URL
// construction and interpretation" of MSF). What is absent is zero.
type URI struct {
	// Server is what to dial, without the fragment. Its scheme is https where the
	// fragment asks for WebTransport, and moqt where it asks for QUIC.
	Server string
	// Type is that of the fragment, as "msf". The rest is of fragments of that
	// type.
	Type  string
	Track moqt.TrackName
	// Token is the c4m parameter: what an AUTHORIZATION_TOKEN of type 1 holds.
	Token []byte
	// Params are the other parameters, as they are written and in order.
	Params []URIParam
}

// URIParam is a parameter of a fragment.
type URIParam struct{ Name, Value string }

// ParseURI takes a URI apart. It fails for a fragment of type msf that cannot be
// read; those of other types are left out. Whether the server can be dialled is
// for [Dialer] to say.
func ParseURI(s string) (URI, error) {
	server, fragment, has := strings.Cut(s, "#")
	u := URI{Server: server}
	if !has {
		return u, nil
	}
	var value string
	if u.Type, value, has = strings.Cut(fragment, ":"); !has {
		return u, fmt.Errorf("the URL's fragment %q has no type, as in #msf:room-camera--catalog", fragment)
	}
	if u.Type != "msf" {
		return u, nil
	}
	track, list, some := strings.Cut(value, "&")
	var err error
	if u.Track, err = moqt.ParseTrackName(track); err != nil {
		return u, fmt.Errorf("the URL's fragment: %w", err)
	}
	for some {
		var param string
		param, list, some = strings.Cut(list, "&")
		if err := u.param(param); err != nil {
			return u, err
		}
	}
	return u, nil
}

func (u *URI) param(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return fmt.Errorf("the URL's fragment has a parameter %q, which is not NAME=VALUE", s)
	}
	switch name {
	case "connection":
		schemes := map[string]string{"q": "moqt", "wt": "https"}
		scheme, known := schemes[value]
		if !known {
			return fmt.Errorf("the URL's fragment asks for connection %q, which is neither q nor wt", value)
		}
		_, rest, ok := strings.Cut(u.Server, "://")
		if !ok {
			return errors.New("the URL has no scheme, as in moqt://relay.example:4443/")
		}
		u.Server = scheme + "://" + rest
	case "c4m":
		text := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(value), "=")
		token, err := base64.RawStdEncoding.DecodeString(text)
		if err != nil || len(token) == 0 {
			return errors.New("the URL's fragment has a c4m token that is not base64")
		}
		u.Token = token
	default:
		u.Params = append(u.Params, URIParam{name, value})
	}
	return nil
}

// validPath reports whether p is path-abempty with an optional query, as the
// PATH option wants it: empty, or from a slash on without spaces, control
// characters, quotes or a fragment, and with whole percent escapes.
func validPath(p string) bool {
	if p == "" {
		return true
	}
	if p[0] != '/' && p[0] != '?' {
		return false
	}
	for i := 0; i < len(p); i++ {
		c := p[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"#<>\\^`{|}", c) >= 0 {
			return false
		}
		if c == '%' && (i+2 >= len(p) || !isHex(p[i+1]) || !isHex(p[i+2])) {
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// validAuthority reports whether a is a host, with a port or without. There is
// no place for a user's name in it.
func validAuthority(a string) bool {
	host, port := a, ""
	if i := strings.LastIndexByte(a, ':'); i >= 0 && !strings.HasSuffix(a, "]") {
		host, port = a[:i], a[i+1:]
	}
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' {
			return false
		}
	}
	if ip, ok := strings.CutPrefix(host, "["); ok {
		ip, ok = strings.CutSuffix(ip, "]")
		return ok && net.ParseIP(ip) != nil && strings.Contains(ip, ":")
	}
	for i := range len(host) {
		c := host[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"#<>\\^`{|}/?@:[]", c) >= 0 {
			return false
		}
		if c == '%' && (i+2 >= len(host) || !isHex(host[i+1]) || !isHex(host[i+2])) {
			return false
		}
	}
	return host != ""
}
