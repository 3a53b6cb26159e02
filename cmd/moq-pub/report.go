package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tributary-live/tributary/pub/bond"
)

// report shows every second how a bond fares: as a table where w is a terminal,
// and else as a line of JSON.
type report struct {
	w     io.Writer
	table bool
	width func() int // columns of the terminal, which may change
	last  atomic.Pointer[bond.Status]

	mu   sync.Mutex // guards what follows
	text string     // of the table that stands there
	// waiting is why paths cannot be used that are named.
	waiting map[string]string
}

// newReport returns a report to f, of lines of JSON in any case if json is set.
func newReport(f *os.File, json bool) *report {
	return &report{w: f, table: !json && isTerminal(f), width: func() int { return widthOf(f) }}
}

// usualWidth is the width of a terminal that does not tell it.
const usualWidth = 80

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// show is for [bond.Config].Report.
func (r *report) show(s bond.Status) {
	r.last.Store(&s)
	if !r.table {
		line, _ := json.Marshal(struct {
			Time time.Time `json:"time"`
			bond.Status
		}{time.Now(), s})
		r.w.Write(append(line, '\n'))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.erase()
	r.text = tableOf(s, r.waiting, r.width())
	io.WriteString(r.w, r.text)
}

// waits takes in why named paths cannot be used, of each that cannot. It keeps the
// map.
func (r *report) waits(waiting map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = waiting
}

// erase takes the table off the terminal. It needs r.mu.
func (r *report) erase() {
	if r.text != "" {
		fmt.Fprintf(r.w, "\x1b[%dA\x1b[J", strings.Count(r.text, "\n"))
	}
}

// above is a writer to the terminal that the table is on: what is written stands
// above it.
type above struct {
	w io.Writer
	r *report
}

func (a above) Write(p []byte) (int, error) {
	a.r.mu.Lock()
	defer a.r.mu.Unlock()
	a.r.erase()
	n, err := a.w.Write(p)
	io.WriteString(a.r.w, a.r.text)
	return n, err
}

// tableOf returns what a person wants to see, in lines of less than width columns:
// what a terminal breaks could not be erased by counting lines.
func tableOf(s bond.Status, waiting map[string]string, width int) string {
	var b strings.Builder
	line := func(format string, args ...any) {
		b.WriteString(cut(fmt.Sprintf(format, args...), width) + "\n")
	}
	line("%-12s %-9s %-7s %4s %11s %6s %6s %5s %5s %5s", "PATH", "COST", "STATE", "CONN", "RATE", "RTT", "LOSS", "SHARE", "SOLO", "FPS")
	for _, p := range s.Paths {
		line("%-12.12s %-9s %-7s %4d %11s %6s %5.1f%% %4.0f%% %4.0f%% %5.1f", p.Name, p.Cost, p.State, p.Connections,
			bits(p.Rate), p.RTT.Round(time.Millisecond), 100*p.Loss, 100*p.Share, 100*p.Solo.Share, p.Solo.FPS)
		for _, part := range fold(strings.Map(visible, p.Err), width-len(errIndent), errLines) {
			line("%s%s", errIndent, part)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(waiting)) {
		line("%-12.12s %-9s waits: %s", name, "", waiting[name])
	}
	switch {
	case len(s.Paths) > 0 && !slices.ContainsFunc(s.Paths, func(p bond.PathStatus) bool { return p.State != "alone" }):
		line("no bond at this relay; the log's line 'relay probed' says what each path does")
		return b.String()
	case s.Encoder == 0:
		line("%s: %s published; what fits shows when somebody watches", s.Mode, bits(s.Demand))
	default:
		line("%s: %s published, %s possible, encoder at most %s", s.Mode, bits(s.Demand), bits(s.Capacity), bits(s.Encoder))
	}
	line("%.1f %% sent twice, %.1f %% shed", percent(s.Stats.Copied+s.Stats.Reinjected, s.Stats.Unique), percent(s.Stats.Shed, s.Stats.Shed+s.Stats.Unique))
	return b.String()
}

// Why a path is not used stands beneath it.
const (
	errIndent = "  "
	errLines  = 3
)

// cut returns of s what goes into less than width columns.
func cut(s string, width int) string {
	if r := []rune(s); len(r) >= width {
		return string(r[:max(0, width-1)])
	}
	return s
}

// fold breaks s between words into lines of less than width columns, and leaves
// out what does not fit into most of them.
func fold(s string, width, most int) (lines []string) {
	for word := range strings.FieldsSeq(s) {
		last := len(lines) - 1
		switch {
		case last >= 0 && utf8.RuneCountInString(lines[last])+1+utf8.RuneCountInString(word) < width:
			lines[last] += " " + word
		case len(lines) == most:
			return lines
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// visible keeps what a peer has said from moving the cursor.
func visible(r rune) rune {
	if !unicode.IsPrint(r) {
		return '?'
	}
	return r
}

func percent(part, all int64) float64 { return 100 * float64(part) / float64(max(1, all)) }

// encoder answers with what the encoder should make, for scripts that set it.
func (r *report) encoder(w http.ResponseWriter, _ *http.Request) {
	s := r.last.Load()
	if s == nil || s.Encoder == 0 {
		http.Error(w, "no path has been up for long enough", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]int64{"bitrate": s.Encoder, "capacity": s.Capacity, "published": s.Demand})
}

// state is for /state.
func (r *report) state() any {
	if s := r.last.Load(); s != nil {
		return s
	}
	return struct{}{}
}

// Metrics of a bond. Those of a path have its name, which the operator has given.
var (
	descUp      = prometheus.NewDesc("moq_bond_path_connections", "Connections over the path.", []string{"path"}, nil)
	descRTT     = prometheus.NewDesc("moq_bond_path_rtt_seconds", "Round trip of the path, smoothed.", []string{"path"}, nil)
	descLoss    = prometheus.NewDesc("moq_bond_path_loss_ratio", "Share of packets lost in the last second.", []string{"path"}, nil)
	descSolo    = prometheus.NewDesc("moq_bond_path_solo_ratio", "Share of the pictures of the last two seconds that the path alone would have brought in time.", []string{"path"}, nil)
	descFPS     = prometheus.NewDesc("moq_bond_path_solo_frames_per_second", "Pictures a second that the path alone would have brought in time.", []string{"path"}, nil)
	descGap     = prometheus.NewDesc("moq_bond_path_solo_gap_seconds", "Longest time without a picture that the path alone would have brought.", []string{"path"}, nil)
	descLate    = prometheus.NewDesc("moq_bond_path_solo_lateness_seconds", "Age of pictures that the path alone would have brought, on average.", []string{"path"}, nil)
	descPicks   = prometheus.NewDesc("moq_bond_path_picks_total", "Groups that went over the path whole, in the mode best-fps.", []string{"path"}, nil)
	descSent    = prometheus.NewDesc("moq_bond_path_sent_bytes_total", "Bytes sent over the path, UDP payload.", []string{"path"}, nil)
	descMoves   = prometheus.NewDesc("moq_bond_migrations_total", "Moves of a connection from one path to another.", nil, nil)
	descBytes   = prometheus.NewDesc("moq_bond_bytes_total", "Bytes of payload, by what became of them.", []string{"fate"}, nil)
	descRoom    = prometheus.NewDesc("moq_bond_capacity_bytes_per_second", "What the paths in use can carry.", nil, nil)
	descEncoder = prometheus.NewDesc("moq_bond_encoder_bytes_per_second", "What the encoder should make at most.", nil, nil)
)

// Describe and Collect make a report a [prometheus.Collector].
func (r *report) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descUp, descRTT, descLoss, descSolo, descFPS, descGap, descLate, descPicks, descSent, descMoves, descBytes, descRoom, descEncoder} {
		c <- d
	}
}

func (r *report) Collect(c chan<- prometheus.Metric) {
	s := r.last.Load()
	if s == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	for _, p := range s.Paths {
		gauge(descUp, float64(p.Connections), p.Name)
		gauge(descRTT, p.RTT.Seconds(), p.Name)
		gauge(descLoss, p.Loss, p.Name)
		gauge(descSolo, p.Solo.Share, p.Name)
		gauge(descFPS, p.Solo.FPS, p.Name)
		gauge(descGap, p.Solo.Gap/1000, p.Name)
		gauge(descLate, p.Solo.Lateness/1000, p.Name)
		counter(descPicks, p.Picks, p.Name)
		counter(descSent, p.Sent, p.Name)
	}
	counter(descMoves, s.Migrations)
	counter(descBytes, s.Stats.Unique, "sent")
	counter(descBytes, s.Stats.Copied, "copied")
	counter(descBytes, s.Stats.Reinjected, "reinjected")
	counter(descBytes, s.Stats.Shed, "shed")
	gauge(descRoom, float64(s.Capacity)/8)
	gauge(descEncoder, float64(s.Encoder)/8)
}
