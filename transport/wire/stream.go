package wire

// StreamKind is what a unidirectional stream of the peer is for.
type StreamKind uint8

// The kinds of unidirectional streams.
const (
	StreamControl  StreamKind = iota + 1 // [Profile.ReadSetup] reads on
	StreamSubgroup                       // [Profile.ReadSubgroupHeader] reads on
	StreamFetch                          // [Profile.ReadFetchHeader] reads on
	StreamPadding                        // the rest is to be discarded
)

const (
	fetchStreamType    = 0x05
	paddingStreamType  = 0x132B3E28
	paddingMessageType = 0x132B3E29
)

// ReadStreamType reads the type of a unidirectional stream. It returns io.EOF
// if the stream ended without one, and an [*Error] for types that are unknown
// or invalid.
func (p *Profile) ReadStreamType(r *Reader) (kind StreamKind, typ uint64, err error) {
	typ, err = p.readVarint(r)
	switch {
	case err != nil:
		return 0, 0, err
	case typ == setupType && !p.controlMux:
		return StreamControl, typ, nil
	case typ == fetchStreamType:
		return StreamFetch, typ, nil
	case typ == paddingStreamType && p.padding:
		return StreamPadding, typ, nil
	case p.validSubgroupType(typ):
		return StreamSubgroup, typ, nil
	}
	return 0, typ, violation("Stream Type", "0x%x is unknown", typ)
}

// AppendPaddingStream appends the type of a padding stream. Zeros follow.
func (p *Profile) AppendPaddingStream(b []byte) []byte { return p.appendVarint(b, paddingStreamType) }

// AppendPaddingDatagram appends the type of a padding datagram. Zeros follow.
func (p *Profile) AppendPaddingDatagram(b []byte) []byte {
	return p.appendVarint(b, paddingMessageType)
}

// AppendStreamType appends the type of a unidirectional stream of an extension.
func (p *Profile) AppendStreamType(b []byte, typ uint64) []byte { return p.appendVarint(b, typ) }

// ReadSetup reads the SETUP of a control stream whose type has been read, in
// drafts with a unidirectional one.
func (p *Profile) ReadSetup(r *Reader) (*Setup, error) {
	c := p.messageOfType(setupType)
	if c == nil {
		return nil, violation("Stream Type", "0x%x is unknown", setupType)
	}
	m, err := p.readBody(r, c, On{Control: true})
	if err != nil {
		return nil, err
	}
	return m.(*Setup), nil
}
