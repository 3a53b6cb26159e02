package fmp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readAll reads a whole input and returns what stands before io.EOF.
func readAll(r io.Reader) (*Init, []*Chunk, error) {
	rd := NewReader(r, nil)
	in, err := rd.Init()
	if err != nil {
		return nil, nil, err
	}
	var chunks []*Chunk
	for {
		c, err := rd.Next()
		if err == io.EOF {
			return in, chunks, nil
		}
		if err != nil {
			return in, chunks, err
		}
		chunks = append(chunks, c)
	}
}

func mustRead(t testing.TB, b []byte) (*Init, []*Chunk) {
	t.Helper()
	in, chunks, err := readAll(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return in, chunks
}

// file returns a track as a file of its own: header and chunks.
func file(tr Track, chunks []*Chunk) []byte {
	b := append([]byte(nil), tr.Header...)
	for _, c := range chunks {
		if c.Track == tr.ID {
			b = append(b, c.Data...)
		}
	}
	return b
}

// where returns the place of a box, given by its path; "moof.2" is the third
// moof.
func where(t testing.TB, b []byte, path string) (at, size int) {
	t.Helper()
	from, to := 0, len(b)
	for _, step := range strings.Split(path, "/") {
		name, nth, _ := strings.Cut(step, ".")
		left := 0
		if nth != "" {
			left = int(nth[0] - '0')
		}
		for at = from; ; at += size {
			if at+8 > to {
				t.Fatalf("no %s in the fixture", path)
			}
			size = int(binary.BigEndian.Uint32(b[at:]))
			if string(b[at+4:at+8]) == name {
				if left == 0 {
					break
				}
				left--
			}
		}
		from, to = at+8, at+size
		if name == "stsd" {
			from += 8
		}
	}
	return at, size
}

// set writes v over the 32 bits at off from the start of the box.
func set(t testing.TB, b []byte, path string, off int, v uint32) []byte {
	at, _ := where(t, b, path)
	b = bytes.Clone(b)
	binary.BigEndian.PutUint32(b[at+off:], v)
	return b
}

// cut removes a box and makes the boxes around it smaller.
func cut(t testing.TB, b []byte, path string) []byte {
	at, size := where(t, b, path)
	b = bytes.Clone(b)
	for p := path; ; {
		i := strings.LastIndex(p, "/")
		if i < 0 {
			break
		}
		p = p[:i]
		outer, n := where(t, b, p)
		binary.BigEndian.PutUint32(b[outer:], uint32(n-size))
	}
	return append(b[:at], b[at+size:]...)
}

// put replaces a box of the outermost level by v.
func put(t testing.TB, b []byte, path string, v []byte) []byte {
	at, size := where(t, b, path)
	return bytes.Join([][]byte{b[:at], v, b[at+size:]}, nil)
}

func rawBox(name string, body ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(append(b, name...), body...)
}

// need skips the test, aloud, where a program is absent; with
// TRIBUTARY_REQUIRE=1 it fails.
func need(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("TRIBUTARY_REQUIRE") == "1" {
			t.Fatalf("%s is required: %v", program, err)
		}
		t.Skipf("%s is not installed: %v", program, err)
	}
}

// output returns the output of a program that must succeed and not complain.
func output(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		need(t, name)
	}
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, complaints.String())
	}
	return out.String()
}
