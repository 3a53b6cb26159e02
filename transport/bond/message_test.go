package bond

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"reflect"
	"slices"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

var (
	someID     = ID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	someSecret = Secret{0: 0xaa, 31: 0xbb}
)

// vectors are messages and how they are sent, worked out by hand from
// docs/bond-protocol.md: type, length, body.
var vectors = []struct {
	name string
	m    Message
	hex  string
}{
	{"a join that makes a bond", &Join{Path: "wlan0"},
		"f04d425040 000a 00 05776c616e30 00 00 00"},
	{"another join", &Join{Member: 300, Path: "usb0", Cost: Backup, Bond: someID, Proof: bytes.Repeat([]byte{0x5a}, 32)},
		"f04d425040 003a 812c 0475736230 02 10 0102030405060708090a0b0c0d0e0f10 20" + string(bytes.Repeat([]byte("5a"), 32))},
	{"consent", &Joined{Bond: someID, Secret: someSecret, MaxMembers: 8, MaxObject: 8 << 20, MaxHeld: 32 << 20, Hold: 2 * time.Second, URI: "moqt://a"},
		"f04d425041 0044 0102030405060708090a0b0c0d0e0f10 aa" + string(bytes.Repeat([]byte("00"), 30)) + "bb 08 e0800000 e2000000 87d0 08 6d6f71743a2f2f61"},
	{"refusal", &Refused{Code: moqt.RequestUnauthorized, Reason: "no"},
		"f04d425042 0004 01 02 6e6f"},
	{"acknowledgement", &Ack{Member: 1, Received: 200 * time.Microsecond, Held: 5, Ranges: []Range{{8, 10}, {3, 5}, {0, 0}}, Done: []Object{{7, 300, 2}}},
		"f04d425044 0010 01 0a 80c8 05 02 02 01 02 01 00 01 07 812c 02"},
}

const proofOfZeros = "4292a45560b8f09fed962dd2bc8ae3377e1401b45837b921b5f76da5ec4e9184"

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(s), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMessageVectors(t *testing.T) {
	for _, v := range vectors {
		want := unhex(t, v.hex)
		if got := AppendMessage(nil, v.m); !bytes.Equal(got, want) {
			t.Errorf("%s is sent as\n%x, want\n%x", v.name, got, want)
		}
		if got, err := parse(want); err != nil || !reflect.DeepEqual(got, v.m) {
			t.Errorf("%s is read as %+v, %v", v.name, got, err)
		}
	}
}

// parse reads one whole message.
func parse(b []byte) (Message, error) {
	typ, n := wire.ParseVarint(b)
	if n == 0 || len(b) < n+2 {
		return nil, io.ErrUnexpectedEOF
	}
	return ParseMessage(typ, b[n+2:])
}

func TestShortAndLongMessages(t *testing.T) {
	for _, v := range vectors {
		whole := unhex(t, v.hex)
		const head = 7 // type and length
		for n := head; n < len(whole); n++ {
			if m, err := parse(whole[:n]); !isFault(err) {
				t.Errorf("%s, cut to %d bytes: read as %+v, %v", v.name, n, m, err)
			}
		}
		if m, err := parse(append(slices.Clone(whole), 0)); !isFault(err) {
			t.Errorf("%s and a byte: read as %+v, %v", v.name, m, err)
		}
	}
}

func TestReadMessages(t *testing.T) {
	refused := &Refused{Code: moqt.RequestUnauthorized, Reason: "no"}
	joined := &Joined{MaxMembers: 3, URI: "moqt://relay.example"}
	whole := AppendMessage(AppendMessage(nil, refused), joined)
	ends := map[int]bool{0: true, len(AppendMessage(nil, refused)): true, len(whole): true}
	for n := range len(whole) + 1 {
		var got []Message
		r := iotest.OneByteReader(bytes.NewReader(whole[:n]))
		m, err := ReadMessage(r)
		for ; err == nil; m, err = ReadMessage(r) {
			got = append(got, m)
		}
		if ends[n] != (err == io.EOF) || !ends[n] && !isFault(err) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
		if n == len(whole) && !reflect.DeepEqual(got, []Message{refused, joined}) {
			t.Errorf("%+v was read", got)
		}
	}
	reset := errors.New("reset")
	if _, err := ReadMessage(io.MultiReader(bytes.NewReader(whole[:3]), iotest.ErrReader(reset))); !errors.Is(err, reset) || isFault(err) {
		t.Errorf("a reset inside a message gives %v", err)
	}
}

func TestBadMessages(t *testing.T) {
	const join, joined, ack = "f04d425040 0000 ", "f04d425041 0000 ", "f04d425044 0000 "
	ids := hex.EncodeToString(make([]byte, 48))
	for name, s := range map[string]string{
		"cost 3":                         join + "00 00 03 00 00",
		"a path of 65 bytes":             join + "00 41" + string(bytes.Repeat([]byte("61"), 65)) + "00 00 00",
		"a path with a control sequence": join + "00 02 1b5b 00 00 00",
		"a path that is not ASCII":       join + "00 01 ff 00 00 00",
		"a bond without a proof":         join + "00 00 00 10 " + hex.EncodeToString(make([]byte, 16)) + " 00",
		"a proof without a bond":         join + "00 00 00 00 20" + hex.EncodeToString(make([]byte, 32)),
		"a short proof":                  join + "00 00 00 10 " + hex.EncodeToString(make([]byte, 16)) + " 04 00000000",
		"a short bond":                   join + "00 00 00 01 00 20" + hex.EncodeToString(make([]byte, 32)),
		"a length of 2^64-1":             join + "00 ffffffffffffffffff 00",
		"very many members":              joined + ids + "ffffffffffffffffff 00 00 00 00",
		"a hold of years":                joined + ids + "08 08 08 ffffffffffffffffff 00",
		"an object of 2^64-1":            joined + ids + "08 ffffffffffffffffff 08 08 00",
		"a range below 0":                ack + "00 05 00 00 06 00 00",
		"a gap below 0":                  ack + "00 05 00 00 02 01 02 00 00",
		"a gap to 0 and a range":         ack + "00 05 00 00 02 01 01 01 00",
		"33 ranges":                      ack + "00 8100 00 00 00 20 " + string(bytes.Repeat([]byte("0000"), 32)) + "00",
		"513 done":                       ack + "00 05 00 00 00 00 8201",
		"an unknown type":                "f04d425045 0000",
	} {
		if m, err := parse(unhex(t, s)); !isFault(err) {
			t.Errorf("%s: read as %+v, %v", name, m, err)
		}
	}
}

