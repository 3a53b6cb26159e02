package dir

import (
	"slices"

	"github.com/tributary-live/tributary/internal/live"
	"github.com/tributary-live/tributary/transport/moqt"
)

// A listing track has one subgroup in each group. Object 0 is the full list at
// that time: for each live namespace under the prefix a line, sorted, each ended
// by a newline, with what follows the prefix in the draft's printed form. The
// line of the prefix itself is empty, and so is the object if nothing is live.
// Each object after it is one change: "+" and a line's text for a namespace that
// has become live, "-" and the text for one that no longer is.
//
// A group is complete in itself; the next one begins when the changes have
// become longer than the list. Group ids rise, also over restarts: they are the
// time in milliseconds, or what follows the last one.

// appendix returns the text of ns in the listing of prefix.
func appendix(ns, prefix moqt.Namespace) string {
	suffix, _ := ns.Suffix(prefix)
	return suffix.String()
}

// formatList returns object 0 of a group.
func formatList(names []moqt.Namespace, prefix moqt.Namespace) []byte {
	lines, size := make([]string, 0, len(names)), 0
	for _, ns := range names {
		line := appendix(ns, prefix)
		lines = append(lines, line)
		size += len(line) + 1
	}
	slices.Sort(lines)
	list := make([]byte, 0, size)
	for _, line := range lines {
		list = append(append(list, line...), '\n')
	}
	return list
}

// formatChanges returns an object for each change, sorted by what follows the
// sign, and their size together.
func formatChanges(changes []live.Change, prefix moqt.Namespace) (objects [][]byte, size int) {
	for _, c := range changes {
		sign := "+"
		if c.Gone {
			sign = "-"
		}
		o := []byte(sign + appendix(c.Namespace, prefix))
		objects = append(objects, o)
		size += len(o)
	}
	slices.SortFunc(objects, func(a, b []byte) int { return slices.Compare(a[1:], b[1:]) })
	return objects, size
}

// minChanges is what changes may always weigh, bytes, so that a short list does
// not begin a group for each.
const minChanges = 1 << 10

// outgrown reports whether changes of a size outweigh the list that they follow.
func outgrown(list, changes int) bool { return changes > max(list, minChanges) }
