package bench

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// PrintMachine writes on what is measured, as lines that benchstat knows:
// figures are worth little without them.
func PrintMachine(w io.Writer, version string) {
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\n", runtime.GOOS, runtime.GOARCH)
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		cores, model := 0, ""
		for line := range strings.Lines(string(info)) {
			key, value, _ := strings.Cut(line, ":")
			switch strings.TrimSpace(key) {
			case "processor":
				cores++
			case "model name":
				model = strings.TrimSpace(value)
			}
		}
		fmt.Fprintf(w, "cpu: %s\ncores: %d\n", model, cores)
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		fmt.Fprintf(w, "kernel: %s\n", strings.TrimSpace(string(release)))
	}
	fmt.Fprintf(w, "go: %s\nversion: %s\n", strings.TrimPrefix(runtime.Version(), "go"), version)
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		if f := strings.Fields(string(load)); len(f) >= 3 {
			fmt.Fprintf(w, "load: %s\n", strings.Join(f[:3], " "))
		}
	}
}
