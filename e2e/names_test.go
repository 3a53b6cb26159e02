package e2e

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What is live on any relay is listed on every relay, and no longer when its
// publisher has gone.
func TestList(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	first := c.client(t, nil, nil, "moq-pub", 0, "--name", "room/one", "--test")
	for _, p := range []*proc{
		first,
		c.client(t, nil, nil, "moq-pub", 1, "--name", "room/two/inner", "--test"),
		c.client(t, nil, nil, "moq-pub", 1, "--name", "other", "--test"),
	} {
		p.await("msg=publishing")
	}
	list := func(relay int, args ...string) string {
		var out buffer
		ended(t, 5*time.Second, c.client(t, nil, &out, "moq-sub", relay, args...))
		return string(out.Bytes())
	}
	eventually(t, 5*time.Second, "all three names at relay 1", func() bool {
		return list(0, "--list", "") == "other\nroom/one\nroom/two/inner\n"
	})
	for _, tt := range []struct {
		relay int
		args  []string
		want  string
	}{
		{1, []string{"--list", ""}, "other\nroom/one\nroom/two/inner\n"},
		{1, []string{"--list", "room"}, "room/one\nroom/two/inner\n"},
		{0, []string{"--list", "room/two", "--json"}, `{"namespace":"room/two/inner","fields":["room","two","inner"]}` + "\n"},
		{0, []string{"--list", "roo"}, ""},
	} {
		if got := list(tt.relay, tt.args...); got != tt.want {
			t.Errorf("moq-sub %s at relay %d:\n%swant:\n%s", strings.Join(tt.args, " "), tt.relay+1, got, tt.want)
		}
	}
	first.stop()
	eventually(t, 5*time.Second, "room/one is gone from relay 2", func() bool { return list(1, "--list", "room") == "room/two/inner\n" })
}

// The clock through two relays: one second after another, none twice.
func TestClock(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.client(t, nil, nil, "moq-clock", 0, "--publish")
	eventually(t, 5*time.Second, "the clock is announced", func() bool {
		var out buffer
		ended(t, 5*time.Second, c.client(t, nil, &out, "moq-sub", 1, "--list", "clock"))
		return string(out.Bytes()) == "clock\n"
	})
	var out buffer
	sub := c.client(t, nil, &out, "moq-clock", 1)
	eventually(t, 10*time.Second, "four seconds", func() bool { return bytes.Count(out.Bytes(), []byte("\n")) >= 4 })
	sub.stop()
	lines := strings.Split(strings.TrimSpace(string(out.Bytes())), "\n")
	var last time.Time
	for i, l := range lines {
		if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$`).MatchString(l) {
			t.Errorf("line %q is no time", l)
		}
		at, err := time.Parse(time.RFC3339, l)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && at.Sub(last) != time.Second {
			t.Errorf("after %v comes %v", last, at)
		}
		last = at
	}
}
