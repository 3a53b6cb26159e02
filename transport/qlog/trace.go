package qlog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	quicqlog "github.com/quic-go/quic-go/qlog"
	"github.com/quic-go/quic-go/qlogwriter"
	"github.com/quic-go/quic-go/qlogwriter/jsontext"
)

const (
	maxPending = 512 << 10 // bytes of one trace that may wait for the disk
	maxEvent   = maxPending / 2
	manyBytes  = maxPending / 4 // that are written without waiting for more
)

// logSchema is that of the one event in which a trace tells of its own gaps.
const logSchema = "urn:ietf:params:qlog:events:loglevel-12"

// trace is that of one connection. It is a [qlogwriter.Trace], and the Recorder
// of all its producers.
type trace struct {
	dir   *Dir
	name  string // of the file
	start time.Time

	mu        sync.Mutex // guards what follows
	producers int
	ended     bool   // by the last producer or the Dir
	cut       string // why nothing is recorded any more, "" while something is
	pending   buffer // records that were not yet written
	enc       *jsontext.Encoder
	size      int64  // of all records, those pending included
	events    uint64 // recorded since the last flush
	dropped   uint64 // of all
	told      uint64 // of those, known to the Dir

	// For Dir.run alone:
	f       *os.File
	written int64
	broken  bool // nothing more is written
	spare   buffer
}

// buffer is what an encoder writes to.
type buffer []byte

var errTooLarge = errors.New("qlog: event too large")

func (b *buffer) Write(p []byte) (int, error) {
	if len(*b)+len(p) > maxPending {
		return 0, errTooLarge
	}
	*b = append(*b, p...)
	return len(p), nil
}

func newTrace(d *Dir, group string, isClient bool) *trace {
	side := "server"
	if isClient {
		side = "client"
	}
	t := &trace{dir: d, name: group + "_" + side, start: time.Now()}
	t.enc = jsontext.NewEncoder(&t.pending)
	t.pending = append(t.pending, qlogwriter.RecordSeparator)
	f := fields{enc: t.enc}
	f.object("", func() {
		f.str("file_schema", "urn:ietf:params:qlog:file:sequential")
		f.str("serialization_format", "application/qlog+json-seq")
		f.str("title", "tributary")
		f.object("trace", func() {
			f.list("event_schemas", func() {
				for _, s := range []string{quicqlog.EventSchema, EventSchema, logSchema} {
					f.token(jsontext.String(s))
				}
			})
			f.object("vantage_point", func() { f.str("type", side) })
			f.object("common_fields", func() {
				f.str("group_id", group)
				f.object("reference_time", func() {
					f.str("clock_type", "monotonic")
					f.str("epoch", "unknown")
					f.str("wall_clock_time", t.start.Format(time.RFC3339Nano))
				})
			})
		})
		// Not in the schema any more, but qvis wants them.
		f.str("qlog_format", "JSON-SEQ")
		f.str("qlog_version", "0.3")
	})
	t.size = int64(len(t.pending))
	return t
}

// SupportsSchemas is true for QUIC and MOQT. HTTP/3 is left out: its events have
// headers and URLs with whatever secrets are in them.
func (t *trace) SupportsSchemas(schema string) bool {
	return schema == quicqlog.EventSchema || schema == EventSchema
}

// AddProducer returns a Recorder, or nil once the trace has ended.
func (t *trace) AddProducer() qlogwriter.Recorder {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended {
		return nil
	}
	t.producers++
	return t
}

// Close is called by each producer once; the last ends the trace.
func (t *trace) Close() error {
	t.mu.Lock()
	t.producers--
	last := t.producers == 0
	t.mu.Unlock()
	if last {
		t.end()
	}
	return nil
}

func (t *trace) end() {
	t.mu.Lock()
	t.ended = true
	t.mu.Unlock()
	signal(t.dir.dirty)
}

