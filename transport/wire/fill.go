package wire

// fillTypesStart is the smallest type of a parameter that may be in
// FILL_PARAMETERS.
const fillTypesStart = 0x0A

// fill reads FILL_PARAMETERS: a length and parameters. The text leaves open
// whether those come after their number. So a number that is too small for a
// type is a count; a larger one is tried as a type first, because a count of as
// many would be odd.
func (d *decoder) fill() FillParameters {
	const field = "FILL_PARAMETERS"
	in := decoder{p: d.p, b: d.bytes(field, maxMessageSize)}
	if d.err != nil || len(in.b) == 0 {
		return FillParameters{}
	}
	var params Params
	first, _ := d.p.parseVarint(in.b)
	bare := in
	if first >= fillTypesStart {
		params = bare.fillList(false)
	}
	if first < fillTypesStart || bare.err != nil {
		if params = in.fillList(true); in.err != nil {
			d.fail(in.err)
		}
	}
	return FillParameters{
		Timeout: params.FillTimeout, Priority: params.Priority, Filter: params.Filter, Order: params.Order, Ranges: params.Ranges,
	}
}

// fillList reads parameters to the end of d, after their number if counted.
func (d *decoder) fillList(counted bool) (params Params) {
	count := uint64(0)
	if counted {
		count = d.varint("Number of Parameters")
	}
	typ, n := uint64(0), uint64(0)
	for ; len(d.b) > 0 && d.err == nil; n++ {
		typ = d.nextParam(&params, typ, n == 0, inFill)
	}
	if counted && d.err == nil && n != count {
		d.fail(violation("FILL_PARAMETERS", "%d parameters, told were %d", n, count))
	}
	return params
}

func (e *encoder) fill(f *FillParameters) {
	in := encoder{p: e.p}
	in.paramsIn(inFill, &Params{FillTimeout: f.Timeout, Priority: f.Priority, Filter: f.Filter, Order: f.Order, Ranges: f.Ranges}, true)
	e.varint(uint64(len(in.b)))
	e.add(&in)
}
