package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Limits of what Parse takes.
const (
	MaxBytes  = 4 << 20
	MaxTracks = 1024
)

// Parse reads a catalog or a delta. It refuses what cannot be used: another
// format, a version that is no MSF draft, a track without name or packaging,
// two of the same name. Beyond that it takes what it gets; [Catalog.Check]
// tells what else is wrong.
func Parse(b []byte) (*Catalog, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("catalog: %d bytes are over the limit of %d", len(b), MaxBytes)
	}
	c := &Catalog{}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	if len(c.DeltaUpdate) > 0 {
		if c.Version != "" || len(c.Tracks) > 0 {
			return nil, errors.New("catalog: a delta with version or tracks")
		}
		return c, nil
	}
	// Early publishers wrote 1.
	if c.Version != "1" && !strings.HasPrefix(string(c.Version), "draft-") {
		return nil, fmt.Errorf("catalog: version %.20q is not understood", string(c.Version))
	}
	return c, c.checkNames()
}

func (c *Catalog) checkNames() error {
	if len(c.Tracks) > MaxTracks {
		return fmt.Errorf("catalog: %d tracks are over the limit of %d", len(c.Tracks), MaxTracks)
	}
	type key struct{ namespace, name string }
	seen := make(map[key]bool)
	for i, t := range c.Tracks {
		if t.Name == "" {
			return fmt.Errorf("catalog: track %d has no name", i)
		}
		if t.Packaging == "" {
			return fmt.Errorf("catalog: track %q has no packaging", t.Name)
		}
		k := key{t.Namespace, t.Name}
		if seen[k] {
			return fmt.Errorf("catalog: two tracks %q", t.Name)
		}
		seen[k] = true
	}
	return nil
}
