package main

// Luma of the cells: the ends of the studio range.
const (
	white = 235
	black = 16
)

// Picture draws the frames.
type Picture struct {
	Frame         []byte // the last frame drawn: Y, then U, then V; overwritten by Draw
	width, height int
	ground        []byte // what does not move
}

// NewPicture returns a picture of the given size in pixels.
func NewPicture(width, height int) *Picture {
	p := &Picture{width: width, height: height}
	luma := width * height
	p.ground = make([]byte, luma*3/2)
	p.Frame = make([]byte, len(p.ground))
	for y := range height {
		for x := range width {
			p.ground[y*width+x] = byte(60 + 80*x/width + 40*y/height)
		}
	}
	half := width / 2
	for y := range height / 2 {
		for x := range half {
			p.ground[luma+y*half+x] = byte(100 + 60*y/(height/2))
			p.ground[luma*5/4+y*half+x] = byte(160 - 70*x/half)
		}
	}
	return p
}

// Draw makes frame n, stamped with the given time in ms since 1970.
func (p *Picture) Draw(n, ms int64) {
	copy(p.Frame, p.ground)
	p.bar(int(n*4) % (p.width - 40))
	for i, bit := range Stamp(ms) {
		p.cell(i%32, i/32, bit)
	}
}

// bar draws a bright upright bar whose left edge is at x.
func (p *Picture) bar(x int) {
	for y := 3 * p.width / 32; y < p.height; y++ {
		row := p.Frame[y*p.width:][:p.width]
		for i := range 40 {
			row[x+i] = 220
		}
	}
}

// cell fills a cell, chroma and all, so that colour does not change its luma.
func (p *Picture) cell(column, row int, bit bool) {
	size := p.width / 32
	value := byte(black)
	if bit {
		value = white
	}
	for y := row * size; y < (row+1)*size; y++ {
		fill(p.Frame[y*p.width+column*size:][:size], value)
	}
	luma, half := p.width*p.height, p.width/2
	for y := row * size / 2; y < (row+1)*size/2; y++ {
		at := y*half + column*size/2
		fill(p.Frame[luma+at:][:size/2], 128)
		fill(p.Frame[luma*5/4+at:][:size/2], 128)
	}
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

// Stamp returns the 64 cells of a time, in two rows of 32: four cells of sync
// (1010 in the first row, 0101 in the second), then the bits of the 48 bit
// number of ms and of its CRC-8, highest first, 28 in each row.
func Stamp(ms int64) [64]bool {
	var cells [64]bool
	data := uint64(ms)&(1<<48-1)<<8 | uint64(crc8(ms))
	for row := range 2 {
		for i := range 4 {
			cells[row*32+i] = (i+row)%2 == 0
		}
		for i := range 28 {
			cells[row*32+4+i] = data>>(55-row*28-i)&1 == 1
		}
	}
	return cells
}

// crc8 is the CRC-8 with polynomial 0x07 over the six bytes of a 48 bit number.
func crc8(ms int64) byte {
	crc := byte(0)
	for shift := 40; shift >= 0; shift -= 8 {
		crc ^= byte(ms >> shift)
		for range 8 {
			if crc&0x80 != 0 {
				crc = crc<<1 ^ 0x07
			} else {
				crc <<= 1
			}
		}
	}
	return crc
}
