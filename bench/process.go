package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// isolated is set in the environment of a process that has its core, to that of
// the servers it is to start, and isFair behind that if none is before others.
const (
	isolated = "MOQ_BENCH_ISOLATED"
	isFair   = " fair"
)

// Isolate runs this program once more, with the same arguments, on a core of its
// own, before all others if it may, and returns what became of that: done is
// true then, and there is nothing left to do. In the process so started, and
// where cores cannot be given out, done is false.
//
// A nice value is not enough: a program that wakes up waits for what runs until
// its slice of some milliseconds is over, at any nice value, and all delays that
// are measured here are shorter. But what is to fill its core must not be before
// all others, of which some are the kernel's and carry its packets: it is fair.
func Isolate(ctx context.Context, fair bool) (done bool, err error) {
	_, load, ok := cores()
	if !ok || os.Getenv(isolated) != "" {
		return false, nil
	}
	server, _, _ := cores()
	self, err := os.Executable()
	if err != nil {
		return false, nil
	}
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	how := strconv.Itoa(server)
	if fair {
		how += isFair
	}
	cmd.Env = append(os.Environ(), isolated+"="+how)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := launch(cmd, load, fair, nil); err != nil {
		return true, err
	}
	if err := cmd.Wait(); err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return true, ExitError(exit.ExitCode())
		}
		return true, err
	}
	return true, nil
}

// ExitError is the exit code of a program that has said why itself.
type ExitError int

func (e ExitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// launch starts cmd on core, before others unless it is to be fair. If within is
// not nil, it calls what starts the process, on the same thread.
func launch(cmd *exec.Cmd, core int, fair bool, within func(start func() error) error) error {
	cmd.SysProcAttr = ownSession()
	start := cmd.Start
	if within != nil {
		start = func() error { return within(cmd.Start) }
	}
	if err := startOn(core, fair, start); err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	return nil
}

// serverCore is the core for servers, as the process that started this one has
// chosen it.
func serverCore() int {
	core, _ := strconv.Atoi(strings.TrimSuffix(os.Getenv(isolated), isFair))
	return core
}

// loadCore is the core of this process, where it has one for itself.
func loadCore() int {
	core, _, _ := cores()
	return core
}

// usage is what a process has used.
type usage struct {
	CPU time.Duration // of all its threads
	RSS int64         // bytes of memory now
	FDs int           // open files
}

// usageOf returns what the process pid has used. Where /proc does not tell, it
// is zero.
func usageOf(pid int) usage {
	var u usage
	dir := "/proc/" + strconv.Itoa(pid)
	// A thread's schedstat begins with its time on a processor, in nanoseconds;
	// that of the process counts in ticks of 10 ms.
	tasks, _ := filepath.Glob(dir + "/task/*/schedstat")
	for _, t := range tasks {
		b, _ := os.ReadFile(t)
		first, _, _ := strings.Cut(string(b), " ")
		ns, _ := strconv.ParseInt(first, 10, 64)
		u.CPU += time.Duration(ns)
	}
	status, _ := os.ReadFile(dir + "/status")
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			u.RSS = kb << 10
		}
	}
	fds, _ := os.ReadDir(dir + "/fd")
	u.FDs = len(fds)
	return u
}

// ownUsage is what this process has used.
func ownUsage() usage { return usageOf(os.Getpid()) }
