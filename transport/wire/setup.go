package wire

import (
	"cmp"
	"slices"

	"github.com/tributary-live/tributary/transport/moqt"
)

// setupType is the message type of SETUP and the type of the stream it opens.
const setupType = 0x2F00

// Setup options that all drafts have.
const (
	optionPath           = 0x01
	optionToken          = 0x03
	optionTokenCacheSize = 0x04
	optionAuthority      = 0x05
	optionImplementation = 0x07
)

func decodeSetup(d *decoder) Message { return d.setup(new(Setup)) }

func encodeSetup(e *encoder, msg Message) { e.properties(e.setup(msg.(*Setup))) }

// setup reads the rest of a message as options.
func (d *decoder) setup(m *Setup) *Setup {
	options, err := d.p.ParseProperties(d.b)
	if err != nil {
		d.fail(err)
		return m
	}
	d.b = nil
	for i, o := range options {
		switch o.Type {
		case optionPath:
			m.Path = Some(string(o.Bytes))
		case optionAuthority:
			m.Authority = Some(string(o.Bytes))
		case optionTokenCacheSize:
			m.TokenCacheSize = o.Value
		case optionImplementation:
			m.Implementation = string(o.Bytes)
		case optionToken:
			t := d.token(o.Bytes)
			if t.AliasType == TokenDelete || t.AliasType == TokenUseAlias {
				d.fail(violation("AUTHORIZATION_TOKEN", "alias type %d in SETUP", t.AliasType))
			}
			m.Tokens = append(m.Tokens, t)
			continue
		default:
			known := d.p.option(o.Type)
			if known == nil {
				m.Unknown = append(m.Unknown, o)
				continue
			}
			*known.field(m) = Some(o.Value)
		}
		if i > 0 && options[i-1].Type == o.Type {
			d.fail(violation("Setup Options", "type 0x%x is there twice", o.Type))
		}
	}
	return m
}

// setup returns the options of m in order of type.
func (e *encoder) setup(m *Setup) moqt.Properties {
	var options moqt.Properties
	add := func(typ uint64, set bool, value string) {
		if set {
			options = append(options, moqt.Property{Type: typ, Bytes: []byte(value)})
		}
	}
	add(optionPath, m.Path.Set, m.Path.Value)
	for i := range m.Tokens {
		if t := m.Tokens[i].AliasType; t == TokenDelete || t == TokenUseAlias {
			e.fail("token of alias type %d in SETUP", t)
		}
		in := encoder{p: e.p}
		in.tokenBody(&m.Tokens[i])
		if in.err != nil {
			e.err = in.err
		}
		options = append(options, moqt.Property{Type: optionToken, Bytes: in.b})
	}
	if m.TokenCacheSize > 0 {
		options = append(options, moqt.Property{Type: optionTokenCacheSize, Value: m.TokenCacheSize})
	}
	add(optionAuthority, m.Authority.Set, m.Authority.Value)
	add(optionImplementation, m.Implementation != "", m.Implementation)
	for i := range e.p.options {
		o := &e.p.options[i]
		if v := o.field(m); v.Set {
			options = append(options, moqt.Property{Type: o.typ, Value: v.Value})
		}
	}
	for _, o := range m.Unknown {
		if e.p.knowsOption(o.Type) {
			e.fail("setup option 0x%x among the unknown ones", o.Type)
		}
	}
	options = append(options, m.Unknown...)
	slices.SortStableFunc(options, func(a, b moqt.Property) int { return cmp.Compare(a.Type, b.Type) })
	return options
}
