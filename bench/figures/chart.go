package figures

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// chart is a picture of some series over common labels.
type chart struct {
	title, unit string
	labels      []string
	series      []series
	lines       bool // else bars
}

// series has a value for each label; NaN is none.
type series struct {
	name   string
	values []float64
}

// Sizes in pixels.
const (
	chartWidth, chartHeight         = 720, 360
	marginLeft, marginRight         = 64, 16
	marginTop, marginBottom         = 56, 40
	plotWidth                       = chartWidth - marginLeft - marginRight
	plotHeight                      = chartHeight - marginTop - marginBottom
	gap                     float64 = 0.25 // of the room for a label
)

// colours can be told apart in print and by those who see few of them.
var colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}

// svg draws the chart. Its ground is white, so that it can be read on a dark
// page too.
func (c *chart) svg() string {
	top, step := scale(c.most())
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="sans-serif" font-size="12" role="img">`+"\n",
		chartWidth, chartHeight, chartWidth, chartHeight)
	fmt.Fprintf(&b, `<title>%s</title><rect width="100%%" height="100%%" fill="#fff"/>`+"\n", html.EscapeString(c.title))
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="14" font-weight="bold">%s</text>`+"\n", marginLeft, html.EscapeString(c.title))
	y := func(v float64) float64 { return marginTop + plotHeight*(1-v/top) }
	for v := 0.0; v <= top*1.0001; v += step {
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			marginLeft, chartWidth-marginRight, y(v), y(v), marginLeft-6, y(v)+4, short(v))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", marginLeft-6, marginTop-14, html.EscapeString(c.unit))
	room := float64(plotWidth) / float64(len(c.labels))
	for i, l := range c.labels {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", marginLeft+room*(float64(i)+0.5), chartHeight-marginBottom+18, html.EscapeString(l))
	}
	for i, s := range c.series {
		colour := colours[i%len(colours)]
		if c.lines {
			c.line(&b, s, colour, room, y)
		} else {
			c.bars(&b, s, i, colour, room, y)
		}
		x := marginLeft + i*plotWidth/max(len(c.series), 3)
		fmt.Fprintf(&b, `<rect x="%d" y="30" width="10" height="10" fill="%s"/><text x="%d" y="39">%s</text>`+"\n", x, colour, x+14, html.EscapeString(s.name))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (c *chart) bars(b *strings.Builder, s series, nth int, colour string, room float64, y func(float64) float64) {
	width := room * (1 - gap) / float64(len(c.series))
	for i, v := range s.values {
		if math.IsNaN(v) {
			continue
		}
		x := marginLeft + room*(float64(i)+gap/2) + width*float64(nth)
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/><text x="%.1f" y="%.1f" text-anchor="middle" font-size="10">%s</text>`+"\n",
			x, y(v), width, y(0)-y(v), colour, x+width/2, y(v)-3, short(v))
	}
}

func (c *chart) line(b *strings.Builder, s series, colour string, room float64, y func(float64) float64) {
	var points []string
	for i, v := range s.values {
		if math.IsNaN(v) {
			continue
		}
		x := marginLeft + room*(float64(i)+0.5)
		points = append(points, fmt.Sprintf("%.1f,%.1f", x, y(v)))
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/><text x="%.1f" y="%.1f" text-anchor="middle" font-size="10">%s</text>`+"\n", x, y(v), colour, x, y(v)-7, short(v))
	}
	fmt.Fprintf(b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), colour)
}

func (c *chart) most() float64 {
	most := 0.0
	for _, s := range c.series {
		for _, v := range s.values {
			if v > most { // never with NaN
				most = v
			}
		}
	}
	return most
}

// scale returns the top of an axis that reaches most, and the distance of its
// lines.
func scale(most float64) (top, step float64) {
	if most <= 0 {
		return 1, 1
	}
	step = math.Pow(10, math.Floor(math.Log10(most)))
	for most/step < 4 {
		step /= 2
	}
	return step * math.Ceil(most/step*1.05), step
}

// short prints v with two or three digits.
func short(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	}
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}
