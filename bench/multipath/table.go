package multipath

import (
	"time"

	"github.com/tributary-live/tributary/pub/bond"
	wire "github.com/tributary-live/tributary/transport/bond"
)

// Scenarios returns all, in the order of the table of what is to be shown.
func Scenarios() []*Scenario {
	var all []*Scenario
	all = append(all, bulks()...)
	all = append(all, lives()...)
	all = append(all, cuts()...)
	all = append(all, replays()...)
	all = append(all, others()...)
	return append(all, hostiles()...)
}

// links names rates and round trips. The first link is the best one.
func links(rate1 float64, rtt1 time.Duration, rate2 float64, rtt2 time.Duration) []Link {
	return []Link{{Name: "eth0", Rate: rate1, RTT: rtt1}, {Name: "wlan0", Rate: rate2, RTT: rtt2}}
}

func lossy(l []Link, share float64) []Link {
	for i := range l {
		l[i].Loss = share
	}
	return l
}

const ms = time.Millisecond

func bulks() []*Scenario {
	bulk := func(number, name string, l []Link, target float64) *Scenario {
		return &Scenario{Number: number, Name: name, Links: l, Mode: bond.Aggregate, Length: 20 * time.Second, From: 5 * time.Second,
			judge: func(j *judgement) []row {
				rows := []row{j.row("share of the links' rate", "%", efficiency, lowest, atLeast(target, target-15))}
				if ours, theirs, ok := j.against(MPTCP, efficiency); ok {
					allowed := 0.0
					if number == "1" {
						allowed = -1
					}
					rows = append(rows, j.told("share of the links' rate, above MPTCP", "points", ours-theirs, atLeast(allowed, -10)))
				}
				return rows
			}}
	}
	return []*Scenario{
		bulk("1", "bulk-10+10", links(10, 50*ms, 10, 50*ms), 93),
		bulk("2", "bulk-10+2", links(10, 50*ms, 2, 120*ms), 92),
		bulk("3", "bulk-5+3", links(5, 50*ms, 3, 120*ms), 92),
		bulk("4a", "bulk-10+10-loss-0.2%", lossy(links(10, 50*ms, 10, 50*ms), 0.002), 80),
		bulk("4b", "bulk-10+10-loss-1%", lossy(links(10, 50*ms, 10, 50*ms), 0.01), 70),
	}
}

func lives() []*Scenario {
	live := func(number, name string, l []Link, bitrate float64, judge func(*judgement) []row) *Scenario {
		return &Scenario{Number: number, Name: name, Links: l, Load: Load{Bitrate: bitrate}, Mode: bond.Aggregate,
			Length: 35 * time.Second, From: 5 * time.Second, judge: judge}
	}
	three := func(n int) []Link {
		names := []string{"usb0", "usb1", "usb2", "usb3"}
		var l []Link
		for _, name := range names[:n] {
			l = append(l, Link{Name: name, Rate: 0.8, RTT: 60 * ms})
		}
		return l
	}
	steady := live("7a", "cbr-2-on-3x0.8", three(3), 2, func(j *judgement) []row {
		return []row{
			j.row("late@1000", "%", late1000, highest, atMost(0, 1)),
			j.row("late@500", "%", late500, highest, atMost(2, 10)),
		}
	})
	plugged := live("7b", "cbr-2-on-2x0.8-and-a-third", three(3), 2, func(j *judgement) []row {
		return []row{j.row("late@1000 from 2 s after", "%", late1000, highest, atMost(0, 5))}
	})
	plugged.Links[2].Later = true
	plugged.Steps = []Step{{At: 10 * time.Second, Link: 2, Do: Plug}}
	plugged.From = 12 * time.Second
	pulled := live("7c", "cbr-2-on-4x0.8-one-pulled", three(4), 2, func(j *judgement) []row {
		return []row{j.row("late@1000", "%", late1000, highest, atMost(0, 5))}
	})
	pulled.Length = 45 * time.Second
	for i := range pulled.Links { // each in turn
		at := time.Duration(8+8*i) * time.Second
		pulled.Steps = append(pulled.Steps, Step{At: at, Link: i, Do: Unplug}, Step{At: at + 4*time.Second, Link: i, Do: Plug})
	}
	return []*Scenario{
		live("5", "cbr-9-on-10+2", links(10, 50*ms, 2, 120*ms), 9, func(j *judgement) []row {
			rows := []row{
				j.row("p99", "ms", p99, highest, atMost(250, 1000)),
				j.row("late@500", "%", late500, highest, atMost(0, 5)),
			}
			if ours, theirs, ok := j.against(Single, p99); ok {
				rows = append(rows, j.told("p99 / the best link alone", "x", ours/max(theirs, 1), atMost(1, 2)))
			}
			return append(rows, j.heldRows()...)
		}),
		live("6", "cbr-6-on-5+3", links(5, 50*ms, 3, 120*ms), 6, func(j *judgement) []row {
			return []row{
				j.row("p99", "ms", p99, highest, atMost(300, 1000)),
				j.row("late@500", "%", late500, highest, atMost(0.5, 5)),
			}
		}),
		steady, plugged, pulled,
		live("11", "cbr-4-on-10+10-loss-1%", lossy(links(10, 50*ms, 10, 50*ms), 0.01), 4, func(j *judgement) []row {
			return []row{
				j.row("late@200", "%", late200, highest, atMost(1, 10)),
				j.row("late@500", "%", late500, highest, atMost(0, 5)),
			}
		}),
	}
}

