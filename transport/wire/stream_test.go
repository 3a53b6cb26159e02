package wire

import (
	"bytes"
	"io"
	"testing/iotest"

	"github.com/tributary-live/tributary/transport/moqt"
)

// subgroupStream is all of a subgroup stream, for tests.
type subgroupStream struct {
	header   SubgroupHeader
	objects  []ObjectHeader
	payloads [][]byte
}

// readSubgroup reads a whole stream, which must be one of subgroups. The
// objects read before an error are in the result.
func readSubgroup(p *Profile, r *Reader) (*subgroupStream, error) {
	s := new(subgroupStream)
	kind, typ, err := p.ReadStreamType(r)
	if err != nil {
		return s, err
	}
	if kind != StreamSubgroup {
		return s, &wrongStream{kind}
	}
	if s.header, err = p.ReadSubgroupHeader(r, typ); err != nil {
		return s, err
	}
	objects := p.SubgroupObjects(&s.header)
	for {
		o, err := objects.Next(r, &testLimits)
		if err == io.EOF {
			return s, nil
		} else if err != nil {
			return s, err
		}
		payload, err := readPayload(r, o.Size)
		if err != nil {
			return s, err
		}
		s.objects, s.payloads = append(s.objects, o), append(s.payloads, payload)
	}
}

func (s *subgroupStream) append(p *Profile) ([]byte, error) {
	b := p.AppendSubgroupHeader(nil, &s.header)
	var prev uint64
	for i := range s.objects {
		var err error
		if b, err = p.AppendObject(b, &s.header, prev, i == 0, &s.objects[i]); err != nil {
			return b, err
		}
		b = append(b, s.payloads[i]...)
		prev = s.objects[i].ID
	}
	return b, nil
}

// fetchStream is all of a fetch stream, for tests.
type fetchStream struct {
	order    moqt.GroupOrder
	header   FetchHeader
	objects  []FetchObject
	payloads [][]byte
}

func readFetch(p *Profile, r *Reader, order moqt.GroupOrder) (*fetchStream, error) {
	s := &fetchStream{order: order}
	kind, _, err := p.ReadStreamType(r)
	if err != nil {
		return s, err
	}
	if kind != StreamFetch {
		return s, &wrongStream{kind}
	}
	if s.header, err = p.ReadFetchHeader(r); err != nil {
		return s, err
	}
	objects := p.FetchObjects(order)
	for {
		o, err := objects.Next(r, &testLimits)
		if err == io.EOF {
			return s, nil
		} else if err != nil {
			return s, err
		}
		payload, err := readPayload(r, o.Size)
		if err != nil {
			return s, err
		}
		s.objects, s.payloads = append(s.objects, o), append(s.payloads, payload)
	}
}

func (s *fetchStream) append(p *Profile, gapLength bool) ([]byte, error) {
	b := p.AppendFetchHeader(nil, &s.header)
	e := p.FetchEncoder(s.order)
	e.GapLength = gapLength
	for i := range s.objects {
		var err error
		if b, err = e.Append(b, &s.objects[i]); err != nil {
			return b, err
		}
		b = append(b, s.payloads[i]...)
	}
	return b, nil
}

// testLimits are small, so that a claimed size past them is met by fuzzing.
var testLimits = Limits{MaxObjectSize: 1 << 12, MaxPropertiesSize: 1 << 10}

func readPayload(r *Reader, size uint64) ([]byte, error) {
	b := make([]byte, size)
	_, err := io.ReadFull(r, b)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	} else if err != nil {
		return nil, Truncated("payload")
	}
	return b, nil
}

// readers are the ways in which bytes may come from a stream.
func readers(b []byte) map[string]*Reader {
	return map[string]*Reader{
		"whole":         NewReader(bytes.NewReader(b)),
		"byte by byte":  NewReader(iotest.OneByteReader(bytes.NewReader(b))),
		"with its end":  NewReader(iotest.DataErrReader(bytes.NewReader(b))),
		"half and half": NewReader(iotest.HalfReader(bytes.NewReader(b))),
	}
}
