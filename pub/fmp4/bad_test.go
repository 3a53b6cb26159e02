package fmp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// zeros is an endless input, for boxes that promise much.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// badInputs are made of good ones by one change each. box and at are what the
// error must name; at is a path, or "" for at the start, or "end".
func badInputs(t testing.TB) []badInput {
	cmaf, both, tables := fixture(t, "cmaf.mp4"), fixture(t, "keyframe_empty.mp4"), fixture(t, "keyframe.mp4")
	moovAt, moovSize := where(t, cmaf, "moov")
	moofAt, moofSize := where(t, cmaf, "moof")
	mdatAt, mdatSize := where(t, cmaf, "mdat")
	large := func(name string, size uint64) []byte {
		b := append([]byte{0, 0, 0, 1}, name...)
		return binary.BigEndian.AppendUint64(b, size)
	}
	header := cmaf[:moovAt+moovSize]
	const stbl = "moov/trak/mdia/minf/stbl"
	deep := rawBox("free")
	for len(deep) < 1<<20 {
		deep = rawBox("trak", append(deep, make([]byte, len(deep))...)...)
	}
	return []badInput{
		{"empty", nil, "input", "", "nothing came: see why"},
		{"garbage", []byte("<!DOCTYPE html><html>"), "CTYP", "", "no MP4 begins"},
		{"binary garbage", bytes.Repeat([]byte{0x47, 1, 2, 0xff}, 50), "input", "", "no MP4 box begins here (47 01 02 ff 47 01 02 ff): with ffmpeg, write -f mp4 -movflags cmaf"},
		{"other container", append(rawBox("RIFF"), 0), "RIFF", "", "no MP4 begins"},
		{"half a header", []byte{0, 0, 0}, "input", "", "3 bytes of a box header"},
		{"size 4", append([]byte{0, 0, 0, 4}, "moov"...), "moov", "", "size 4"},
		{"size 0", append([]byte{0, 0, 0, 0}, "moov"...), "moov", "", "size 0"},
		{"largesize 8", large("moov", 8), "moov", "", "size 8"},
		{"largesize 2^63", large("mdat", 1<<63), "mdat", "", "believable"},
		{"largesize cut off", large("moov", 8)[:12], "moov", "", "ended in its header"},
		{"moov 4 GiB", append([]byte{0xff, 0xff, 0xff, 0xff}, "moov"...), "moov", "", "limit"},
		{"moov 4 GiB, largesize", large("moov", 4<<30), "moov", "", "limit"},
		{"moov 8 MiB of nothing", append([]byte{0, 0x7f, 0xff, 0xff}, "moov"...), "moov", "", "ended"},
		{"only ftyp", cmaf[:moovAt], "input", "end", "before moov"},
		{"EOF in moov", header[:moovAt+100], "moov", "moov", "ended"},
		{"moof before moov", cmaf[moofAt:], "moof", "", "before moov"},
		{"mdat before moov", cmaf[mdatAt:], "mdat", "", "before moov"},
		{"two moov", slices.Insert(bytes.Clone(cmaf), mdatAt+mdatSize, set(t, header, "moov/mvhd", 12, 7)[moovAt:]...), "moov", "mdat+", "second"},
		{"no mvhd", cut(t, cmaf, "moov/mvhd"), "moov", "moov", "no mvhd"},
		{"no mvex", cut(t, cmaf, "moov/mvex"), "moov", "moov", "no mvex"},
		{"no trex", cut(t, cmaf, "moov/mvex/trex.1"), "mvex", "moov/mvex", "no trex"},
		{"no track", cut(t, cut(t, cmaf, "moov/trak"), "moov/trak"), "moov", "moov", "no track"},
		{"no stsd", cut(t, cmaf, stbl+"/stsd"), "trak", "moov/trak", "lacks"},
		{"two tracks of one ID", set(t, cmaf, "moov/trak.1/tkhd", 20, 1), "tkhd", "moov/trak.1/tkhd", "second track"},
		{"track ID 0", set(t, cmaf, "moov/trak/tkhd", 20, 0), "tkhd", "moov/trak/tkhd", "no track ID"},
		{"timescale 0", set(t, cmaf, "moov/trak/mdia/mdhd", 20, 0), "mdhd", "moov/trak/mdia/mdhd", "timescale"},
		{"trak longer than moov", set(t, cmaf, "moov/trak", 0, 1<<20), "trak", "moov/trak", "does not fit"},
		{"box of size 3 in trak", set(t, cmaf, "moov/trak/tkhd", 0, 3), "tkhd", "moov/trak/tkhd", "size 3"},
		{"stsd without entry", set(t, cmaf, stbl+"/stsd", 12, 0), "stsd", stbl + "/stsd", ""},
		{"avcC too short", set(t, cmaf, stbl+"/stsd/avc1", 86, 8), "stsd", stbl + "/stsd", ""},
		{"traf of unknown track", set(t, cmaf, "moof/traf/tfhd", 12, 77), "tfhd", "moof/traf/tfhd", "track 77"},
		{"tfhd flags without fields", set(t, cmaf, "moof/traf/tfhd", 8, 0x2003b), "tfhd", "moof/traf/tfhd", "flags"},
		{"base data offset 2^63", set(t, both, "moof/traf/tfhd", 16, 1<<31), "tfhd", "moof/traf/tfhd", "believable"},
		{"no tfhd", cut(t, cmaf, "moof/traf/tfhd"), "trun", "moof/traf/trun", ""},
		{"tfdt 2^64-1", set(t, cmaf, "moof/traf/tfdt", 12, 1<<32-1), "tfdt", "moof/traf/tfdt", "believable"},
		{"trun count 2^32-1", set(t, both, "moof/traf/trun", 12, 1<<32-1), "trun", "moof/traf/trun", "do not fit"},
		{"trun count 2^32-1 without fields", set(t, cmaf, "moof.1/traf/trun", 12, 1<<32-1), "trun", "moof.1/traf/trun", "limit"},
		{"trun data before the mdat", set(t, cmaf, "moof/traf/trun", 16, 1), "trun", "moof/traf/trun", "is not in the mdat"},
		{"trun data behind the mdat", set(t, cmaf, "moof/traf/trun", 16, 1<<31-1), "trun", "moof/traf/trun", "is not in the mdat"},
		{"trun data before the input", set(t, cmaf, "moof/traf/trun", 16, 1<<31), "trun", "moof/traf/trun", "is not in the mdat"},
		{"sample larger than mdat", set(t, cmaf, "moof/traf/tfhd", 24, 1<<30), "trun", "moof/traf/trun", "is not in the mdat"},
		{"moof 4 GiB", slices.Concat(header, []byte{0xff, 0xff, 0xff, 0xff}, []byte("moof")), "moof", "moov+", "limit"},
		{"EOF in moof", cmaf[:moofAt+moofSize/2], "moof", "moof", "ended"},
		{"EOF after moof", cmaf[:mdatAt], "moof", "moof", "before its mdat"},
		{"EOF in mdat", cmaf[:mdatAt+mdatSize/2], "mdat", "mdat", "ended"},
		{"EOF in the header of mdat", cmaf[:mdatAt+5], "input", "moof+", "box header"},
		{"moof after moof", slices.Concat(cmaf[:mdatAt], cmaf[moofAt:]), "moof", "moof", "another moof"},
		{"mdat 1 GiB", slices.Concat(cmaf[:mdatAt], large("mdat", 1<<30)), "mdat", "mdat", "limit"},
		{"unknown box 1 GiB", slices.Concat(header, large("what", 1<<30)), "what", "moov+", "limit"},
		{"EOF in unknown box", slices.Concat(header, []byte{0, 0, 0, 99}, []byte("what")), "what", "moov+", "ended"},
		{"moov nested a thousand deep", put(t, cmaf, "moov", rawBox("moov", deep...)), "", "", ""},
		{"moov of empty boxes", put(t, cmaf, "moov", rawBox("moov", bytes.Repeat(rawBox("free"), 1<<19)...)), "moov", "moov", "boxes in it"},
		{"stsz count 2^32-1", set(t, tables, stbl+"/stsz", 16, 1<<32-1), "stsz", stbl + "/stsz", "do not fit"},
		{"stsz same size, count 2^32-1", set(t, set(t, tables, stbl+"/stsz", 16, 1<<32-1), stbl+"/stsz", 12, 1), "stbl", stbl, ""},
		{"stts count 2^32-1", set(t, tables, stbl+"/stts", 12, 1<<32-1), "stts", stbl + "/stts", "do not fit"},
		{"stts too short", set(t, tables, stbl+"/stts", 16, 0), "stbl", stbl, "stts ends"},
		{"stsc begins with chunk 0", set(t, tables, stbl+"/stsc", 16, 0), "stbl", stbl, "begins with chunk 0"},
		{"stco behind the mdat", set(t, tables, stbl+"/stco", 16, 1<<32-1), "stbl", stbl, "is not in the mdat"},
		{"no stco", cut(t, tables, stbl+"/stco"), "stbl", stbl, "lacks"},
		{"EOF before the mdat of moov", tables[:func() int { a, _ := where(t, tables, "mdat"); return a }()], "input", "end", "mdat"},
		{"encrypted, two tracks", put(t, both, "moof", func() []byte {
			at, size := where(t, both, "moof")
			traf, n := where(t, both, "moof/traf")
			saio := rawBox("saio", 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0)
			b := slices.Insert(bytes.Clone(both[at:at+size]), traf-at+n, saio...)
			for i, v := range []int{size, n} {
				binary.BigEndian.PutUint32(b[i*(traf-at):], uint32(v+len(saio)))
			}
			base := func(path string) { // the data moved
				a, _ := where(t, b, path)
				binary.BigEndian.PutUint32(b[a+20:], uint32(at+len(saio)))
			}
			base("moof/traf.0/tfhd")
			base("moof/traf.1/tfhd")
			return b
		}()), "saio", "", "encrypted"},
	}
}

