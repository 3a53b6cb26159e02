package catalog

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Operation is one step of a delta: "add", "remove" or "clone", and "update"
// of later drafts. (MSF, "Delta update")
type Operation struct {
	Op string `json:"op"`
	// Tracks are JSON track objects. They are kept as they are, because a clone
	// overrides just the fields that are written.
	Tracks []json.RawMessage `json:"tracks"`
}

// Apply returns the catalog after a delta. c stays as it is. A delta that does
// not fit is an error: the reader has missed something, and the next group
// brings a whole catalog.
func (c *Catalog) Apply(delta *Catalog) (*Catalog, error) {
	next := *c
	next.Tracks = slices.Clone(c.Tracks)
	next.InitDataList = slices.Concat(c.InitDataList, delta.InitDataList)
	for _, op := range delta.DeltaUpdate {
		for _, raw := range op.Tracks {
			if err := next.apply(op.Op, raw); err != nil {
				return nil, fmt.Errorf("catalog: delta %.20q: %w", op.Op, err)
			}
		}
	}
	if delta.IsComplete {
		next.IsComplete = true
	}
	return &next, next.checkNames()
}

func (c *Catalog) apply(op string, raw json.RawMessage) error {
	var t Track
	if err := json.Unmarshal(raw, &t); err != nil {
		return err
	}
	name, namespace := t.Name, t.Namespace
	if op == "clone" {
		name, namespace = t.ParentName, t.ParentNamespace
	}
	at := slices.IndexFunc(c.Tracks, func(o Track) bool { return o.Name == name && o.Namespace == namespace })
	if at < 0 && op != "add" {
		return fmt.Errorf("no track %q", name)
	}
	switch op {
	case "add":
		c.Tracks = append(c.Tracks, t)
	case "remove":
		c.Tracks = slices.Delete(c.Tracks, at, at+1)
	case "clone", "update":
		base := c.Tracks[at]
		// What a decode overwrites in place must not be shared.
		base.Depends, base.ContentProtectionRefIDs = slices.Clone(base.Depends), slices.Clone(base.ContentProtectionRefIDs)
		base.TemporalID, base.SpatialID, base.Buffers = clone(base.TemporalID), clone(base.SpatialID), clone(base.Buffers)
		if err := json.Unmarshal(raw, &base); err != nil {
			return err
		}
		if base.ParentName, base.ParentNamespace = "", ""; op == "update" {
			c.Tracks[at] = base
		} else {
			c.Tracks = append(c.Tracks, base)
		}
	default:
		return fmt.Errorf("operation is not understood")
	}
	return nil
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