func TestOffer(t *testing.T) {
	o := OfferOption()
	if o.Type%2 != 1 || (o.Type-0x9d)%0x7f == 0 {
		t.Errorf("option 0x%x has no bytes, or is grease", o.Type)
	}
	for _, c := range []struct {
		o    moqt.Property
		want bool
	}{
		{o, true},
		{moqt.Property{Type: Option, Bytes: []byte{1, 9, 9}}, true},
		{moqt.Property{Type: Option, Bytes: []byte{2}}, false},
		{moqt.Property{Type: Option}, false},
		{moqt.Property{Type: 7, Bytes: []byte{1}}, false},
	} {
		if got := Offered(c.o); got != c.want {
			t.Errorf("%+v is offered: %v, want %v", c.o, got, c.want)
		}
	}
}

func TestProof(t *testing.T) {
	id, secret := NewBond()
	otherID, otherSecret := NewBond()
	exporter := []byte("keys of this connection")
	proof := Prove(secret, id, 1, exporter)
	if !Proven(proof, secret, id, 1, exporter) {
		t.Error("a right proof is refused")
	}
	for name, wrong := range map[string]bool{
		"another bond":       Proven(proof, secret, otherID, 1, exporter),
		"another secret":     Proven(proof, otherSecret, id, 1, exporter),
		"another member":     Proven(proof, secret, id, 2, exporter),
		"another connection": Proven(proof, secret, id, 1, []byte("other keys")),
		"nothing":            Proven(nil, secret, id, 1, exporter),
		"half":               Proven(proof[:16], secret, id, 1, exporter),
	} {
		if wrong {
			t.Errorf("a proof for %s is taken", name)
		}
	}
	// Worked out by another implementation of HMAC-SHA256.
	var zeroID ID
	var zero Secret
	if got := hex.EncodeToString(Prove(zero, zeroID, 1, make([]byte, 32))); got != proofOfZeros {
		t.Errorf("the proof of zeros is %s, want %s", got, proofOfZeros)
	}
}

// TestRangesReachZero has a lowest range of 0 alone, with the least gap above it.
func TestRangesReachZero(t *testing.T) {
	for _, above := range []uint64{2, 3} {
		want := &Ack{Ranges: []Range{{above, 7}, {0, 0}}}
		m, err := ReadMessage(bytes.NewReader(AppendMessage(nil, want)))
		if got, ok := m.(*Ack); err != nil || !ok || !slices.Equal(got.Ranges, want.Ranges) {
			t.Errorf("%v is read as %+v, %v", want.Ranges, m, err)
		}
	}
}

// TestTrackerForgets notes sequences with gaps between: what is behind the oldest
// that is known may have been noted or not.
func TestTrackerForgets(t *testing.T) {
	var tr Tracker
	for i := range uint64(40) {
		if s := 3 * i; tr.Forgot(s) {
			t.Errorf("%d is forgotten before there were later ones", s)
		} else {
			tr.Got(s, 0)
		}
	}
	for s := range uint64(3 * 40) {
		if got, want := tr.Forgot(s), s < 3*(40-maxAckRanges); got != want {
			t.Errorf("Forgot(%d) = %v, want %v", s, got, want)
		}
	}
}

func TestTracker(t *testing.T) {
	var tr Tracker
	if tr.Ack() != nil {
		t.Error("an acknowledgement of nothing")
	}
	for i, seq := range []uint64{0, 1, 5, 3, 4, 9, 5} {
		if fresh := tr.Got(seq, time.Duration(i)); fresh != (i < 6) {
			t.Errorf("chunk %d is new: %v", seq, fresh)
		}
	}
	if n := tr.Unsent(); n != 6 {
		t.Errorf("%d unsent, want 6", n)
	}
	ack := tr.Ack()
	if want := []Range{{9, 9}, {3, 5}, {0, 1}}; !slices.Equal(ack.Ranges, want) || ack.Received != 5 || tr.Unsent() != 0 {
		t.Errorf("%+v, want the ranges %v at 5", ack, want)
	}
	tr.Got(2, 7)
	if want := []Range{{9, 9}, {0, 5}}; !slices.Equal(tr.Ack().Ranges, want) {
		t.Errorf("the hole at 2 is not closed")
	}
	for seq := uint64(100); seq < 400; seq += 2 {
		tr.Got(seq, 0)
	}
	if n := len(tr.Ack().Ranges); n != maxAckRanges {
		t.Errorf("%d ranges are kept, want %d", n, maxAckRanges)
	}
}

func FuzzMessage(f *testing.F) {
	for _, v := range vectors {
		b := AppendMessage(nil, v.m)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b)
		if err != nil {
			return
		}
		again, err := parse(AppendMessage(nil, m))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%+v comes back as %+v, %v", m, again, err)
		}
	})
}
