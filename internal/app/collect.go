package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// What the heap may grow by before it is collected again, in percent: of memory
// that the collector has to go through, and of bulk, which it only has to mark.
// Go's default is 100 for both, so that a cache of a gigabyte takes two.
const (
	growLive = 40
	growBulk = 20
)

// collectEvery is how often the pace of the collector is looked at, collectStep
// by how many percent it has to be off to be set: that stops the program for some
// microseconds.
const (
	collectEvery = 2 * time.Second
	collectStep  = 3
)

// PaceCollector keeps the garbage collector at a pace that suits a heap of which
// bulk bytes are large pieces without pointers, until ctx ends. It does nothing
// if GOGC says what the pace is to be. A memory limit goes before both.
func PaceCollector(ctx context.Context, bulk func() int64) {
	if os.Getenv("GOGC") != "" {
		return
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	percent := growLive
	debug.SetGCPercent(percent)
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		metrics.Read(sample)
		if p := collectAt(int64(sample[0].Value.Uint64()), bulk()); p >= percent+collectStep || p <= percent-collectStep {
			percent = p
			debug.SetGCPercent(percent)
		}
	}
}

// collectAt returns by how many percent a heap may grow of which live bytes
// were left by the last collection, bulk among them.
func collectAt(live, bulk int64) int {
	bulk = max(0, min(bulk, live))
	if live <= 0 {
		return growLive
	}
	return int((growLive*(live-bulk) + growBulk*bulk) / live)
}
