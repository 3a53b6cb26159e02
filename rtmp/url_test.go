package rtmp

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for _, tt := range []struct {
		in, host, app, key, shown string
		secure, local             bool
	}{
		{in: "rtmp://a.example/live2/abcd-efgh", host: "a.example:1935", app: "live2", key: "abcd-efgh", shown: "rtmp://a.example/live2/***"},
		{in: "rtmps://b.example:443/rtmp/FB-1-2?s_bl=1&a=AbTk", host: "b.example:443", app: "rtmp", key: "FB-1-2?s_bl=1&a=AbTk", shown: "rtmps://b.example/rtmp/***", secure: true},
		{in: "rtmps://c.example/app/k", host: "c.example:443", app: "app", key: "k", shown: "rtmps://c.example/app/***", secure: true},
		{in: "rtmp://c.example:1936/app/inst/k%2F1", host: "c.example:1936", app: "app/inst", key: "k%2F1", shown: "rtmp://c.example:1936/app/inst/***"},
		{in: "rtmp://[::1]/app/k", host: "[::1]:1935", app: "app", key: "k", shown: "rtmp://[::1]/app/***", local: true},
		{in: "RTMP://localhost/app/k", host: "localhost:1935", app: "app", key: "k", shown: "rtmp://localhost/app/***", local: true},
	} {
		u, err := ParseURL(tt.in)
		if err != nil {
			t.Errorf("ParseURL(%q) = %v", tt.in, err)
			continue
		}
		if u.host != tt.host || u.app != tt.app || u.key != tt.key || u.secure != tt.secure || u.Local() != tt.local {
			t.Errorf("ParseURL(%q) = %q %q %q secure %v local %v", tt.in, u.host, u.app, u.key, u.secure, u.Local())
		}
		for _, verb := range []string{"%v", "%s", "%#v"} {
			if got := fmt.Sprintf(verb, u); got != tt.shown {
				t.Errorf("%s of %q is %q, want %q", verb, tt.in, got, tt.shown)
			}
		}
	}
}

// What is wrong with a URL is told without it: there may be a key in it all the
// same.
func TestBadURL(t *testing.T) {
	for _, in := range []string{
		"", "secretkey", "http://h/app/secretkey", "rtmp:secretkey", "rtmp://h/secretkey", "rtmp:///app/secretkey", "rtmp://h//secretkey",
		"rtmp://h/secretkey/", "rtmp://h/app/secretkey#x", "rtmp://h:secretkey/app/k", "rtmp://h/app/secretkey%zz", "rtmp://h/app/\x00secretkey",
		"rtmp://user:secretkey@h/app/k", "rtmp://h/app/secretkey" + strings.Repeat("x", maxText), "rtmp://:1935/app/secretkey", "rtmpt://h/app/secretkey",
	} {
		u, err := ParseURL(in)
		if err == nil {
			t.Errorf("ParseURL(%.40q) = %v, want an error", in, u)
		} else if strings.Contains(err.Error(), "secretkey") {
			t.Errorf("ParseURL(%.40q): the error has the key in it: %v", in, err)
		}
	}
}

func TestHide(t *testing.T) {
	for _, tt := range []struct{ url, text, want string }{
		{"rtmp://h/app/abcd-1", "stream abcd-1 is taken", "stream *** is taken"},
		{"rtmp://h/app/abcd-1?token=0123456789&x=1", "abcd-1?token=0123456789&x=1", "***"},
		{"rtmp://h/app/abcd-1?token=0123456789&x=1", "abcd-1 with 0123456789 (x=1)", "*** with *** (x=1)"},
		{"rtmp://h/app/ab%20cd", "stream \"ab cd\"", "stream \"***\""},
		{"rtmp://h/app/ab", "a bad stable table", "***"},
		{"rtmp://h/app/abcd-1", "nothing of it", "nothing of it"},
	} {
		u, err := ParseURL(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.hide(tt.text); got != tt.want {
			t.Errorf("hide(%q) for %q = %q, want %q", tt.text, tt.url, got, tt.want)
		}
	}
}
