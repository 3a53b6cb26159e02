package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/internal/app"
	"github.com/tributary-live/tributary/internal/netif"
)

// listPaths prints the interfaces, and what becomes of them.
func listPaths(c *cli.Context) error {
	values := c.StringSlice("path")
	if len(values) == 0 {
		values = []string{"auto"}
	}
	p, err := parsePaths(values)
	if err != nil {
		return app.Usagef("%w", err)
	}
	list, err := netif.List()
	if err != nil {
		return fmt.Errorf("list the network interfaces: %w", err)
	}
	return p.print(c.App.Writer, list, netif.Speed)
}

// print prints a line for each interface: the rate is that of the link where the
// system knows it.
func (p paths) print(w io.Writer, list []netif.Interface, speed func(name string) int64) error {
	uses, verdicts := p.choose(list)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "INTERFACE\tKIND\tSTATE\tADDRESS\tRATE\tVERDICT")
	for _, i := range list {
		state, addr, rate := "down", "-", "-"
		if i.Up {
			state = "up"
		}
		if len(i.Addrs) > 0 {
			addr = i.Addrs[0].String()
		}
		if s := speed(i.Name); s > 0 {
			rate = bits(s)
		}
		verdict := verdicts[i.Name]
		if verdict != "" {
			verdict = "not used: " + verdict
		}
		for _, u := range uses {
			if u.iface != i.Name {
				continue
			}
			verdict = "used, " + u.cost.String()
			if u.name != u.iface {
				verdict += ", as " + u.name
			}
			if u.cap > 0 {
				verdict += ", at most " + bits(u.cap)
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", i.Name, i.Kind, state, addr, rate, verdict)
	}
	for _, s := range p.specs {
		if _, there := verdicts[s.iface]; !there {
			fmt.Fprintf(t, "%s\t%s\tabsent\t-\t-\twaited for\n", s.iface, netif.KindOf(s.iface))
		}
	}
	return t.Flush()
}

// bits returns a rate as people write it.
func bits(rate int64) string {
	switch {
	case rate >= 1e9:
		return fmt.Sprintf("%.3g Gbit/s", float64(rate)/1e9)
	case rate >= 1e6:
		return fmt.Sprintf("%.3g Mbit/s", float64(rate)/1e6)
	}
	return fmt.Sprintf("%.3g kbit/s", float64(rate)/1e3)
}