type badInput struct {
	name    string
	data    []byte
	box, at string
	text    string
}

func TestBadInput(t *testing.T) {
	for _, tt := range badInputs(t) {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := readAll(bytes.NewReader(tt.data))
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 48<<20 {
				t.Errorf("took %d bytes of memory", used)
			}
			var fe *FormatError
			if !errors.As(err, &fe) {
				t.Fatalf("error = %v, want a FormatError", err)
			}
			if tt.box != "" && fe.Box != tt.box {
				t.Errorf("error = %q, want one about box %s", err, tt.box)
			}
			if !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error = %q, want one line with %q", err, tt.text)
			}
			want := int64(0)
			switch {
			case tt.at == "end":
				want = int64(len(tt.data))
			case tt.at == "":
				return
			default:
				at, size := where(t, tt.data, strings.TrimSuffix(tt.at, "+"))
				if strings.HasSuffix(tt.at, "+") {
					at += size
				}
				want = int64(at)
			}
			if fe.Offset != want {
				t.Errorf("error = %q, want one at byte %d", err, want)
			}
		})
	}
}

// TestPromisesCostNothing feeds bodies without end: memory must stay bounded
// by the limits, not by what a header says.
func TestPromisesCostNothing(t *testing.T) {
	cmaf := fixture(t, "cmaf.mp4")
	mdatAt, _ := where(t, cmaf, "mdat")
	for _, tt := range []struct {
		name string
		head []byte
	}{
		{"mdat over the limit", append(bytes.Clone(cmaf[:mdatAt]), "\x7f\xff\xff\xffmdat"...)},
		{"moov over the limit", []byte("\x7f\xff\xff\xffmoov")},
		{"moov at the limit", []byte("\x00\x80\x00\x00moov")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := readAll(io.MultiReader(bytes.NewReader(tt.head), zeros{}))
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Error("no error")
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 48<<20 {
				t.Errorf("took %d bytes of memory", used)
			}
		})
	}
}

