package trace

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/transport/qlog"
)

// run runs a command with the flags and gives what Open returns to check.
func run(t *testing.T, check func(*qlog.Dir), args ...string) (stderr string, err error) {
	t.Helper()
	var out bytes.Buffer
	a := &cli.App{Name: "test", Flags: Flags(), ErrWriter: &out, Action: func(c *cli.Context) error {
		d, err := Open(c)
		if err != nil {
			return err
		}
		defer d.Close()
		check(d)
		return nil
	}}
	err = a.Run(append([]string{"test"}, args...))
	return out.String(), err
}

func TestOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "traces")
	if _, err := run(t, func(d *qlog.Dir) {
		if d == nil {
			t.Error("no directory is opened")
		}
	}, "--qlog", dir, "--qlog-sample", "3"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{nil, {"--qlog", "/dev/null/below"}} { // neither stops the command
		if _, err := run(t, func(d *qlog.Dir) {
			if d != nil || d.Stats() != (qlog.Stats{}) {
				t.Errorf("%v: a directory is opened", args)
			}
			reg := prometheus.NewRegistry()
			Register(reg, d)
			if m, err := reg.Gather(); err != nil || len(m) != 4 {
				t.Errorf("metrics of none: %v, %v", m, err)
			}
		}, args...); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	for _, args := range [][]string{{"--qlog-sample", "0"}, {"--qlog-bytes", "-1"}} {
		if _, err := run(t, func(*qlog.Dir) {}, args...); err == nil || !strings.Contains(err.Error(), args[0]) {
			t.Errorf("%v: %v, want it refused by name", args, err)
		}
	}
}
