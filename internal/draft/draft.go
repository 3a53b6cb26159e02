// Package draft gives commands a flag for the drafts they offer.
package draft

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Flag returns a flag of that name for the drafts that are offered to a server.
func Flag(name string) cli.Flag {
	return &cli.StringSliceFlag{Name: name,
		Usage: fmt.Sprintf("offer draft `N` of MOQT, and no other than are named so; repeatable; if absent, all of %s", list(transport.Versions()))}
}

// Versions returns what the flag of that name says, or nil if it says nothing.
func Versions(c *cli.Context, name string) ([]moqt.Version, error) {
	var vs []moqt.Version
	for _, s := range c.StringSlice(name) {
		v, err := moqt.VersionOfALPN("moqt-" + strings.TrimPrefix(strings.TrimPrefix(s, "draft-"), "moqt-"))
		if err != nil || !slices.Contains(transport.Versions(), v) {
			return nil, app.Usagef("--%s %q: the drafts that are spoken here are %s", name, s, list(transport.Versions()))
		}
		if !slices.Contains(vs, v) {
			vs = append(vs, v)
		}
	}
	return vs, nil
}

// list names drafts in ascending order.
func list(vs []moqt.Version) string {
	vs = slices.Sorted(slices.Values(vs))
	var names []string
	for _, v := range vs {
		names = append(names, fmt.Sprint(uint8(v)))
	}
	return strings.Join(names, ", ")
}
