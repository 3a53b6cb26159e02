package fmp4

import (
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/bits"
	"time"
)

// Looper reads a file again and again and yields its chunks with decode times
// that rise for ever. All tracks move on by the same time in each round, that
// of the whole file, so they stay together. The first round has the chunks as
// they are in the file. The file may be fragmented or not.
//
// It must not be used from several goroutines at once.
type Looper struct {
	r       io.ReadSeeker
	opt     Options
	round   source
	init    *Init
	tracks  map[uint32]*loopTrack
	period  time.Duration
	rounds  uint64 // complete ones
	numbers uint32 // sequence numbers of one round
}

// source is a round: a Reader or a progressive file.
type source interface {
	Init() (*Init, error)
	Next() (*Chunk, error)
}

type loopTrack struct {
	timescale  uint32
	seen       bool
	start, end uint64 // in the timescale
	// A round is num/den units of the timescale.
	num, den uint64
}

// NewLooper reads all of r once, to learn how long it is and that it can be
// read to its end. r belongs to the looper from then on, which does not close
// it.
func NewLooper(r io.ReadSeeker, opt *Options) (*Looper, error) {
	l := &Looper{r: r, opt: opt.withDefaults(), tracks: make(map[uint32]*loopTrack)}
	if err := l.open(); err != nil {
		return nil, err
	}
	var err error
	if l.init, err = l.round.Init(); err != nil {
		return nil, err
	}
	for _, t := range l.init.Tracks {
		l.tracks[t.ID] = &loopTrack{timescale: t.Timescale}
	}
	for {
		c, err := l.round.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		t := l.tracks[c.Track]
		if !t.seen || c.DTS < t.start {
			t.start = c.DTS
		}
		t.end, t.seen = max(t.end, c.DTS+c.Duration), true
		l.numbers = max(l.numbers, c.Sequence+1)
	}
	if err := l.measure(); err != nil {
		return nil, err
	}
	return l, l.open()
}

// measure sets the length of a round: from the earliest start of a track to
// the latest end.
func (l *Looper) measure() error {
	var from, to *big.Rat
	for _, t := range l.tracks {
		if !t.seen {
			continue
		}
		start, end := seconds(t.start, t.timescale), seconds(t.end, t.timescale)
		if from == nil || start.Cmp(from) < 0 {
			from = start
		}
		if to == nil || end.Cmp(to) > 0 {
			to = end
		}
	}
	if from == nil {
		return errors.New("fmp4: the file to loop has no samples")
	}
	period := to.Sub(to, from)
	if period.Sign() <= 0 || period.Cmp(new(big.Rat).SetInt64(1<<31)) > 0 {
		return fmt.Errorf("fmp4: the file to loop lasts %s s", period.FloatString(3))
	}
	s, _ := period.Float64()
	l.period = time.Duration(s * float64(time.Second))
	for _, t := range l.tracks {
		units := new(big.Rat).Mul(period, seconds(uint64(t.timescale), 1))
		if !units.Num().IsUint64() || !units.Denom().IsUint64() {
			return fmt.Errorf("fmp4: the file to loop lasts %s s, which is not to be had in its timescales", period.FloatString(3))
		}
		t.num, t.den = units.Num().Uint64(), units.Denom().Uint64()
	}
	return nil
}

func seconds(v uint64, timescale uint32) *big.Rat {
	return new(big.Rat).SetFrac(new(big.Int).SetUint64(v), big.NewInt(int64(timescale)))
}

// open begins a round.
func (l *Looper) open() error {
	if _, err := l.r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	moov, err := l.findMoov()
	if err != nil {
		return err
	}
	if moov != nil {
		l.round, err = newProgressive(l.r, *moov, l.opt)
		return err
	}
	if _, err := l.r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	l.round = NewReader(l.r, (*Options)(&l.opt))
	return nil
}

// findMoov returns the movie header if the file is not fragmented, and nil if
// it is or if it has no movie header that could be read: the Reader says then
// what is wrong.
func (l *Looper) findMoov() (*box, error) {
	in := input{r: l.r}
	for {
		h, err := in.next()
		if err != nil {
			return nil, nil
		}
		if h.name != "moov" {
			in.at = h.at + h.size
			if _, err := l.r.Seek(in.at, io.SeekStart); err != nil {
				return nil, err
			}
			continue
		}
		b, err := in.appendBox(nil, h, l.opt.MaxMoov)
		if err != nil {
			return nil, err
		}
		moov := box{h.name, h.at, b, h.hdr}
		boxes, err := moov.children(0)
		if err != nil {
			return nil, err
		}
		for _, c := range boxes {
			if c.name == "mvex" {
				return nil, nil
			}
		}
		return &moov, nil
	}
}

// Init returns what the file's header says.
func (l *Looper) Init() (*Init, error) { return l.init, nil }

// Period returns how long a round lasts.
func (l *Looper) Period() time.Duration { return l.period }

// Next returns the next chunk. It never ends; an error is one of reading the
// file. Capture times in the file are those of another day and are left out.
func (l *Looper) Next() (*Chunk, error) {
	c, err := l.round.Next()
	if err == io.EOF {
		l.rounds++
		if err = l.open(); err == nil {
			c, err = l.round.Next()
		}
	}
	if err == io.EOF { // the file has become empty meanwhile
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	c.Capture = time.Time{}
	if l.rounds == 0 {
		return c, nil
	}
	t, ok := l.tracks[c.Track]
	if !ok {
		return nil, fmt.Errorf("fmp4: the file to loop has changed: track %d is new", c.Track)
	}
	hi, lo := bits.Mul64(l.rounds, t.num)
	if hi >= t.den {
		return nil, errors.New("fmp4: decode times have come to their end")
	}
	shift, _ := bits.Div64(hi, lo, t.den)
	c.DTS += shift
	c.Sequence += uint32(l.rounds) * l.numbers
	c.Data, err = Retime(c.Data, c.Track, c.DTS, c.Sequence)
	return c, err
}
