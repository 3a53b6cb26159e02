package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
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
	if c.Bool("json") {
		return p.printJSON(c.App.Writer, list, netif.Speed)
	}
	return p.print(c.App.Writer, list, netif.Speed)
}

// row is what is told of an interface, or of one that is not there.
type row struct {
	Interface string       `json:"interface"`
	Kind      netif.Kind   `json:"kind"`
	State     string       `json:"state"` // up, down, absent
	Addresses []netip.Addr `json:"addresses"`
	Rate      int64        `json:"rate,omitempty"` // bits/s of the link, where the system knows it
	Used      bool         `json:"used"`
	Paths     []string     `json:"paths,omitempty"` // that go over it
	Verdict   string       `json:"verdict"`
}

// rows returns what is told of each interface.
func (p paths) rows(list []netif.Interface, speed func(name string) int64) (rows []row) {
	uses, verdicts := p.choose(list)
	for _, i := range list {
		r := row{Interface: i.Name, Kind: i.Kind, State: "down", Addresses: append([]netip.Addr{}, i.Addrs...), Rate: speed(i.Name), Verdict: "not used: " + verdicts[i.Name]}
		if i.Up {
			r.State = "up"
		}
		var how []string
		for _, u := range uses {
			if u.iface != i.Name {
				continue
			}
			r.Used, r.Paths = true, append(r.Paths, u.name)
			verdict := u.cost.String()
			if u.name != u.iface {
				verdict += ", as " + u.name
			}
			if u.cap > 0 {
				verdict += ", at most " + bits(u.cap)
			}
			how = append(how, verdict)
		}
		if r.Used {
			r.Verdict = "used, " + strings.Join(how, "; ")
		}
		rows = append(rows, r)
	}
	for _, s := range p.specs {
		if _, there := verdicts[s.iface]; !there {
			rows = append(rows, row{Interface: s.iface, Kind: netif.KindOf(s.iface), State: "absent", Addresses: []netip.Addr{}, Verdict: "waited for"})
		}
	}
	return rows
}

// print prints a line for each interface.
func (p paths) print(w io.Writer, list []netif.Interface, speed func(name string) int64) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "INTERFACE\tKIND\tSTATE\tADDRESS\tRATE\tVERDICT")
	for _, r := range p.rows(list, speed) {
		addr, rate := "-", "-"
		if len(r.Addresses) > 0 {
			addr = r.Addresses[0].String()
		}
		if r.Rate > 0 {
			rate = bits(r.Rate)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Interface, r.Kind, r.State, addr, rate, r.Verdict)
	}
	return t.Flush()
}

// printJSON prints a line of JSON for each interface.
func (p paths) printJSON(w io.Writer, list []netif.Interface, speed func(name string) int64) error {
	e := json.NewEncoder(w)
	for _, r := range p.rows(list, speed) {
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	return nil
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
