package app

import (
	"runtime/debug"
	"testing"
	"testing/fstest"
)

func TestMemoryLimit(t *testing.T) {
	files := func(pairs ...string) fstest.MapFS {
		m := fstest.MapFS{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
		}
		return m
	}
	const self = "proc/self/cgroup"
	for _, c := range []struct {
		name string
		fs   fstest.MapFS
		want int64 // 0 for none
	}{
		{"no cgroups", files(), 0},
		{"version 2", files(self, "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max", "536870912\n"), 512 << 20},
		{"version 2, none", files(self, "0::/a\n", "sys/fs/cgroup/a/memory.max", "max\n"), 0},
		{"version 2, above", files(self, "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max", "max\n", "sys/fs/cgroup/a/memory.max", "1000000\n"), 1_000_000},
		{"version 2, least", files(self, "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max", "2000000\n", "sys/fs/cgroup/a/memory.max", "1000000\n"), 1_000_000},
		{"version 2, inside a container", files(self, "0::/../b\n", "sys/fs/cgroup/memory.max", "3000000\n"), 3_000_000},
		{"version 1", files(self, "5:cpu:/x\n4:memory:/docker/b\n", "sys/fs/cgroup/memory/docker/b/memory.limit_in_bytes", "4000000\n"), 4_000_000},
		{"version 1, two controllers", files(self, "4:hugetlb,memory:/b\n", "sys/fs/cgroup/memory/b/memory.limit_in_bytes", "4000000\n"), 4_000_000},
		{"version 1, none", files(self, "4:memory:/b\n", "sys/fs/cgroup/memory/b/memory.limit_in_bytes", "9223372036854771712\n"), 0},
		{"nonsense", files(self, "what\n::\n", "sys/fs/cgroup/memory.max", "-5\n"), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := memoryLimit(c.fs)
			if got != c.want || ok != (c.want > 0) {
				t.Errorf("memoryLimit() = %d, %v, want %d", got, ok, c.want)
			}
		})
	}
}

func TestLimitMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	t.Setenv("GOMEMLIMIT", "")
	if got := LimitMemory(8 << 30); got != 6<<30 {
		t.Errorf("LimitMemory(8 GiB) = %d, want 6 GiB", got)
	}
	t.Setenv("GOMEMLIMIT", "1GiB")
	debug.SetMemoryLimit(1 << 30)
	if got := LimitMemory(8 << 30); got != 1<<30 {
		t.Errorf("LimitMemory(8 GiB) with GOMEMLIMIT = %d, want that", got)
	}
}
