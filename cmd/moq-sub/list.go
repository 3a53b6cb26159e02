package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// quiet is how long the relay must say nothing new for the list to be whole:
// what it knows when it is asked, it tells at once.
const quiet = 300 * time.Millisecond

// list prints the namespaces that are live under a prefix, one a line.
func list(ctx context.Context, c *cli.Context, relays *relays, prefix moqt.Namespace, out io.Writer) error {
	sess, err := relays.dial(ctx)
	if err != nil {
		return err
	}
	defer sess.Close()
	names, err := sess.WatchNamespaces(ctx, prefix)
	if err != nil {
		return fmt.Errorf("list %q: %w", prefix.Slashed(), err)
	}
	defer names.Close()
	live := make(map[moqt.Namespace]bool)
	for {
		e, err := nextWithin(ctx, names, quiet)
		if err == errQuiet {
			break
		}
		if err != nil {
			return fmt.Errorf("list %q: %w", prefix.Slashed(), err)
		}
		live[e.Namespace] = !e.Gone
	}
	var lines []string
	for ns, there := range live {
		if !there {
			continue
		}
		line := ns.Slashed()
		if c.Bool("json") {
			b, err := json.Marshal(nameLine{ns.Slashed(), ns.Fields()})
			if err != nil {
				return err
			}
			line = string(b)
		}
		lines = append(lines, line+"\n")
	}
	if len(lines) == 0 { // not on stdout, which scripts read
		where := ""
		if prefix.Len() > 0 {
			where = fmt.Sprintf(" under %q", prefix.Slashed())
		}
		fmt.Fprintf(c.App.ErrWriter, "moq-sub: nothing is live%s\n", where)
	}
	slices.Sort(lines)
	for _, l := range lines {
		if _, err := io.WriteString(out, l); err != nil {
			return err
		}
	}
	return nil
}

// nameLine is what --list --json prints of a namespace.
type nameLine struct {
	Namespace string   `json:"namespace"` // fields joined by /
	Fields    []string `json:"fields"`
}

var errQuiet = fmt.Errorf("nothing new for %v", quiet)

func nextWithin(ctx context.Context, names *transport.NamespaceReader, d time.Duration) (transport.NamespaceEvent, error) {
	wait, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	e, err := names.Next(wait)
	if err != nil && wait.Err() != nil && ctx.Err() == nil {
		err = errQuiet
	}
	return e, err
}
