// Package qlog writes what sessions do to files that tools such as qvis read: the
// events of QUIC, and on the same time line those of MOQT. A [Dir] is the
// directory of the files; its [Dir.Trace] is a transport.Config's Tracer.
//
// A file has names, addresses and lengths, but no payload, no token, and of URLs
// not the query. It is JSON-SEQ, one record for each event. (qlog main schema,
// "JSON Text Sequences"; RFC 7464)
//
// Nothing waits for the disk: events are encoded into a buffer of bounded size,
// those that do not fit are counted and dropped, and one goroutine writes.
package qlog

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/qlogwriter"
)

// Config says where traces go, and how many. All but Dir may be zero.
type Config struct {
	// Dir is the directory. It is made if it is not there.
	Dir string
	// Sample traces one of so many connections, beginning with the first. If it is
	// 0 or 1, all.
	Sample int
	// MaxBytes bounds the traces in Dir, those of earlier runs included; a file
	// counts as at least 4 KiB. While it is reached no trace begins or goes on.
	// Room that is made is found within a minute. If zero, it is 1 GiB.
	MaxBytes int64
	// MaxFileBytes bounds one trace, which ends there. If zero, it is 64 MiB,
	// some minutes of a broadcast.
	MaxFileBytes int64
	// MaxOpen bounds the connections that are traced at once, and with it the
	// memory: 1 MiB each at worst. If zero, it is 32.
	MaxOpen int
	// Logger gets a warning where a trace is cut or cannot be written. If nil,
	// nothing is logged.
	Logger *slog.Logger
}

// Stats are the figures of a [Dir], all since it was opened.
type Stats struct {
	Traces  uint64 // begun
	Refused uint64 // traces that did not begin: MaxOpen or MaxBytes were reached
	Events  uint64 // recorded
	Dropped uint64 // events that are not in their file
	Bytes   uint64 // written
}

const (
	extension = ".sqlog"
	minFile   = 4 << 10                // what a file costs, whatever is in it
	rescan    = time.Minute            // how often a full directory is looked at again
	flushWait = 100 * time.Millisecond // how long an event may wait for others
)

// Dir is a directory that traces are written to. Its methods may be called
// concurrently. A nil *Dir traces nothing.
type Dir struct {
	cfg     Config
	log     *slog.Logger
	dirty   chan struct{} // cap 1: something is to be written, soon
	crowded chan struct{} // cap 1: and now
	stop    chan struct{}
	wg      sync.WaitGroup // run

	mu      sync.Mutex // guards what follows
	closed  bool
	seen    uint64 // connections
	traces  map[*trace]struct{}
	used    int64 // bytes of the traces in the directory, as far as known
	scanned time.Time
	full    bool // and it has been told
	failing bool // the last write failed, and it has been told
	stats   Stats
}

// Open makes c.Dir if need be and begins to write there. It fails, with a
// sentence, if files cannot be made in it.
func Open(c Config) (*Dir, error) {
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("qlog: cannot make the directory: %w", err)
	}
	probe, err := os.CreateTemp(c.Dir, ".probe")
	if err != nil {
		return nil, fmt.Errorf("qlog: no file can be made: %w", err)
	}
	probe.Close()
	os.Remove(probe.Name())
	if c.MaxBytes == 0 {
		c.MaxBytes = 1 << 30
	}
	if c.MaxFileBytes == 0 {
		c.MaxFileBytes = 64 << 20
	}
	if c.MaxOpen == 0 {
		c.MaxOpen = 32
	}
	d := &Dir{
		cfg: c, log: c.Logger,
		dirty: make(chan struct{}, 1), crowded: make(chan struct{}, 1), stop: make(chan struct{}),
		traces: make(map[*trace]struct{}),
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.scan()
	d.wg.Go(d.run)
	return d, nil
}

