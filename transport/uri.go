package transport

import (
	"net"
	"strings"
)

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

// validAuthority reports whether a is a host, with a port or without.
func validAuthority(a string) bool {
	if a == "" {
		return false
	}
	host := a
	if h, port, err := net.SplitHostPort(a); err == nil {
		for i := range len(port) {
			if port[i] < '0' || port[i] > '9' {
				return false
			}
		}
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" {
		return false
	}
	for i := range len(host) {
		c := host[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"#<>\\^`{|}/?@", c) >= 0 {
			return false
		}
	}
	return true
}
