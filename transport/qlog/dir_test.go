package qlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlogwriter"
	"github.com/quic-go/quic-go/qlogwriter/jsontext"
)

// note is an event of some bytes.
type note string

func (note) Name() string { return "test:note" }
func (n note) Encode(enc *jsontext.Encoder, _ time.Time) error {
	f := fields{enc: enc}
	f.object("", func() { f.str("note", string(n)) })
	return f.err
}

// openTest opens a directory in a bubble, and returns what it logs.
func openTest(t *testing.T, c Config) (d *Dir, logged *bytes.Buffer) {
	t.Helper()
	logged = new(bytes.Buffer)
	c.Logger = slog.New(slog.NewTextHandler(logged, nil))
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	d, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, logged
}

func begin(t *testing.T, d *Dir) *trace {
	t.Helper()
	tr := d.Trace(t.Context(), true, quic.ConnectionID{})
	if tr == nil {
		t.Fatal("Trace() = nil")
	}
	tr.AddProducer()
	return tr.(*trace)
}

// lines returns the records of the only file in dir, without the header.
func lines(t *testing.T, dir string) (records []string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) != 1 {
		t.Fatalf("%d files, want one", len(files))
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for text := range bytes.SplitSeq(b, []byte{qlogwriter.RecordSeparator}) {
		if len(text) > 0 && (!json.Valid(text) || text[len(text)-1] != '\n') {
			t.Errorf("not a record: %q", text)
		}
		records = append(records, string(text))
	}
	return records[2:]
}

func TestUnusableDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), ""} {
		if d, err := Open(Config{Dir: dir}); err == nil {
			d.Close()
			t.Errorf("Open(%q) succeeded", dir)
		} else if text := err.Error(); strings.Contains(text, "\n") || !strings.HasPrefix(text, "qlog: ") {
			t.Errorf("Open(%q) = %q, want a sentence", dir, text)
		}
	}
}

func TestFileLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, logged := openTest(t, Config{MaxFileBytes: 2000})
		tr := begin(t, d)
		for range 100 {
			tr.RecordEvent(note(strings.Repeat("x", 50)))
		}
		tr.Close()
		d.Close()
		got := lines(t, d.cfg.Dir)
		last := got[len(got)-1]
		kept := len(got) - 1
		if kept < 5 || kept > 40 || !strings.Contains(last, fmt.Sprintf(`"loglevel:warning","data":{"message":"%d events are missing: the trace has reached 2000 bytes"}`, 100-kept)) {
			t.Errorf("%d events and %s, want it told that the rest is missing", kept, last)
		}
		if s := d.Stats(); s.Traces != 1 || s.Events != uint64(kept) || s.Dropped != uint64(100-kept) {
			t.Errorf("Stats() = %+v with %d events kept", s, kept)
		}
		if !strings.Contains(logged.String(), "qlog trace is incomplete") {
			t.Errorf("logged %q", logged)
		}
	})
}

// A disk that does not take what is recorded costs events and no memory, and
// holds up nobody: here nothing is written at all while events come.
func TestSlowDisk(t *testing.T) {
	d := &Dir{cfg: Config{MaxFileBytes: 1 << 30}, dirty: make(chan struct{}, 1), crowded: make(chan struct{}, 1)}
	tr := newTrace(d, "group", false)
	for range 10_000 {
		tr.RecordEvent(note(strings.Repeat("x", 1000)))
	}
	if tr.dropped+tr.events != 10_000 || tr.dropped < 9000 {
		t.Errorf("%d events kept and %d dropped of 10,000", tr.events, tr.dropped)
	}
	if c := cap(tr.pending); c > 2*maxPending {
		t.Errorf("%d bytes are held", c)
	}
	// One that is too large is dropped by itself.
	tr = newTrace(d, "group", false)
	tr.RecordEvent(note("before"))
	tr.RecordEvent(note(strings.Repeat("\x00", maxPending)))
	tr.RecordEvent(note("after"))
	if tr.events != 2 || tr.dropped != 1 || !strings.Contains(string(tr.pending), `after"}}`) || cap(tr.pending) > 2*maxPending {
		t.Errorf("%d events kept, %d dropped, %d bytes held: %.200s", tr.events, tr.dropped, cap(tr.pending), tr.pending)
	}
}

