package wire

import "encoding/binary"

// What follows is for traces, which tell how things were on the wire.

// MessageLength returns the Message Length of b, a control message that
// [Profile.AppendMessage] has made.
func (p *Profile) MessageLength(b []byte) uint16 {
	_, n := p.parseVarint(b)
	return binary.BigEndian.Uint16(b[n:])
}

// MessageLength returns the Message Length of the last control message read.
func (r *Reader) MessageLength() uint16 { return uint16(r.message) }

// IDMode returns how the header tells the subgroup's id: 0 that it is 0, 1 that
// it is the id of the first object, 2 that it is there.
func (h *SubgroupHeader) IDMode() uint8 {
	switch {
	case h.IDFromFirst:
		return subgroupIDFirst >> 1
	case h.ID != 0:
		return subgroupIDPresent >> 1
	}
	return subgroupIDZero
}

// Delta returns the Object ID Delta of the object that Next returned last.
func (d *SubgroupObjects) Delta() uint64 { return d.delta }