// Trace begins the trace of a connection, or returns nil if it is not to have one.
// It has the form of quic.Config's Tracer, and does not touch the disk. An id that
// is empty is replaced by a random one.
func (d *Dir) Trace(_ context.Context, isClient bool, id quic.ConnectionID) qlogwriter.Trace {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.seen++
	if d.cfg.Sample > 1 && (d.seen-1)%uint64(d.cfg.Sample) != 0 {
		return nil
	}
	if d.used >= d.cfg.MaxBytes && time.Since(d.scanned) >= rescan {
		signal(d.dirty) // run looks whether there is room again
	}
	if d.used >= d.cfg.MaxBytes || len(d.traces) >= d.cfg.MaxOpen {
		d.stats.Refused++
		return nil
	}
	group := id.String()
	if id.Len() == 0 {
		group = strings.ToLower(rand.Text())[:16]
	}
	t := newTrace(d, group, isClient)
	d.traces[t] = struct{}{}
	d.used += minFile
	d.stats.Traces++
	return t
}

// Stats returns the figures of d.
func (d *Dir) Stats() Stats {
	if d == nil {
		return Stats{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// Close ends all traces and waits until they are on disk. Events that come later
// are dropped.
func (d *Dir) Close() error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	was := d.closed
	d.closed = true
	d.mu.Unlock()
	if !was {
		close(d.stop)
	}
	d.wg.Wait()
	return nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run writes what traces record, until Close.
func (d *Dir) run() {
	for {
		select {
		case <-d.dirty:
		case <-d.crowded:
		case <-d.stop:
			for _, t := range d.open() {
				t.end()
			}
			d.flush()
			return
		}
		d.flush()
		wait := time.NewTimer(flushWait)
		select {
		case <-wait.C:
		case <-d.crowded:
			signal(d.dirty)
		case <-d.stop:
		}
		wait.Stop()
	}
}

func (d *Dir) open() []*trace {
	d.mu.Lock()
	defer d.mu.Unlock()
	traces := make([]*trace, 0, len(d.traces))
	for t := range d.traces {
		traces = append(traces, t)
	}
	return traces
}

// flush writes what has been recorded, and lets go of traces that have ended.
func (d *Dir) flush() {
	d.mu.Lock()
	stale := d.used >= d.cfg.MaxBytes && time.Since(d.scanned) >= rescan
	d.mu.Unlock()
	if stale {
		d.scan()
	}
	for _, t := range d.open() {
		if t.flush() {
			d.mu.Lock()
			delete(d.traces, t)
			d.mu.Unlock()
		}
	}
}

// scan counts the bytes of the traces in the directory.
func (d *Dir) scan() {
	var used int64
	entries, _ := os.ReadDir(d.cfg.Dir) // what cannot be read does not count
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), extension) {
			used += max(info.Size(), minFile)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used, d.scanned = used, time.Now()
	if d.full = d.full && used >= d.cfg.MaxBytes; used >= d.cfg.MaxBytes {
		d.tellFullLocked()
	}
}

func (d *Dir) tellFullLocked() {
	if !d.full {
		d.full = true
		d.log.Warn("qlog directory is full", "file", d.cfg.Dir, "err", fmt.Sprintf("its traces have reached %d bytes: no more are taken until some are removed", d.cfg.MaxBytes))
	}
}

// take accounts for n bytes to be written and reports whether there is room.
func (d *Dir) take(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.used+int64(n) > d.cfg.MaxBytes {
		d.used = d.cfg.MaxBytes
		d.tellFullLocked()
		return false
	}
	d.used += int64(n)
	return true
}

// wrote takes note of a write of n bytes. An error is logged once, until a write
// succeeds again.
func (d *Dir) wrote(n int, err error) {
	d.mu.Lock()
	d.stats.Bytes += uint64(n)
	tell := err != nil && !d.failing
	d.failing = err != nil
	d.mu.Unlock()
	if tell {
		d.log.Warn("qlog trace not written", "file", d.cfg.Dir, "err", err)
	}
}

func (d *Dir) count(events, dropped uint64) {
	d.mu.Lock()
	d.stats.Events += events
	d.stats.Dropped += dropped
	d.mu.Unlock()
}

// create makes a file whose name begins with name. Who chose the connection's id
// may have chosen it twice.
func (d *Dir) create(name string) (*os.File, error) {
	const tries = 8
	path := filepath.Join(d.cfg.Dir, name)
	var err error
	for i := range tries {
		full := path + extension
		if i > 0 {
			full = fmt.Sprintf("%s-%d%s", path, i, extension)
		}
		var f *os.File
		if f, err = os.OpenFile(full, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			return f, nil
		}
		if !os.IsExist(err) {
			break
		}
	}
	return nil, err
}
