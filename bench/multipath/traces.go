package multipath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tributary-live/tributary/internal/netsim"
)

// Traces is a folder of what real links could carry. Empty is none.
type Traces string

// ErrNoTraces says that there is no folder of traces.
var ErrNoTraces = errors.New("no traces: say where they are with --traces DIRECTORY")

// load reads a trace, whose name tells its format.
func (t Traces) load(name string) (*netsim.Trace, error) {
	if t == "" {
		return nil, ErrNoTraces
	}
	file := filepath.Join(string(t), name)
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	defer f.Close()
	if strings.HasSuffix(name, ".csv") {
		return netsim.RateCSV(f)
	}
	return netsim.Mahimahi(f)
}

// there reports whether all traces of s can be read.
func (t Traces) there(s *Scenario) error {
	for _, l := range s.Links {
		if l.Trace != "" {
			if _, err := t.load(l.Trace); err != nil {
				return err
			}
		}
	}
	return nil
}
