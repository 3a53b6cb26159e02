//go:build !linux

package multipath

import (
	"context"
	"errors"
)

func (c *Config) playReal(context.Context, *Scenario, Peer, uint64) (*Outcome, error) {
	return nil, errors.New("the lab needs Linux")
}

// Root reports whether this process may make a lab.
func Root() bool { return false }
