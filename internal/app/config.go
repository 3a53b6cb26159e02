package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/urfave/cli/v2"
)

const maxConfigBytes = 1 << 20

func configFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", Usage: "YAML `FILE` whose keys are the names of these flags"}
}

// applyConfig sets the flags that --config's file has and that neither the
// command line nor the environment set.
func applyConfig(c *cli.Context, flags []cli.Flag) error {
	path := c.String("config")
	if path == "" {
		return nil
	}
	data, err := readConfig(path)
	if err != nil {
		return Usagef("--config: %w", err)
	}
	entries, err := parseConfig(data)
	if err != nil {
		return Usagef("--config %s: %w", path, err)
	}
	for _, e := range entries {
		i := slices.IndexFunc(flags, func(f cli.Flag) bool { return f.Names()[0] == e.key })
		if i < 0 || e.key == "config" {
			return Usagef("--config %s: line %d: unknown key %q", path, e.line, e.key)
		}
		slice, many := flags[i].(cli.DocGenerationSliceFlag)
		if many = many && slice.IsSliceFlag(); !many && e.list {
			return Usagef("--config %s: line %d: %q takes one value, not a list", path, e.line, e.key)
		}
		if c.IsSet(e.key) {
			continue
		}
		for _, v := range e.values {
			if err := c.Set(e.key, v); err != nil {
				if _, ok := flags[i].(*cli.DurationFlag); ok {
					err = errors.New("want a number and its unit, such as 10s or 500ms")
				}
				return Usagef("--config %s: line %d: value %q of %q: %w", path, e.line, v, e.key, err)
			}
		}
	}
	return nil
}

func readConfig(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if len(data) > maxConfigBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxConfigBytes)
	}
	return data, err
}

type entry struct {
	key    string
	values []string
	list   bool
	line   int
}

// parseConfig reads one mapping of scalars and lists of scalars. It works on
// the syntax tree, where a scalar is the text as written: decoded, the
// fingerprint 12e4 would be a number and "off" could be a boolean.
func parseConfig(data []byte) ([]entry, error) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		var syntax yaml.Error // its Error is a picture of several lines
		if errors.As(err, &syntax) && syntax.GetToken() != nil {
			return nil, fmt.Errorf("line %d: %s", syntax.GetToken().Position.Line, syntax.GetMessage())
		}
		return nil, err
	}
	var entries []entry
	for i, doc := range file.Docs {
		if i > 0 {
			return nil, errors.New("more than one document")
		}
		switch body := doc.Body.(type) {
		case nil, *ast.NullNode, *ast.CommentGroupNode:
		case *ast.MappingNode:
			for _, v := range body.Values {
				e, err := parseEntry(v)
				if err != nil {
					return nil, err
				}
				entries = append(entries, e)
			}
		default:
			return nil, fmt.Errorf("want lines of `key: value`, found a %s", kind(doc.Body))
		}
	}
	return entries, nil
}

func parseEntry(v *ast.MappingValueNode) (entry, error) {
	tok := v.Key.GetToken()
	e := entry{key: tok.Value, line: tok.Position.Line}
	if _, ok := v.Key.(ast.ScalarNode); !ok {
		return e, fmt.Errorf("line %d: the key is a %s", e.line, kind(v.Key))
	}
	if seq, ok := v.Value.(*ast.SequenceNode); ok {
		e.list = true
		for _, item := range seq.Values {
			s, ok := scalar(item)
			if !ok {
				return e, fmt.Errorf("line %d: %q holds a %s, want plain values", e.line, e.key, kind(item))
			}
			e.values = append(e.values, s)
		}
		return e, nil
	}
	s, ok := scalar(v.Value)
	if !ok {
		return e, fmt.Errorf("line %d: %q is a %s, want a value or a list", e.line, e.key, kind(v.Value))
	}
	e.values = []string{s}
	return e, nil
}

func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.StringNode:
		return n.Value, true
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func kind(n ast.Node) string { return strings.ToLower(n.Type().String()) }
