package app

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// MemoryLimit returns how many bytes the container of this process may use, or
// false if there is no limit that it can see.
func MemoryLimit() (bytes int64, ok bool) { return memoryLimit(os.DirFS("/")) }

// cgroup trees and their files with the limit, versions 2 and 1.
var cgroupTrees = []struct{ root, controller, file string }{
	{"sys/fs/cgroup", "", "memory.max"},
	{"sys/fs/cgroup/memory", "memory", "memory.limit_in_bytes"},
}

// unlimited is what version 1 says, about, where there is no limit.
const unlimited = 1 << 60

// memoryLimit is MemoryLimit of the machine whose files root has. A limit counts
// for all that is below it, so the least on the way up is the one.
func memoryLimit(root fs.FS) (least int64, ok bool) {
	own, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	for _, tree := range cgroupTrees {
		// Inside a container its own group is often all there is to see.
		for dir := cgroupOf(own, tree.controller); ; dir = path.Dir(dir) {
			b, err := fs.ReadFile(root, path.Join(tree.root, dir, tree.file))
			n, perr := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
			if err == nil && perr == nil && n > 0 && n < unlimited && (!ok || n < least) {
				least, ok = n, true
			}
			if dir == "/" || dir == "." {
				break
			}
		}
	}
	return least, ok
}

// cgroupOf finds the group of a controller in /proc/self/cgroup, whose lines are
// "id:controllers:/path". The one of version 2 has no controller.
func cgroupOf(file []byte, controller string) string {
	for line := range strings.Lines(string(file)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for name := range strings.SplitSeq(parts[1], ",") {
			if name == controller {
				return path.Clean("/" + parts[2])
			}
		}
	}
	return "/"
}

// LimitMemory makes the garbage collector work harder from three quarters of
// limit on, unless GOMEMLIMIT says something else. The rest is for what is not
// on the heap. It returns what is in force, in bytes.
func LimitMemory(limit int64) int64 {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(limit / 4 * 3)
	}
	return debug.SetMemoryLimit(-1)
}
