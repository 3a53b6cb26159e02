package wire

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tributary-live/tributary/transport/moqt"
)

// mediamtxInputs returns the byte slices of the fuzz inputs in
// testdata/mediamtx.
func mediamtxInputs(t testing.TB) (inputs [][]byte) {
	files, err := filepath.Glob("testdata/mediamtx/*/*")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d inputs, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			quoted, ok := strings.CutPrefix(strings.TrimSpace(line), "[]byte(")
			if !ok {
				continue
			}
			s, err := strconv.Unquote(strings.TrimSuffix(quoted, ")"))
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			inputs = append(inputs, []byte(s))
		}
	}
	return inputs
}

// decodeAll runs every decoder over b and returns what each said.
func decodeAll(p *Profile, b []byte) map[string]error {
	r := func() *Reader { return NewReader(bytes.NewReader(b)) }
	errs := make(map[string]error)
	for _, on := range fuzzPlaces {
		_, errs["message"] = p.ReadMessage(r(), on)
	}
	_, errs["setup"] = p.ReadSetup(r())
	_, errs["subgroup stream"] = readSubgroup(p, r())
	_, errs["fetch stream"] = readFetch(p, r(), moqt.Descending)
	_, _, errs["datagram"] = p.ParseDatagram(b)
	_, errs["properties"] = p.ParseProperties(b)
	h := SubgroupHeader{Properties: len(b)%2 == 0}
	objects := p.SubgroupObjects(&h)
	for from := r(); errs["objects"] == nil; {
		_, errs["objects"] = objects.Next(from, &testLimits)
	}
	return errs
}

func TestMediamtxInputs(t *testing.T) {
	for _, b := range mediamtxInputs(t) {
		for _, p := range profiles {
			for name, err := range decodeAll(p, b) {
				t.Run(name, func(t *testing.T) { okOrRefused(t, err) })
			}
		}
	}
}