func cuts() []*Scenario {
	cut := func(number, name string, mode bond.Mode, judge func(*judgement) []row) *Scenario {
		// Far from a key frame, which holds up what comes after it by itself.
		const at = 10500 * ms
		return &Scenario{Number: number, Name: name, Links: links(10, 50*ms, 10, 50*ms), Load: Load{Bitrate: 4, Audio: true}, Mode: mode,
			Length: 20 * time.Second, From: 5 * time.Second, Gap: at,
			Steps: []Step{{At: at, Link: 0, Do: Cut}, {At: at + 3*time.Second, Link: 0, Do: Restore}},
			judge: judge}
	}
	hitless := func(j *judgement) []row {
		return []row{
			j.row("objects lost", "", lost, highest, atMost(0, 1)),
			j.row("gap", "ms", gap, highest, atMost(50, 200)),
		}
	}
	return []*Scenario{
		cut("8", "cut-aggregate", bond.Aggregate, func(j *judgement) []row {
			return append([]row{
				j.row("gap", "ms", gap, highest, atMost(100, 400)),
				j.told("worst gap", "ms", j.worst(gap, highest), atMost(250, 1000)),
				j.row("late@500", "%", late500, highest, atMost(0, 5)),
			}, j.heldRows()...)
		}),
		cut("9a", "cut-redundant", bond.Redundant, hitless),
		cut("9b", "cut-hybrid", bond.Hybrid, func(j *judgement) []row {
			return []row{
				j.row("key frames and sound lost", "", vitalLost, highest, atMost(0, 1)),
				j.row("longest for a key frame or sound", "ms", vitalMax, highest, atMost(150, 500)),
				j.row("gap", "ms", gap, highest, atMost(100, 400)),
			}
		}),
	}
}

// judged is the age at which a picture of the replays counts as late. Who is judged
// by it says so with --deadline: otherwise what is late by then would go first.
const judged = 500 * ms

// replays are the pairs of real traces, at two bitrates where that is told.
func replays() []*Scenario {
	verizon := Link{Name: "verizon", Trace: "lte-verizon-short.up", RTT: 60 * ms}
	tmobile := Link{Name: "tmobile", Trace: "lte-tmobile-short.up", RTT: 60 * ms}
	att := Link{Name: "att", Trace: "lte-att-driving-2016.up", RTT: 60 * ms}
	umts := Link{Name: "umts", Trace: "umts-tmobile-driving.up", RTT: 120 * ms, Queue: 300 * ms}
	starlink := Link{Name: "starlink", Trace: "starlink-autobahn-300s.up.csv", RTT: 50 * ms}
	nr := Link{Name: "5g", Trace: "5g-ireland-driving-180s.down.csv", RTT: 30 * ms}
	var all []*Scenario
	for _, r := range []struct {
		name     string
		links    []Link
		bitrates []float64 // 0 follows what is advised
	}{
		{"A", []Link{verizon, tmobile}, []float64{4, 8, 0}},
		{"B", []Link{att, verizon}, []float64{2, 4, 0}},
		{"C", []Link{starlink, verizon}, []float64{4, 8, 0}},
		{"D", []Link{starlink, att, umts}, []float64{2, 4, 0}},
		{"E", []Link{nr, att}, []float64{2, 0}},
	} {
		for _, bitrate := range r.bitrates {
			s := &Scenario{Number: r.name, Name: r.name + "-cbr-" + short(bitrate), Links: r.links, Load: Load{Bitrate: bitrate},
				Mode: bond.Aggregate, Deadline: judged, Length: 120 * time.Second, judge: closure}
			if bitrate == 0 {
				s.Name, s.Load, s.judge = r.name+"-adaptive", Load{Bitrate: 1, Adaptive: true}, adapted
			}
			for _, l := range r.links {
				s.Name += "-" + l.Name
			}
			all = append(all, s)
		}
	}
	return all
}