// A disk that is full, or a directory that is gone, ends the trace and nothing
// else, and is logged once.
func TestFailingDisk(t *testing.T) {
	for _, tt := range []struct {
		name string
		fail func(t *testing.T, d *Dir, tr *trace)
	}{
		{"full", func(t *testing.T, d *Dir, tr *trace) {
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if err != nil {
				t.Skip("no /dev/full here")
			}
			tr.f = full
		}},
		{"gone", func(t *testing.T, d *Dir, tr *trace) { os.RemoveAll(d.cfg.Dir) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, logged := openTest(t, Config{})
				tr := begin(t, d)
				tt.fail(t, d, tr)
				for range 3 {
					tr.RecordEvent(note("x"))
					synctest.Wait()
					<-time.After(time.Second) // of the bubble: so long events may wait
				}
				tr.Close()
				d.Close()
				if s := d.Stats(); s.Events != 0 || s.Dropped != 3 || s.Bytes != 0 {
					t.Errorf("Stats() = %+v, want 3 events dropped", s)
				}
				if n := strings.Count(logged.String(), "qlog trace not written"); n != 1 {
					t.Errorf("it was logged %d times: %s", n, logged)
				}
			})
		})
	}
}

func TestDirectoryLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		earlier := filepath.Join(dir, "earlier"+extension)
		if err := os.WriteFile(earlier, make([]byte, 90_000), 0o600); err != nil {
			t.Fatal(err)
		}
		d, logged := openTest(t, Config{Dir: dir, MaxBytes: 100_000})
		tr := begin(t, d)
		for range 20 {
			tr.RecordEvent(note(strings.Repeat("x", 1000)))
		}
		<-time.After(time.Second)
		if d.Trace(t.Context(), true, quic.ConnectionID{}) != nil {
			t.Error("a trace begins although the directory is full")
		}
		if !strings.Contains(logged.String(), "qlog directory is full") {
			t.Errorf("logged %q", logged)
		}
		if s := d.Stats(); s.Refused != 1 || s.Dropped == 0 || s.Events+s.Dropped != 20 {
			t.Errorf("Stats() = %+v", s)
		}
		os.Remove(earlier)
		<-time.After(rescan)
		d.Trace(t.Context(), true, quic.ConnectionID{}) // has the directory looked at
		<-time.After(time.Second)
		if d.Trace(t.Context(), true, quic.ConnectionID{}) == nil {
			t.Error("no trace begins after room was made")
		}
	})
}

func TestOpenLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := openTest(t, Config{MaxOpen: 2})
		first := begin(t, d)
		begin(t, d)
		if d.Trace(t.Context(), true, quic.ConnectionID{}) != nil {
			t.Error("a third trace begins")
		}
		first.Close()
		<-time.After(time.Second)
		if begin(t, d); d.Stats().Refused != 1 {
			t.Errorf("Stats() = %+v", d.Stats())
		}
		if first.AddProducer() != nil {
			t.Error("a trace that has ended takes a producer")
		}
		first.RecordEvent(note("late")) // is no harm
	})
}

// Whoever dials chooses the connection's id, and may choose one twice.
func TestSameID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := openTest(t, Config{})
		id := quic.ConnectionIDFromBytes([]byte{1, 2, 3, 4, 5, 6, 7, 8})
		for range 3 {
			tr := d.Trace(t.Context(), false, id)
			tr.AddProducer().Close()
		}
		d.Close()
		files, _ := filepath.Glob(filepath.Join(d.cfg.Dir, "0102030405060708_server*.sqlog"))
		if len(files) != 3 {
			t.Errorf("files %v, want three", files)
		}
	})
}

// What a peer puts into QUIC's own events need not be text.
func TestHostileText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := openTest(t, Config{})
		tr := begin(t, d)
		texts := []string{"\xff\xfe\x80", "\x1e\n\r\x00\x1f", `"},{"`, "\u2028\u202e\\u0000", strings.Repeat("\xc3", 1000)}
		for _, s := range texts {
			tr.RecordEvent(note(s))
		}
		tr.Close()
		d.Close()
		got := lines(t, d.cfg.Dir)
		if len(got) != len(texts) {
			t.Fatalf("%d records, want %d", len(got), len(texts))
		}
		for i, s := range texts {
			var r struct{ Data struct{ Note string } }
			if err := json.Unmarshal([]byte(got[i]), &r); err != nil {
				t.Errorf("%q: %v", got[i], err)
			}
			if want := strings.ToValidUTF8(s, "\uFFFD"); r.Data.Note != want {
				t.Errorf("%q came back as %q", s, r.Data.Note)
			}
		}
	})
}
