package transport

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestParseURL(t *testing.T) {
	for _, tt := range []struct {
		url  string
		want target
		err  string
	}{
		{"moqt://relay.example", target{authority: "relay.example", host: "relay.example", port: 443, url: "https://relay.example"}, ""},
		{"moqt://relay.example:4443/a/b?c=d", target{authority: "relay.example:4443", host: "relay.example", port: 4443, path: "/a/b?c=d", url: "https://relay.example:4443/a/b?c=d"}, ""},
		{"moqt://[::1]:4443/", target{authority: "[::1]:4443", host: "::1", port: 4443, path: "/", url: "https://[::1]:4443/"}, ""},
		{"moqt://relay.example?x", target{authority: "relay.example", host: "relay.example", port: 443, path: "?x", url: "https://relay.example?x"}, ""},
		{"moqt://relay.example/a%20b", target{authority: "relay.example", host: "relay.example", port: 443, path: "/a%20b", url: "https://relay.example/a%20b"}, ""},
		{"https://relay.example", target{webTransport: true, authority: "relay.example", host: "relay.example", port: 443, path: "/", url: "https://relay.example/"}, ""},
		{"https://127.0.0.1:4443/x", target{webTransport: true, authority: "127.0.0.1:4443", host: "127.0.0.1", port: 4443, path: "/x", url: "https://127.0.0.1:4443/x"}, ""},
		{"", target{}, "must begin with moqt://"},
		{"relay.example:4443", target{}, "must begin with moqt://"},
		{"http://relay.example", target{}, "must begin with moqt://"},
		{"moqt:relay.example", target{}, "has no host"},
		{"moqt://", target{}, "has no host"},
		{"moqt:///path", target{}, "has no host"},
		{"moqt://:4443", target{}, "has no host"},
		{"moqt://h:0/", target{}, "not from 1 to 65535"},
		{"moqt://h:65536/", target{}, "not from 1 to 65535"},
		{"moqt://h:port/", target{}, "not a URL: invalid port"},
		{"moqt://me:secret@h/", target{}, "user name"},
		{"moqt://h/#top", target{}, "fragment"},
		{"moqt://h/#msf:a", target{}, "fragment"},
		{"moqt://h/?q#other:what", target{authority: "h", host: "h", port: 443, path: "/?q", url: "https://h/?q"}, ""},
		{"moqt://h/p#msf:a-b--c&connection=wt", target{webTransport: true, authority: "h", host: "h", port: 443, path: "/p", url: "https://h/p"}, ""},
		{"https://h/p#msf:a-b--c&connection=q", target{authority: "h", host: "h", port: 443, path: "/p", url: "https://h/p"}, ""},
		{"moqt://h/?a b", target{}, "must be escaped"},
		{"moqt://h\x7f/", target{}, "not a URL"},
	} {
		got, err := parseURL(tt.url)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("parseURL(%q) = %+v, %v, want an error with %q", tt.url, got, err, tt.err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("parseURL(%q) = %+v, %v, want %+v", tt.url, got, err, tt.want)
		}
	}
}

func addrs(s ...string) []netip.Addr {
	var out []netip.Addr
	for _, a := range s {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func TestInterleave(t *testing.T) {
	for _, tt := range []struct{ in, want []netip.Addr }{
		{nil, nil},
		{addrs("::1", "127.0.0.1"), addrs("::1", "127.0.0.1")},
		{addrs("1.1.1.1", "1.1.1.2", "1.1.1.3", "::1"), addrs("1.1.1.1", "::1", "1.1.1.2", "1.1.1.3")},
		{addrs("::1", "::2", "::ffff:1.1.1.1"), addrs("::1", "1.1.1.1", "::2")},
		{addrs("::1", "::2", "::3", "::4", "::5", "::6", "::7", "::8", "::9"), addrs("::1", "::2", "::3", "::4", "::5", "::6", "::7", "::8")},
	} {
		if got := interleave(tt.in); fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("interleave(%v) = %v, want %v", tt.in, got, tt.want)
		}
	}
}

// An address either answers after a while, fails after a while, or never answers.
func TestDialFirst(t *testing.T) {
	type behaviour struct {
		after time.Duration // 0 is never
		fails bool
	}
	ms := time.Millisecond
	for _, tt := range []struct {
		name   string
		hosts  []behaviour
		want   int // index, or -1
		took   time.Duration
		closed int
	}{
		{"one answers", []behaviour{{after: 50 * ms}}, 0, 50 * ms, 0},
		{"the first answers in time", []behaviour{{after: 150 * ms}, {after: ms}}, 0, 150 * ms, 0},
		{"the first never answers", []behaviour{{}, {after: 10 * ms}}, 1, 210 * ms, 0},
		{"the first fails at once", []behaviour{{after: ms, fails: true}, {after: 10 * ms}}, 1, 11 * ms, 0},
		{"both begin, the first wins", []behaviour{{after: 250 * ms}, {after: 100 * ms}}, 0, 250 * ms, 0},
		{"both begin, the second wins", []behaviour{{after: 350 * ms}, {after: 100 * ms}}, 1, 300 * ms, 0},
		{"a tie", []behaviour{{after: 300 * ms}, {after: 100 * ms}}, 0, 300 * ms, 1},
		{"all fail", []behaviour{{after: ms, fails: true}, {after: ms, fails: true}, {after: ms, fails: true}}, -1, 3 * ms, 0},
		{"none answers", []behaviour{{}, {}}, -1, time.Second, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list := addrs("10.0.0.0", "10.0.0.1", "10.0.0.2")[:len(tt.hosts)]
				ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errNoAnswer)
				defer cancel()
				closed := 0
				start := time.Now()
				got, err := dialFirst(ctx, list, func(ctx context.Context, ip netip.Addr) (int, error) {
					i := int(ip.As4()[3])
					h := tt.hosts[i]
					answer := make(<-chan time.Time)
					if h.after > 0 {
						answer = time.After(h.after)
					}
					select {
					case <-answer:
						if h.fails {
							return 0, fmt.Errorf("host %d refuses", i)
						}
						return i, nil
					case <-ctx.Done():
						if tt.name == "a tie" { // too late to stop
							return i, nil
						}
						return 0, context.Cause(ctx)
					}
				}, func(int) { closed++ })
				if took := time.Since(start); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				switch {
				case tt.want >= 0 && tt.name == "a tie":
					if err != nil {
						t.Errorf("dialFirst = %v", err)
					}
				case tt.want >= 0 && (err != nil || got != tt.want):
					t.Errorf("dialFirst = %d, %v, want %d", got, err, tt.want)
				case tt.want < 0 && err == nil:
					t.Errorf("dialFirst = %d, want an error", got)
				case tt.name == "all fail":
					if want := "host 0 refuses; host 1 refuses; host 2 refuses"; err.Error() != want {
						t.Errorf("dialFirst = %v, want %q", err, want)
					}
				case tt.name == "none answers" && !errors.Is(err, errNoAnswer):
					t.Errorf("dialFirst = %v, want %v", err, errNoAnswer)
				}
				if closed != tt.closed {
					t.Errorf("closed %d connections, want %d", closed, tt.closed)
				}
			})
		})
	}
}
