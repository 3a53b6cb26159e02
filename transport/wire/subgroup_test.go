package wire

import (
	"bytes"
	"io"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

func TestSubgroupTypes(t *testing.T) {
	valid := 0
	for typ := uint64(0); typ < 1<<16; typ++ {
		kind, _, err := draft18.ReadStreamType(NewReader(bytes.NewReader(AppendVarint(nil, typ))))
		bits := typ < 0x80 && typ&0x10 != 0 && typ&6 != 6
		switch {
		case bits && (kind != StreamSubgroup || err != nil):
			t.Errorf("stream type 0x%x: kind %d, %v, want a subgroup", typ, kind, err)
		case bits:
			valid++
		case typ == 0x05 && kind == StreamFetch, typ == 0x2F00 && kind == StreamControl:
		case !isViolation(err):
			t.Errorf("stream type 0x%x: kind %d, %v, want a violation", typ, kind, err)
		}
	}
	if valid != 48 {
		t.Errorf("%d types are subgroups, want 48", valid)
	}
	if kind, _, err := draft18.ReadStreamType(NewReader(bytes.NewReader(AppendVarint(nil, 0x132B3E28)))); kind != StreamPadding || err != nil {
		t.Errorf("padding: kind %d, %v", kind, err)
	}
	if _, _, err := draft18.ReadStreamType(NewReader(bytes.NewReader(nil))); err != io.EOF {
		t.Errorf("empty stream: %v, want EOF", err)
	}
}

func TestAppendObjectRefuses(t *testing.T) {
	with, without := &SubgroupHeader{Properties: true}, &SubgroupHeader{}
	props := moqt.Properties{{Type: 2}}
	for _, test := range []struct {
		name  string
		h     *SubgroupHeader
		first bool
		o     ObjectHeader
	}{
		{"id again", without, false, ObjectHeader{ID: 5, Size: 1}},
		{"id before", without, false, ObjectHeader{ID: 4, Size: 1}},
		{"properties without a field", without, true, ObjectHeader{Properties: props, Size: 1}},
		{"properties on a marker", with, true, ObjectHeader{Properties: props, Status: moqt.StatusEndOfGroup}},
		{"payload on a marker", with, true, ObjectHeader{Size: 1, Status: moqt.StatusEndOfTrack}},
		{"properties out of order", with, true, ObjectHeader{Properties: moqt.Properties{{Type: 4}, {Type: 2}}, Size: 1}},
	} {
		if b, err := draft18.AppendObject([]byte("kept"), test.h, 5, test.first, &test.o); err == nil || string(b) != "kept" {
			t.Errorf("%s: AppendObject = %x, %v, want an error", test.name, b, err)
		}
	}
}

// The subgroup's id is known with the first object and not before.
func TestSubgroupIDFromFirst(t *testing.T) {
	h := &SubgroupHeader{Alias: 1, IDFromFirst: true}
	b := draft18.AppendSubgroupHeader(nil, h)
	b, err := draft18.AppendObject(b, h, 0, true, &ObjectHeader{ID: 70, Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := readSubgroup(&draft18, NewReader(bytes.NewReader(append(b, 'x'))))
	if err != nil || s.header.ID != 70 || !s.header.IDFromFirst {
		t.Errorf("read %+v, %v, want subgroup 70", s.header, err)
	}
}

func TestAppendDatagramRefuses(t *testing.T) {
	for name, d := range map[string]Datagram{
		"payload on a marker":      {Status: moqt.StatusEndOfGroup, Payload: []byte("x")},
		"properties on a marker":   {Status: moqt.StatusEndOfTrack, Properties: moqt.Properties{{Type: 2}}},
		"marker at a group's end":  {Status: moqt.StatusEndOfGroup, EndOfGroup: true},
		"properties out of order":  {Properties: moqt.Properties{{Type: 4}, {Type: 2}}},
		"property value too large": {Properties: moqt.Properties{{Type: 1, Bytes: make([]byte, 1<<16)}}},
	} {
		if b, err := draft18.AppendDatagram([]byte("kept"), &d); err == nil || string(b) != "kept" {
			t.Errorf("%s: AppendDatagram = %x, %v, want an error", name, b, err)
		}
	}
}

func TestDatagramTypes(t *testing.T) {
	valid := 0
	for typ := uint64(0); typ < 1<<16; typ++ {
		b := append(AppendVarint(nil, typ), 1, 1) // alias, group
		if typ&datagramZeroObject == 0 {
			b = append(b, 1)
		}
		if typ&datagramDefaultPriority == 0 {
			b = append(b, 1)
		}
		if typ&datagramProperties != 0 {
			b = append(b, 2, 2, 0)
		}
		if typ&datagramStatus != 0 {
			b = append(b, 0)
		}
		_, padding, err := draft18.ParseDatagram(b)
		if typ < 0x10 || typ < 0x30 && typ&0x22 == 0x20 {
			valid++
			if err != nil {
				t.Errorf("datagram type 0x%x: %v", typ, err)
			}
		} else if padding || !isViolation(err) {
			t.Errorf("datagram type 0x%x: padding %v, %v, want a violation", typ, padding, err)
		}
	}
	if valid != 24 {
		t.Errorf("%d types are object datagrams, want 24", valid)
	}
}
