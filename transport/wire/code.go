package wire

import (
	"slices"

	"github.com/tributary-live/tributary/transport/moqt"
)

// codeTable is how a draft numbers the codes of one registry, told by how it
// differs from package moqt.
type codeTable[C ~uint64] struct {
	lacks   []C          // codes that the draft does not have
	numbers map[C]uint64 // numbers that are not those of package moqt
}

// number returns what stands for c on the wire. Instead of a code that the draft
// does not have it is internal; what is no code, such as grease, stays.
func (t *codeTable[C]) number(c, internal C) uint64 {
	if n, ok := t.numbers[c]; ok {
		return n
	}
	if slices.Contains(t.lacks, c) {
		return uint64(internal)
	}
	return uint64(c)
}

// code returns what n stands for: internal if it is the number of a code only in
// other drafts, because unknown codes are to be treated so.
func (t *codeTable[C]) code(n uint64, internal C) C {
	for c, number := range t.numbers {
		if number == n {
			return c
		}
	}
	c := C(n)
	if _, moved := t.numbers[c]; moved || slices.Contains(t.lacks, c) {
		return internal
	}
	return c
}

// codeTables are the code registries of a draft.
type codeTables struct {
	session codeTable[moqt.SessionCode]
	request codeTable[moqt.RequestCode]
	done    codeTable[moqt.DoneCode]
	stream  codeTable[moqt.StreamCode]
}

// SessionNumber returns the number to close a session with for c. It is that of
// INTERNAL_ERROR if the draft does not have the code.
func (p *Profile) SessionNumber(c moqt.SessionCode) uint64 {
	return p.codes.session.number(c, moqt.SessionInternalError)
}

// SessionCode returns why the peer closed a session with n.
func (p *Profile) SessionCode(n uint64) moqt.SessionCode {
	return p.codes.session.code(n, moqt.SessionInternalError)
}

// StreamNumber returns the number to reset or stop a stream with for c. It is
// that of INTERNAL_ERROR if the draft does not have the code.
func (p *Profile) StreamNumber(c moqt.StreamCode) uint64 {
	return p.codes.stream.number(c, moqt.StreamInternalError)
}

// StreamCode returns why the peer reset or stopped a stream with n.
func (p *Profile) StreamCode(n uint64) moqt.StreamCode {
	return p.codes.stream.code(n, moqt.StreamInternalError)
}

// The codes of PUBLISH_DONE and REQUEST_ERROR are translated with the messages.

func (e *encoder) requestCode(c moqt.RequestCode) {
	e.varint(e.p.codes.request.number(c, moqt.RequestInternalError))
}

func (d *decoder) requestCode(field string) moqt.RequestCode {
	return d.p.codes.request.code(d.varint(field), moqt.RequestInternalError)
}

func (e *encoder) doneCode(c moqt.DoneCode) {
	e.varint(e.p.codes.done.number(c, moqt.DoneInternalError))
}

func (d *decoder) doneCode(field string) moqt.DoneCode {
	return d.p.codes.done.code(d.varint(field), moqt.DoneInternalError)
}
