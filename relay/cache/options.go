package cache

import "time"

// Options are the bounds of one track. The zero value is safe.
type Options struct {
	// MaxAge is how long a group stays after a newer one has begun. The newest
	// group and the one before it stay for ever. If zero, it is 15 seconds.
	MaxAge time.Duration
	// MaxGroups is the number of groups kept, at least 2. If zero, it is 256.
	MaxGroups int
	// MaxObjects is the number of objects kept of one group, at least 16. A
	// group that outgrows it loses its oldest objects, after all older groups.
	// If zero, it is 65536.
	MaxObjects int
	// MaxBytes is the memory of the track above which old groups are evicted.
	// The newest group and the one before it are kept up to twice as much; then
	// the older goes, and then the oldest objects of the newest. If zero, it is
	// 64 MiB.
	MaxBytes int64
	// MaxObjectBytes is the largest payload accepted, at most MaxBytes. If
	// zero, it is 32 MiB.
	MaxObjectBytes int64
	// Hold is how long an object that leaves a gap is held back from readers
	// while another source is about to fill the gap. If zero, it is 50
	// milliseconds.
	Hold time.Duration
	// Grace is how long a stream that all its sources have left waits for a
	// source that has not brought this subgroup yet. If zero, it is 1 second.
	Grace time.Duration
	// Budget is the memory that this track shares with others. If nil, only
	// MaxBytes bounds the track.
	Budget *Budget
}

const (
	// holdObjects is how many objects of a run are held back at most.
	holdObjects = 32
	// maxOpenRuns bounds the runs of one subgroup that wait to be continued, so
	// that a source which scatters its objects costs each of them a short scan.
	maxOpenRuns = 16
	// keepGroups is how many of the newest groups age and bytes do not evict.
	keepGroups = 2
	// datagramBacklog is how many datagrams a reader may be behind.
	datagramBacklog = 256
)

func (o Options) withDefaults() Options {
	if o.MaxAge <= 0 {
		o.MaxAge = 15 * time.Second
	}
	if o.MaxGroups <= 0 {
		o.MaxGroups = 256
	}
	o.MaxGroups = max(o.MaxGroups, keepGroups)
	if o.MaxObjects <= 0 {
		o.MaxObjects = 1 << 16
	}
	o.MaxObjects = max(o.MaxObjects, 16)
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	if o.MaxObjectBytes <= 0 {
		o.MaxObjectBytes = 32 << 20
	}
	o.MaxObjectBytes = min(o.MaxObjectBytes, o.MaxBytes)
	if o.Hold <= 0 {
		o.Hold = 50 * time.Millisecond
	}
	if o.Grace <= 0 {
		o.Grace = time.Second
	}
	return o
}
