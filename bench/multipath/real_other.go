//go:build !linux

package multipath

import (
	"context"
	"errors"
)

func (c *Config) playReal(context.Context, *Scenario, Peer, uint64) (*Outcome, error) {
	return nil, errors.New("the lab needs Linux")
}

// root reports whether this process may make a lab.
func root() bool { return false }