// RecordEvent encodes e at once, so e is not kept.
func (t *trace) RecordEvent(e qlogwriter.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.ended:
		return
	case t.cut != "" || len(t.pending) > maxPending-maxEvent || !t.recordLocked(e):
		t.dropped++
	default:
		t.events++
	}
	if len(t.pending) >= manyBytes {
		signal(t.dir.crowded)
	} else {
		signal(t.dir.dirty)
	}
}

// recordLocked appends the record of e, and reports whether that went well.
func (t *trace) recordLocked(e qlogwriter.Event) bool {
	at := len(t.pending)
	now := time.Now()
	t.pending = append(t.pending, qlogwriter.RecordSeparator)
	f := fields{enc: t.enc}
	f.object("", func() {
		f.key("time")
		f.token(jsontext.Float(float64(now.Sub(t.start).Microseconds()) / 1e3))
		f.str("name", e.Name())
		f.key("data")
		if f.err == nil {
			f.err = e.Encode(t.enc, now)
		}
	})
	if f.err != nil {
		t.pending = t.pending[:at]
		t.enc = jsontext.NewEncoder(&t.pending) // the old one is inside an object
		return false
	}
	if record := t.pending[at:]; !utf8.Valid(record) { // QUIC's events have strings of the peer in them
		t.pending = append(t.pending[:at], bytes.ToValidUTF8(record, []byte("\uFFFD"))...)
	}
	if t.size += int64(len(t.pending) - at); t.size > t.dir.cfg.MaxFileBytes {
		t.pending = t.pending[:at]
		t.cut = fmt.Sprintf("the trace has reached %d bytes", t.dir.cfg.MaxFileBytes)
		return false
	}
	return true
}

// gap is the event that tells of events which are missing.
type gap struct{ message string }

func (g gap) Name() string { return "loglevel:warning" }
func (g gap) Encode(enc *jsontext.Encoder, _ time.Time) error {
	f := fields{enc: enc}
	f.object("", func() { f.str("message", g.message) })
	return f.err
}

// flush writes what is pending, and reports whether the trace is done with. It
// is called by Dir.run alone.
func (t *trace) flush() (done bool) {
	t.mu.Lock()
	done = t.ended
	missing := ""
	if done && t.dropped > 0 {
		why := t.cut
		if why == "" {
			why = "the disk was too slow, or they were too large"
		}
		missing = fmt.Sprintf("%d events are missing: %s", t.dropped, why)
		t.size = 0 // what is said of it has room in any case
		t.recordLocked(gap{missing})
	}
	out := t.pending
	t.pending, t.spare = t.spare[:0], nil
	events, dropped := t.events, t.dropped-t.told
	t.events, t.told = 0, t.dropped
	t.mu.Unlock()

	err := t.write(out)
	t.spare = out
	if err != nil {
		dropped += events
		t.mu.Lock()
		t.cut = err.Error()
		t.dropped += events
		t.told += events
		t.mu.Unlock()
		events = 0
	}
	t.dir.count(events, dropped)
	if done && t.f != nil {
		t.dir.wrote(0, t.f.Close())
	}
	if missing != "" {
		t.dir.log.Warn("qlog trace is incomplete", "file", t.name+extension, "err", missing)
	}
	return done
}

// write writes whole records, until it has failed. What did not get to the disk
// whole is taken off again, so that the file can be read.
func (t *trace) write(records []byte) error {
	if len(records) == 0 || t.broken {
		return nil
	}
	t.broken = true
	if !t.dir.take(len(records)) {
		return fmt.Errorf("the traces in the directory have reached %d bytes", t.dir.cfg.MaxBytes)
	}
	if t.f == nil {
		var err error
		if t.f, err = t.dir.create(t.name); err != nil {
			t.dir.wrote(0, err)
			return err
		}
	}
	n, err := t.f.Write(records)
	t.dir.wrote(n, err)
	if err != nil {
		t.f.Truncate(t.written)
		return err
	}
	t.written += int64(n)
	t.broken = false
	return nil
}
