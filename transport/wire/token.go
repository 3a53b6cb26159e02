package wire

import (
	"bytes"

	"github.com/tributary-live/tributary/transport/moqt"
)

// token reads a Token structure, which fills b. The result does not alias b.
func (d *decoder) token(b []byte) (t Token) {
	const name = "AUTHORIZATION_TOKEN"
	in := decoder{p: d.p, b: b}
	t.AliasType = AliasType(in.varint(name))
	if in.err == nil && t.AliasType > TokenUseValue {
		in.fail(violation(name, "alias type %d", t.AliasType))
	}
	if t.AliasType != TokenUseValue {
		t.Alias = in.varint(name)
	}
	if t.AliasType == TokenRegister || t.AliasType == TokenUseValue {
		t.Type = in.varint(name)
		t.Value = bytes.Clone(in.b)
	} else if in.err == nil && len(in.b) > 0 {
		in.fail(violation(name, "%d bytes too many", len(in.b)))
	}
	if in.err != nil {
		in.err.(*Error).Code = moqt.SessionKeyValueFormatting
		d.fail(in.err)
	}
	return t
}

// token appends a Token structure after its length.
func (e *encoder) token(t *Token) {
	e.varint(e.tokenSize(t))
	e.tokenBody(t)
}

func (e *encoder) tokenBody(t *Token) {
	e.varint(uint64(t.AliasType))
	if t.AliasType != TokenUseValue {
		e.varint(t.Alias)
	}
	switch t.AliasType {
	case TokenRegister, TokenUseValue:
		e.varint(t.Type)
		e.b = append(e.b, t.Value...)
	case TokenDelete, TokenUseAlias:
	default:
		e.fail("token of alias type %d", t.AliasType)
	}
}

func (e *encoder) tokenSize(t *Token) uint64 {
	size := e.p.varintSize(uint64(t.AliasType))
	if t.AliasType != TokenUseValue {
		size += e.p.varintSize(t.Alias)
	}
	if t.AliasType == TokenRegister || t.AliasType == TokenUseValue {
		size += e.p.varintSize(t.Type) + len(t.Value)
	}
	return uint64(size)
}
