package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// query is what an expression of Prometheus asks for.
type query struct {
	selectors []selector
	by        []string // labels that sums keep; nil if there is no sum
}

// selector is one metric in it. Values of labels are as they stand after the
// operator: =x, !=x, =~x, !~x.
type selector struct {
	metric string
	labels map[string]string
}

var (
	promToken  = regexp.MustCompile(`^\s*(\d+(?:ms|[smhdwy])|\d+(?:\.\d+)?|[a-zA-Z_:][\w:]*|"(?:[^"\\]|\\.)*"|==|!=|>=|<=|=~|!~|[-+*/%^<>=(){}\[\],])`)
	promSpan   = regexp.MustCompile(`^\d+(ms|[smhdwy])$`)
	promNumber = regexp.MustCompile(`^\d+(\.\d+)?$`)
	promName   = regexp.MustCompile(`^[a-zA-Z_:]`)
)

// promSums are those that are used here, of the aggregation operators; promCalls,
// of the functions, whether they want a range.
var (
	promSums  = []string{"sum", "max", "min", "avg", "count"}
	promCalls = map[string]bool{"rate": true, "increase": true, "histogram_quantile": false, "vector": false}
	promOps   = []string{"or", "and", "unless", "==", "!=", "<=", "<", ">=", ">", "+", "-", "*", "/", "%", "^"}
)

// parseQuery reads the part of PromQL that the dashboard and the alerts are
// written in. It takes no binary operator for stronger than another, which is of no
// matter to what is asked for.
func parseQuery(text string) (q query, err error) {
	p := &promParser{q: &q}
	for rest := text; strings.TrimSpace(rest) != ""; {
		m := promToken.FindStringSubmatch(rest)
		if m == nil {
			return q, fmt.Errorf("%q: what is %q?", text, rest)
		}
		p.tokens = append(p.tokens, m[1])
		rest = rest[len(m[0]):]
	}
	defer func() {
		if wrong, ok := recover().(promError); ok {
			err = fmt.Errorf("%q: %s, before %q", text, string(wrong), strings.Join(p.tokens, " "))
		}
	}()
	if p.expression() {
		panic(promError("a range is no result"))
	}
	if len(p.tokens) > 0 {
		panic(promError("too much"))
	}
	return q, nil
}

type promError string

type promParser struct {
	q      *query
	tokens []string
}

// next takes the next token if it is one of these.
func (p *promParser) next(want ...string) bool {
	if len(p.tokens) == 0 || !slices.Contains(want, p.tokens[0]) {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *promParser) must(want string) {
	if !p.next(want) {
		panic(promError("no " + want))
	}
}

// take takes the next token, which must be like this.
func (p *promParser) take(what string, like *regexp.Regexp) string {
	if len(p.tokens) == 0 || !like.MatchString(p.tokens[0]) {
		panic(promError("no " + what))
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

// expression reports whether it has read a range, as [5m] makes.
func (p *promParser) expression() (isRange bool) {
	isRange = p.operand()
	for p.next(promOps...) {
		p.next("bool")
		if p.next("on", "ignoring") {
			p.names()
		}
		if p.operand() || isRange {
			panic(promError("a range is no operand"))
		}
	}
	return isRange
}

func (p *promParser) operand() (isRange bool) {
	switch {
	case p.next("-"):
		return p.operand()
	case p.next("("):
		isRange = p.expression()
		p.must(")")
		return isRange
	case len(p.tokens) > 0 && promNumber.MatchString(p.tokens[0]):
		p.tokens = p.tokens[1:]
		return false
	}
	name := p.take("name", promName)
	wantsRange, isCall := promCalls[name]
	switch {
	case slices.Contains(promSums, name):
		if p.q.by == nil {
			p.q.by = []string{}
		}
		if p.next("by") {
			p.q.by = append(p.q.by, p.names()...)
		}
		p.arguments(name, false)
		return false
	case isCall:
		p.arguments(name, wantsRange)
		return false
	}
	return p.selector(name)
}

// arguments reads those of a function, of which the last may have to be a range.
func (p *promParser) arguments(name string, wantsRange bool) {
	p.must("(")
	isRange := p.expression()
	for p.next(",") {
		isRange = p.expression()
	}
	p.must(")")
	if isRange != wantsRange {
		panic(promError(fmt.Sprintf("%s of a range is %v", name, isRange)))
	}
}

// names reads labels in parentheses.
func (p *promParser) names() (list []string) {
	p.must("(")
	for !p.next(")") {
		list = append(list, p.take("label", promName))
		if !p.next(",") {
			p.must(")")
			break
		}
	}
	return list
}

func (p *promParser) selector(name string) (isRange bool) {
	s := selector{name, make(map[string]string)}
	if p.next("{") {
		for !p.next("}") {
			label := p.take("label", promName)
			op := p.take("operator of a label", regexp.MustCompile(`^(=|!=|=~|!~)$`))
			s.labels[label] = op + strings.Trim(p.take("string", regexp.MustCompile(`^"`)), `"`)
			if !p.next(",") {
				p.must("}")
				break
			}
		}
	}
	p.q.selectors = append(p.q.selectors, s)
	if !p.next("[") {
		return false
	}
	p.take("time", promSpan)
	p.must("]")
	return true
}

func TestParseQuery(t *testing.T) {
	q, err := parseQuery(`8 * sum by (a, le) (rate(x_total{b="c", d=~"e.*"}[5m])) > 0 and on (a) -(y > bool 1) or vector(0)`)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(q), `{[{x_total map[b:=c d:=~e.*]} {y map[]}] [a le]}`; got != want {
		t.Errorf("it asks for %s, want %s", got, want)
	}
	for _, bad := range []string{
		"", "x{", `x{a="b"`, "x{a=b}", "sum(x", "sum x", "sum by a (x)", "rate(x)", "rate(x[5m]", "x[5m]", "x[5]", "sum(x[5m])", "x +", "+ x", "x y", "frob(x)", "(x))", `x{a>"b"}`, "x > bool",
	} {
		if _, err := parseQuery(bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
