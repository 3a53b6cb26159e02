package bench

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// cores returns the first two cores that this process may use, for the server
// and the load. On a machine with one core they are the same.
func cores() (server, load int, ok bool) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, 0, false
	}
	var found []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			found = append(found, i)
		}
	}
	if len(found) == 0 {
		return 0, 0, false
	}
	return found[0], found[min(1, len(found)-1)], true
}

// startOn calls start, which starts a process, while the calling thread is on
// core and, unless it is to be fair, in real time. The process has inherited that
// before its first instruction, so the Go runtime in it takes the machine for one
// with a single core, and what else runs there stands back whenever the process
// wants to run.
func startOn(core int, fair bool, start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &before)
	if !fair {
		defer inRealTime()()
	}
	return start()
}

// inRealTime has the calling thread run before all that do not run in real time,
// until restore is called. Only root may do so; for others it does nothing.
func inRealTime() (restore func()) {
	before, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return func() {}
	}
	if unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}, 0) != nil {
		return func() {}
	}
	return func() { unix.SchedSetAttr(0, before, 0) }
}

// ownSession makes a process the first of a session, and so of an autogroup,
// and ends it with this one.
func ownSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGTERM}
}
