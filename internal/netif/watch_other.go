//go:build !linux

package netif

import (
	"context"
	"time"
)

// watch looks every second: these systems have no common way to be told.
func watch(ctx context.Context, look func()) { poll(ctx, time.Second, nil, look) }
