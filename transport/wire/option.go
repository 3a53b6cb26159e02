package wire

// Setup options that not all drafts have.
const (
	optionMaxRequestID      = 0x02
	optionMaxFilterRanges   = 0x06
	optionMaxRequestUpdates = 0x08
)

// numberOption is a setup option that only some drafts have. Where it is not
// known it is one of Setup.Unknown.
type numberOption struct {
	typ   uint64
	field func(*Setup) *Opt[uint64]
}

func (p *Profile) option(typ uint64) *numberOption {
	for i := range p.options {
		if p.options[i].typ == typ {
			return &p.options[i]
		}
	}
	return nil
}

// knowsOption reports whether the draft defines setup options of type typ.
func (p *Profile) knowsOption(typ uint64) bool {
	switch typ {
	case optionPath, optionToken, optionTokenCacheSize, optionAuthority, optionImplementation:
		return true
	}
	return p.option(typ) != nil
}
