package wire

import (
	"cmp"
	"slices"

	"github.com/tributary-live/tributary/transport/moqt"
)

// setupType is the message type of SETUP and the type of the stream it opens.
const setupType = 0x2F00

// Setup options. They are the same in all drafts.
const (
	optionPath           = 0x01
	optionToken          = 0x03
	optionTokenCacheSize = 0x04
	optionAuthority      = 0x05
	optionImplementation = 0x07
)

func decodeSetup(d *decoder) Message {
	m := new(Setup)
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
			m.Unknown = append(m.Unknown, o)
			continue
		}
		if i > 0 && options[i-1].Type == o.Type {
			d.fail(violation("Setup Options", "type 0x%x is there twice", o.Type))
		}
	}
	return m
}

func encodeSetup(e *encoder, msg Message) {
	m := msg.(*Setup)
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
	for _, o := range m.Unknown {
		switch o.Type {
		case optionPath, optionToken, optionTokenCacheSize, optionAuthority, optionImplementation:
			e.fail("setup option 0x%x among the unknown ones", o.Type)
		}
	}
	options = append(options, m.Unknown...)
	slices.SortStableFunc(options, func(a, b moqt.Property) int { return cmp.Compare(a.Type, b.Type) })
	e.properties(options)
}

func decodeGoaway(d *decoder) Message {
	m := &Goaway{URI: d.string("New Session URI", maxURISize), Timeout: d.millis("Timeout")}
	// A peer that leaves the Request ID out is not punished: later drafts do.
	if d.p.goawayRequestID && d.on.Control && len(d.b) > 0 {
		m.RequestID = Some(d.varint("Request ID"))
	}
	return m
}

func encodeGoaway(e *encoder, msg Message) {
	m := msg.(*Goaway)
	e.limited("New Session URI", m.URI, maxURISize)
	e.millis(m.Timeout)
	if e.p.goawayRequestID && m.RequestID.Set {
		e.varint(m.RequestID.Value)
	}
}
