package cache

import "sync/atomic"

// Budget is an amount of memory shared by the tracks of a process. There is no
// lock and no list of tracks: whoever writes pays, by evicting its own oldest
// groups in proportion to what it writes and to how full the budget is. At
// seven eighths of the capacity a track evicts as much as it writes, so that is
// where a busy process settles; at the capacity nothing more is taken in.
//
// All methods may be called at the same time.
type Budget struct {
	capacity int64
	used     atomic.Int64
}

// NewBudget returns a budget of capacity bytes, at least 1.
func NewBudget(capacity int64) *Budget { return &Budget{capacity: max(capacity, 1)} }

// Capacity returns what the budget was made with, in bytes.
func (b *Budget) Capacity() int64 { return b.capacity }

// Used returns the bytes that tracks hold now, bookkeeping included.
func (b *Budget) Used() int64 { return b.used.Load() }

// take adds n bytes, which may be negative, and returns the eviction debt that
// a track takes on by writing them.
func (b *Budget) take(n int64) (debt int64) {
	used := b.used.Add(n)
	if n <= 0 {
		return 0
	}
	soft := float64(b.capacity) * 7 / 8
	return int64(float64(n) * float64(used) / soft)
}

// over returns by how many bytes n more would pass the capacity.
func (b *Budget) over(n int64) int64 { return b.used.Load() + n - b.capacity }