// TestMdatLimit has the limit of Options hold.
func TestMdatLimit(t *testing.T) {
	r := NewReader(bytes.NewReader(fixture(t, "keyframe_empty.mp4")), &Options{MaxMdat: 100})
	_, err := r.Next()
	var fe *FormatError
	if !errors.As(err, &fe) || fe.Box != "mdat" {
		t.Errorf("error = %v, want one about mdat", err)
	}
}

// TestOddButGood are inputs that look wrong and are not.
func TestOddButGood(t *testing.T) {
	cmaf := fixture(t, "cmaf.mp4")
	for _, tt := range []struct {
		name   string
		data   []byte
		chunks int
	}{
		{"no ftyp", cut(t, cmaf, "ftyp"), 32},
		{"decode time goes back", set(t, cmaf, "moof.5/traf/tfdt", 16, 0), 32},
		{"no tfdt", cut(t, cut(t, both(t), "moof/traf.0/tfdt"), "moof/traf.1/tfdt"), 2},
		{"no end of the last group", cmaf[:func() int { a, _ := where(t, cmaf, "moof.9"); return a }()], 9},
		{"header alone", cmaf[:func() int { a, _ := where(t, cmaf, "moof"); return a }()], 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, chunks, err := readAll(bytes.NewReader(tt.data))
			if err != nil || len(chunks) != tt.chunks {
				t.Errorf("%d chunks, %v; want %d and no error", len(chunks), err, tt.chunks)
			}
		})
	}
}

// both returns the first fragment of two tracks, with the offsets it has when
// its two tfdt are cut out.
func both(t testing.TB) []byte {
	b := fixture(t, "keyframe_empty.mp4")
	end, _ := where(t, b, "moof.1")
	b = b[:end]
	for _, traf := range []string{"moof/traf.0", "moof/traf.1"} {
		at, _ := where(t, b, traf+"/trun")
		b = set(t, b, traf+"/trun", 16, binary.BigEndian.Uint32(b[at+16:])-40)
	}
	return b
}
