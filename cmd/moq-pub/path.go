package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tributary-live/tributary/internal/netif"
	"github.com/tributary-live/tributary/pub/bond"
	"github.com/tributary-live/tributary/transport"
)

// pathSpec is what --path says of one path.
type pathSpec struct {
	name  string
	iface string
	cost  bond.Cost
	never bool // it is not to be used, whatever --path auto finds
	cap   int64
	relay string // URL, if it is another than that of the others
}

// paths is what all --path say together.
type paths struct {
	auto  bool
	specs []pathSpec
}

// parsePaths reads the values of --path: auto; names of interfaces, separated by
// commas; or NAME=IFACE. Options behind them are for all of the value. At least
// one path has to be left to use.
func parsePaths(values []string) (paths, error) {
	var p paths
	for _, v := range values {
		specs, err := parsePath(v)
		if err != nil {
			return paths{}, fmt.Errorf("--path %q: %w", v, err)
		}
		for _, s := range specs {
			if s.iface == "auto" {
				p.auto = true
				continue
			}
			for _, o := range p.specs {
				if o.name == s.name {
					return paths{}, fmt.Errorf("--path %q: there are two paths %s; give each a NAME of its own, as in second=%s", v, s.name, s.iface)
				}
			}
			p.specs = append(p.specs, s)
		}
	}
	if !p.auto && !slices.ContainsFunc(p.specs, func(s pathSpec) bool { return !s.never }) {
		return paths{}, errors.New("--path: cost=never leaves no path; add --path auto, or another interface")
	}
	return p, nil
}

// lead says why none of the paths can lead to the relay at server, if that is seen
// at once: it is on this machine, which other interfaces than the loopback do not
// lead to.
func (p paths) lead(server string) error {
	u, err := url.Parse(server)
	if err != nil {
		return nil // dialling says it better
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if u.Hostname() != "localhost" && (err != nil || !addr.IsLoopback()) {
		return nil
	}
	if slices.ContainsFunc(p.specs, func(s pathSpec) bool { return s.relay != "" || strings.HasPrefix(s.iface, "lo") }) {
		return nil
	}
	return fmt.Errorf("%s is this machine, where only its interface lo leads: to try paths here, give --path one=lo --path two=lo", server)
}

func parsePath(value string) ([]pathSpec, error) {
	var specs []pathSpec
	var option pathSpec
	options := make(map[string]bool)
	for i, word := range strings.Split(value, ",") {
		key, val, is := strings.Cut(word, "=")
		var err error
		switch {
		case word == "" || is && (key == "" || val == ""):
			return nil, fmt.Errorf("something is missing at %q; it looks like auto, wlan0,usb0 or NAME=IFACE, with ,cost= ,cap= or ,relay= behind", word)
		case is && options[key]:
			return nil, fmt.Errorf("%s= is there twice", key)
		case is && key == "cost":
			option.cost, option.never, err = parseCost(val)
			options[key] = true
		case is && key == "cap":
			option.cap, err = parseRate(val)
			options[key] = true
		case is && key == "relay":
			option.relay, err = parseRelay(val)
			options[key] = true
		case len(options) > 0:
			return nil, fmt.Errorf("%q stands behind an option: give it in a --path of its own", word)
		case is && i > 0:
			return nil, fmt.Errorf("%q is none of the options cost=, cap= and relay=, and a path with a name of its own is alone in its --path", word)
		case is:
			specs = append(specs, pathSpec{name: key, iface: val})
		default:
			specs = append(specs, pathSpec{name: word, iface: word})
		}
		if err != nil {
			return nil, err
		}
	}
	if len(specs) == 0 {
		return nil, fmt.Errorf("it names no interface; put one, or NAME=IFACE, before the options")
	}
	for i := range specs {
		s := &specs[i]
		if s.iface == "auto" && (len(options) > 0 || s.name != "auto") {
			return nil, fmt.Errorf("auto takes no options: name the interface in another --path")
		}
		if !printable(s.name) {
			return nil, fmt.Errorf("the name %q is not printable ASCII of at most 64 letters", s.name)
		}
		s.cost, s.never, s.cap, s.relay = option.cost, option.never, option.cap, option.relay
	}
	return specs, nil
}

func printable(name string) bool {
	for _, c := range []byte(name) {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return len(name) <= 64
}

func parseCost(s string) (cost bond.Cost, never bool, err error) {
	switch s {
	case "primary":
		return bond.Primary, false, nil
	case "secondary":
		return bond.Secondary, false, nil
	case "backup":
		return bond.Backup, false, nil
	case "never":
		return bond.Backup, true, nil
	}
	return 0, false, fmt.Errorf("cost %q is none of primary, secondary, backup, never", s)
}

// parseRelay checks the URL of a relay.
func parseRelay(s string) (string, error) {
	if err := transport.CheckURL(s); err != nil {
		return "", fmt.Errorf("relay %q: %w", s, err)
	}
	return s, nil
}

// leastCap is the lowest rate that a path may be held to, in bits/s. Less than a
// sound's is a unit forgotten.
const leastCap = 8000

// parseRate reads bits a second, such as 800kbit, 5Mbit or 2.5Mbit/s.
func parseRate(s string) (int64, error) {
	number, scale := s, 1.0
	lower := strings.TrimSuffix(strings.ToLower(s), "/s")
	for unit, by := range map[string]float64{"kbit": 1e3, "mbit": 1e6, "gbit": 1e9} {
		if n, ok := strings.CutSuffix(lower, unit); ok {
			number, scale = n, by
		}
	}
	if scale == 1 {
		number = strings.TrimSuffix(lower, "bit")
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v > 0) || v*scale > math.MaxInt32*1e3 {
		return 0, fmt.Errorf("cap %q is no rate: it looks like 800kbit or 5Mbit", s)
	}
	if v*scale < leastCap {
		return 0, fmt.Errorf("cap %q is %g bit/s, too few for any media: it looks like 800kbit or 5Mbit", s, v*scale)
	}
	return int64(v * scale), nil
}

// use is a path that an interface is to be used for.
type use struct {
	pathSpec
	netif netif.Interface
}

// choose returns which of the interfaces are to be used, and why each of the
// others is not.
func (p paths) choose(list []netif.Interface) (uses []use, verdicts map[string]string) {
	verdicts = make(map[string]string)
	for _, i := range list {
		verdict := i.Verdict()
		named := false
		for _, s := range p.specs {
			if s.iface != i.Name {
				continue
			}
			named = true
			verdict = i.Insist()
			if s.never {
				verdict = "cost=never"
			}
			if verdict == "" {
				uses = append(uses, use{s, i})
			}
		}
		if !named && verdict == "" {
			if p.auto {
				uses = append(uses, use{pathSpec{name: i.Name, iface: i.Name}, i})
			} else {
				verdict = "not named by --path"
			}
		}
		verdicts[i.Name] = verdict
	}
	return uses, verdicts
}
