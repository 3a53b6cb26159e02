package main

import (
	"log/slog"

	"github.com/tributary-live/tributary/internal/app"
)

// defaultCache is the cache of a relay that is in no container with a limit.
const defaultCache = 1 << 30

// sizeMemory has the garbage collector keep to the container's limit, if there
// is one, and returns how many bytes to cache: what was asked for, or, for 0,
// two fifths of the container's memory, which leaves as much again for sessions.
func sizeMemory(asked int64, log *slog.Logger) int64 {
	limit, limited := app.MemoryLimit()
	cacheBytes := cacheSize(asked, limit, limited)
	if !limited {
		log.Info("memory", "cache", cacheBytes)
		return cacheBytes
	}
	heap := app.LimitMemory(limit)
	log.Info("memory", "cache", cacheBytes, "container", limit, "heap", heap)
	if cacheBytes > heap {
		log.Warn("cache larger than memory", "cache", cacheBytes, "container", limit, "heap", heap)
	}
	return cacheBytes
}

func cacheSize(asked, limit int64, limited bool) int64 {
	switch {
	case asked > 0:
		return asked
	case limited:
		return limit / 5 * 2
	}
	return defaultCache
}
