package moqt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Limits of "Track Naming". A namespace of more fields, an empty field, or a
// full track name of more bytes is a PROTOCOL_VIOLATION.
const (
	MaxNamespaceFields = 32
	MaxFullNameBytes   = 4096
)

// Namespace is a track namespace: an ordered list of 0 to 32 fields, each of at
// least one byte. It is comparable, so it can be a map key; two namespaces are
// equal when all their fields are. The zero value has no fields.
type Namespace struct{ enc string } // each field after its length in two bytes

// NS makes a namespace of fields. It panics if a field is empty, if there are
// more than 32 or if they are too long together: use [NewNamespace] for fields
// that come from outside.
func NS(fields ...string) Namespace {
	ns, err := NewNamespace(fields...)
	if err != nil {
		panic(err)
	}
	return ns
}

// NewNamespace makes a namespace of fields and checks the draft's limits.
func NewNamespace(fields ...string) (Namespace, error) {
	if len(fields) > MaxNamespaceFields {
		return Namespace{}, fmt.Errorf("moqt: namespace of %d fields (at most %d)", len(fields), MaxNamespaceFields)
	}
	size := 0
	for i, f := range fields {
		if f == "" {
			return Namespace{}, fmt.Errorf("moqt: namespace field %d is empty", i)
		}
		size += len(f)
	}
	if size > MaxFullNameBytes {
		return Namespace{}, fmt.Errorf("moqt: namespace of %d bytes (at most %d)", size, MaxFullNameBytes)
	}
	b := make([]byte, 0, size+2*len(fields))
	for _, f := range fields {
		b = binary.BigEndian.AppendUint16(b, uint16(len(f)))
		b = append(b, f...)
	}
	return Namespace{string(b)}, nil
}

// SplitNamespace makes a namespace of the parts of s between slashes, the form
// in which commands and URLs take one. Slashes at the ends are ignored; "" is
// the empty namespace.
func SplitNamespace(s string) (Namespace, error) {
	s = strings.Trim(s, "/")
	if s == "" {
		return Namespace{}, nil
	}
	return NewNamespace(strings.Split(s, "/")...)
}

// Fields returns a new slice of the fields.
func (n Namespace) Fields() []string {
	var fields []string
	for f := range n.each {
		fields = append(fields, f)
	}
	return fields
}

// Len returns the number of fields.
func (n Namespace) Len() int {
	count := 0
	for range n.each {
		count++
	}
	return count
}

// Size returns the sum of the lengths of the fields in bytes, which counts
// against [MaxFullNameBytes].
func (n Namespace) Size() int { return len(n.enc) - 2*n.Len() }

func (n Namespace) each(yield func(string) bool) {
	for rest := n.enc; rest != ""; {
		size := int(rest[0])<<8 | int(rest[1])
		if !yield(rest[2 : 2+size]) {
			return
		}
		rest = rest[2+size:]
	}
}

// HasPrefix reports whether the first fields of n are those of prefix. The
// match is by whole fields: ("ab") is no prefix of ("abc"). Every namespace has
// itself and the empty one as prefix.
func (n Namespace) HasPrefix(prefix Namespace) bool { return strings.HasPrefix(n.enc, prefix.enc) }

// Suffix returns the fields of n after prefix, and false if prefix is none.
func (n Namespace) Suffix(prefix Namespace) (Namespace, bool) {
	rest, ok := strings.CutPrefix(n.enc, prefix.enc)
	return Namespace{rest}, ok
}

// Parent returns n without its last field; the empty namespace is its own.
func (n Namespace) Parent() Namespace {
	last := 0
	for i := 0; i < len(n.enc); {
		last = i
		i += 2 + int(n.enc[i])<<8 + int(n.enc[i+1])
	}
	return Namespace{n.enc[:last]}
}

