package rtmp

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

// URL is where a stream is published. Whoever has the key publishes in its
// owner's name, so no method but [Dial] lets it out.
type URL struct {
	secure bool
	host   string // host:port
	app    string // path up to the key, as written
	key    string // last element of the path, and the query
}

var errURL = errors.New("want rtmp://HOST/APP/KEY or rtmps://HOST/APP/KEY")

// ParseURL reads rtmp://host[:port]/app/key, or rtmps for RTMP in TLS. The key is
// the last element of the path, with the query if there is one; it goes to the
// server as it is written. No error holds any of the text.
func ParseURL(s string) (*URL, error) {
	p, err := url.Parse(s)
	if err != nil || p.Opaque != "" || p.Fragment != "" {
		return nil, errURL // and not err, which has the URL in it
	}
	u := &URL{}
	port := "1935"
	switch p.Scheme {
	case "rtmp":
	case "rtmps":
		u.secure, port = true, "443"
	default:
		return nil, errURL
	}
	if p.User != nil {
		return nil, errors.New("a user and password in the URL are not supported: take a stream key, rtmp://HOST/APP/KEY")
	}
	if p.Port() != "" {
		port = p.Port()
	}
	path := strings.TrimPrefix(p.EscapedPath(), "/")
	at := strings.LastIndexByte(path, '/')
	if p.Hostname() == "" || at < 1 || at == len(path)-1 {
		return nil, errURL
	}
	u.host = net.JoinHostPort(p.Hostname(), port)
	u.app, u.key = path[:at], path[at+1:]
	if p.RawQuery != "" {
		u.key += "?" + p.RawQuery
	}
	if len(u.app) > maxText || len(u.key) > maxText {
		return nil, errors.New("the app or the key is longer than any server takes")
	}
	return u, nil
}

// maxText is how long a string of AMF0 may be here; the format ends at 64 KiB.
const maxText = 4096

// String returns the URL without its key.
func (u *URL) String() string { return u.server() + "/***" }

// GoString keeps the key out of what %#v prints.
func (u *URL) GoString() string { return u.String() }

// Local reports whether the server is this machine, by a name or address that
// cannot be another.
func (u *URL) Local() bool {
	host, _, _ := net.SplitHostPort(u.host)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// server returns the URL up to the key, which RTMP calls tcUrl.
func (u *URL) server() string {
	scheme, standard := "rtmp", ":1935"
	if u.secure {
		scheme, standard = "rtmps", ":443"
	}
	return scheme + "://" + strings.TrimSuffix(u.host, standard) + "/" + u.app
}

// hide takes the key out of a text that came from the server, which may tell it
// as it was sent or in parts. Where the key is too short to be told from a word,
// nothing is left.
func (u *URL) hide(text string) string {
	key, query, _ := strings.Cut(u.key, "?")
	secrets := []string{u.key, key, query}
	for v := range strings.SplitSeq(query, "&") {
		if _, v, _ = strings.Cut(v, "="); len(v) >= 8 { // what is shorter is a switch
			secrets = append(secrets, v)
		}
	}
	for _, secret := range secrets {
		plain, err := url.PathUnescape(secret)
		if err != nil {
			plain = secret
		}
		for _, s := range []string{secret, plain} {
			switch {
			case s == "":
			case len(s) < 4:
				return "***"
			default:
				text = strings.ReplaceAll(text, s, "***")
			}
		}
	}
	return text
}
