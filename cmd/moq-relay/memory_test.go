package main

import "testing"

func TestCacheSize(t *testing.T) {
	for _, c := range []struct {
		name         string
		asked, limit int64
		limited      bool
		want         int64
	}{
		{"no limit", 0, 0, false, 1 << 30},
		{"container", 0, 500, true, 200},
		{"asked", 64 << 20, 500, true, 64 << 20},
	} {
		if got := cacheSize(c.asked, c.limit, c.limited); got != c.want {
			t.Errorf("%s: cacheSize() = %d, want %d", c.name, got, c.want)
		}
	}
}