// Join returns the namespace of n's fields followed by those of suffix. It
// fails where the two together exceed the draft's limits.
func (n Namespace) Join(suffix Namespace) (Namespace, error) {
	j := Namespace{n.enc + suffix.enc}
	if c := j.Len(); c > MaxNamespaceFields {
		return Namespace{}, fmt.Errorf("moqt: namespace of %d fields (at most %d)", c, MaxNamespaceFields)
	}
	if s := j.Size(); s > MaxFullNameBytes {
		return Namespace{}, fmt.Errorf("moqt: namespace of %d bytes (at most %d)", s, MaxFullNameBytes)
	}
	return j, nil
}

// Track returns the full name of a track in n.
func (n Namespace) Track(name string) TrackName { return TrackName{Namespace: n, Name: name} }

// String returns the draft's printed form: fields joined by "-", every byte
// but letters, digits and "_" as a period and two hex digits. It is safe in
// logs, file names and URLs, and [ParseNamespace] reads it back.
func (n Namespace) String() string {
	var b strings.Builder
	sep := ""
	for f := range n.each {
		b.WriteString(sep)
		escape(&b, f)
		sep = "-"
	}
	return b.String()
}

// Slashed returns the fields joined by "/", for people. It is not reversible
// where a field holds a slash or bytes that do not print, which are escaped as
// in [Namespace.String].
func (n Namespace) Slashed() string {
	var b strings.Builder
	sep := ""
	for f := range n.each {
		b.WriteString(sep)
		for i := range len(f) {
			if c := f[i]; c > ' ' && c < 0x7f && c != '/' {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, ".%02x", c)
			}
		}
		sep = "/"
	}
	return b.String()
}

// ParseNamespace reads the printed form of [Namespace.String].
func ParseNamespace(s string) (Namespace, error) {
	if s == "" {
		return Namespace{}, nil
	}
	fields := strings.Split(s, "-")
	for i, f := range fields {
		raw, err := unescape(f)
		if err != nil {
			return Namespace{}, fmt.Errorf("moqt: namespace %q: %w", s, err)
		}
		fields[i] = raw
	}
	return NewNamespace(fields...)
}

// TrackName is a full track name: a namespace and a name, which may be empty.
// It is comparable and is the key of every map of tracks.
type TrackName struct {
	Namespace Namespace
	Name      string
}

// Check reports whether t keeps the draft's limits.
func (t TrackName) Check() error {
	if s := t.Namespace.Size() + len(t.Name); s > MaxFullNameBytes {
		return fmt.Errorf("moqt: full track name of %d bytes (at most %d)", s, MaxFullNameBytes)
	}
	return nil
}

// String returns the draft's printed form, the namespace and the name with
// "--" between them.
func (t TrackName) String() string {
	var b strings.Builder
	b.WriteString(t.Namespace.String())
	b.WriteString("--")
	escape(&b, t.Name)
	return b.String()
}

// ParseTrackName reads the printed form of [TrackName.String].
func ParseTrackName(s string) (TrackName, error) {
	ns, name, ok := strings.Cut(s, "--")
	if !ok {
		return TrackName{}, fmt.Errorf("moqt: track name %q has no %q", s, "--")
	}
	n, err := ParseNamespace(ns)
	if err != nil {
		return TrackName{}, err
	}
	raw, err := unescape(name)
	if err != nil {
		return TrackName{}, fmt.Errorf("moqt: track name %q: %w", s, err)
	}
	t := TrackName{n, raw}
	return t, t.Check()
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

const hexDigits = "0123456789abcdef"

func escape(b *strings.Builder, s string) {
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'.', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
}

var errEscape = errors.New("a period must be followed by two lower-case hex digits of a byte that needs them")

func unescape(s string) (string, error) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if plain(c) {
			b = append(b, c)
			continue
		}
		if c != '.' || i+2 >= len(s) {
			return "", errEscape
		}
		hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
		if hi < 0 || lo < 0 || plain(byte(hi<<4|lo)) {
			return "", errEscape
		}
		b = append(b, byte(hi<<4|lo))
		i += 2
	}
	return string(b), nil
}
