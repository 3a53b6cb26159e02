package wire

// Limits bound what a peer's objects may cost. They are checked before anything
// of the claimed size is made.
type Limits struct {
	MaxObjectSize     uint64 // payload bytes; if zero, 32 MiB
	MaxPropertiesSize uint64 // bytes of one object's properties; if zero, 16 KiB
}

// Limits of the drafts. To exceed one is a PROTOCOL_VIOLATION.
const (
	maxMessageSize  = 1<<16 - 1 // body of a control message
	maxPropertySize = 1<<16 - 1 // value of an odd Key-Value-Pair
	maxReasonSize   = 1024
	maxURISize      = 8192
)

func (l *Limits) object() uint64 {
	if l == nil || l.MaxObjectSize == 0 {
		return 32 << 20
	}
	return l.MaxObjectSize
}

func (l *Limits) properties() uint64 {
	if l == nil || l.MaxPropertiesSize == 0 {
		return 16 << 10
	}
	return l.MaxPropertiesSize
}
