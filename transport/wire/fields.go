package wire

// The fields of Params and Setup, for the tables of the profiles.

func objectTimeout(p *Params) any     { return &p.ObjectTimeout }
func tokens(p *Params) any            { return &p.Tokens }
func rendezvousTimeout(p *Params) any { return &p.RendezvousTimeout }
func subgroupTimeout(p *Params) any   { return &p.SubgroupTimeout }
func expires(p *Params) any           { return &p.Expires }
func largest(p *Params) any           { return &p.Largest }
func fillTimeout(p *Params) any       { return &p.FillTimeout }
func forward(p *Params) any           { return &p.Forward }
func priority(p *Params) any          { return &p.Priority }
func filter(p *Params) any            { return &p.Filter }
func order(p *Params) any             { return &p.Order }
func fill(p *Params) any              { return &p.Fill }
func ranges(p *Params) any            { return &p.Ranges }
func newGroup(p *Params) any          { return &p.NewGroup }
func prefix(p *Params) any            { return &p.Prefix }
func includeProperties(p *Params) any { return &p.IncludeProperties }

func maxRequestID(s *Setup) *Opt[uint64]      { return &s.MaxRequestID }
func maxFilterRanges(s *Setup) *Opt[uint64]   { return &s.MaxFilterRanges }
func maxRequestUpdates(s *Setup) *Opt[uint64] { return &s.MaxRequestUpdates }