func others() []*Scenario {
	overhead := func(number, name string, mode bond.Mode, most float64) *Scenario {
		return &Scenario{Number: number, Name: name, Links: links(10, 50*ms, 10, 50*ms), Load: Load{Bitrate: 4, Audio: true}, Mode: mode,
			Length: 25 * time.Second, From: 5 * time.Second, judge: func(j *judgement) []row {
				return []row{j.row("sent again", "%", copies, highest, atMost(most, 2*most))}
			}}
	}
	metered := &Scenario{Number: "14", Name: "backup", Load: Load{Bitrate: 4, Audio: true}, Mode: bond.Hybrid,
		Links:  []Link{{Name: "wlan0", Rate: 10, RTT: 30 * ms}, {Name: "usb0", Rate: 10, RTT: 60 * ms, Cost: wire.Backup}},
		Length: 65 * time.Second, From: 5 * time.Second,
		judge: func(j *judgement) []row {
			return []row{
				j.row("over the backup", "%", backup, highest, atMost(15, 50)),
				j.row("late@500", "%", late500, highest, atMost(0.2, 5)),
			}
		}}
	for at := 10 * time.Second; at < metered.Length; at += 20 * time.Second {
		metered.Steps = append(metered.Steps, Step{At: at, Do: Cut}, Step{At: at + time.Second, Do: Restore})
	}
	// One of the two is pulled and plugged in again, a hundred times. The relay
	// notices some of that only when their sessions have been silent for too long.
	flapping := &Scenario{Number: "13a", Name: "flapping-100x", Links: links(10, 50*ms, 10, 50*ms), Load: Load{Bitrate: 4, Audio: true}, Mode: bond.Hybrid,
		Length: 60 * time.Second, From: 5 * time.Second, Settle: 40 * time.Second,
		judge: func(j *judgement) []row { return append(j.unharmed(), j.leftRows()...) }}
	for i := range 100 {
		at := 6*time.Second + time.Duration(i)*500*ms
		flapping.Steps = append(flapping.Steps, Step{At: at, Link: 1, Do: Unplug}, Step{At: at + 250*ms, Link: 1, Do: Plug})
	}
	cost := func(number, name string, mode bond.Mode, most float64) *Scenario {
		return &Scenario{Number: number, Name: name, Links: links(30, 50*ms, 30, 50*ms), Load: Load{Bitrate: 20}, Mode: mode, Real: true,
			Length: 20 * time.Second, From: 5 * time.Second, judge: func(j *judgement) []row {
				ours, theirs, ok := j.against(Single, cpu)
				rows := j.heldRows()
				if !ok || theirs == 0 {
					return append(rows, j.told("CPU of the relay, ms/Mbit", "", ours, nil))
				}
				return append(rows, j.told("CPU of the relay / one session", "x", ours/theirs, atMost(most, 2*most)))
			}}
	}
	// Beside somebody else's connection on one link.
	fair := func(number, name string, l []Link) *Scenario {
		return &Scenario{Number: number, Name: name, Links: l[:1], Mode: bond.Aggregate, Rival: true,
			Length: 35 * time.Second, From: 15 * time.Second, judge: func(j *judgement) []row {
				if j.on == Real {
					return []row{j.keptRow("TCP")}
				}
				return []row{j.keptRow("QUIC")}
			}}
	}
	lossyFair := fair("16b", "beside-another-on-10-loss-1%", lossy(links(10, 50*ms, 0, 0), 0.01))
	lossyFair.Long, lossyFair.Simulated = true, true
	return []*Scenario{
		fair("16a", "beside-another-on-10", links(10, 50*ms, 0, 0)), lossyFair,
		mixed(),
		overhead("10a", "overhead-aggregate", bond.Aggregate, 3),
		overhead("10b", "overhead-hybrid", bond.Hybrid, 15),
		cost("12a", "relay-cost-aggregate", bond.Aggregate, 1.3), cost("12b", "relay-cost-redundant", bond.Redundant, 2.2),
		flapping, metered,
	}
}

// mixed has four paths that have little in common. Each is cut and comes back, and
// each is pulled and plugged in again.
func mixed() *Scenario {
	s := &Scenario{Number: "17", Name: "four-mixed-paths", Load: Load{Bitrate: 8, Audio: true}, Mode: bond.Hybrid,
		Links: []Link{
			{Name: "fibre", Rate: 20, RTT: 10 * ms},
			{Name: "lte", Rate: 6, RTT: 50 * ms, Loss: 0.005, Burst: 3},
			{Name: "umts", Rate: 3, RTT: 40 * ms, Jitter: 80 * ms},
			{Name: "satellite", Rate: 12, RTT: 600 * ms},
		},
		From: 5 * time.Second, judge: func(j *judgement) []row { return j.unharmed() }}
	at := 8 * time.Second
	for _, do := range [][2]Action{{Cut, Restore}, {Unplug, Plug}} {
		for i := range s.Links {
			s.Steps = append(s.Steps, Step{At: at, Link: i, Do: do[0]}, Step{At: at + 3*time.Second, Link: i, Do: do[1]})
			at += 6 * time.Second
		}
	}
	s.Length = at
	return s
}
