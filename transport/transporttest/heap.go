package transporttest

import (
	"runtime"
	"testing"
)

// Heap returns how many bytes live objects and stacks hold, for [HeapGrew].
func Heap() int64 {
	runtime.GC()
	runtime.GC() // pools give up what they have at the second one
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// HeapGrew fails the test if they hold more than most bytes beyond base, and
// logs by how much they have grown: docs/security.md has these figures.
func HeapGrew(t testing.TB, what string, base, most int64) {
	t.Helper()
	const kib = 1 << 10
	d := Heap() - base
	t.Logf("%s: heap %+d KiB, %d KiB allowed", what, d/kib, most/kib)
	if d > most {
		t.Errorf("%s: the heap grew by %d KiB, want at most %d", what, d/kib, most/kib)
	}
}
