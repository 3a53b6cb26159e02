package transporttest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

func testBackPressure(t *testing.T, a, b transport.Conn) {
	s, r := openUni(t, a, b, "x")
	s.SetWriteDeadline(time.Now().Add(10 * time.Second))
	n, err := io.Copy(s, io.LimitReader(zeros{}, 64<<20))
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("wrote %d bytes that nobody reads, %v; want to be held up", n, err)
	}
	// The others are not held up by it.
	other, otherRead := openUni(t, a, b, "other")
	other.Close()
	expectEOF(t, otherRead)
	s.CancelWrite(moqt.StreamCancelled)
	_, err = readEnd(r)
	expectStream(t, "Read of the reset stream", err, moqt.StreamCancelled, true)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func testLargeTransfer(t *testing.T, a, b transport.Conn) {
	s, r := openUni(t, a, b, "x")
	const size = 4 << 20
	sum := make(chan [32]byte, 1)
	go func() {
		h := sha256.New()
		p := make([]byte, 7919)
		for n := 0; n < size; n += len(p) {
			for i := range p {
				p[i] = byte(n + i*i>>4)
			}
			h.Write(p)
			if _, err := s.Write(p); err != nil {
				t.Errorf("Write: %v", err)
				break
			}
			clear(p) // Write does not keep it
		}
		s.Close()
		sum <- [32]byte(h.Sum(nil))
	}()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil || n < size {
		t.Errorf("read %d bytes, %v, want at least %d", n, err, size)
	}
	if got, want := [32]byte(h.Sum(nil)), <-sum; got != want {
		t.Errorf("read %x, want %x", got[:4], want[:4])
	}
	if st := a.Stats(); st.BytesSent < uint64(n) {
		t.Errorf("Stats() = %+v, want %d bytes sent or more", st, n)
	}
	if st := b.Stats(); st.BytesReceived < uint64(n) {
		t.Errorf("Stats() = %+v, want %d bytes received or more", st, n)
	}
}

func testManyStreams(t *testing.T, a, b transport.Conn) {
	const unis, bidis = 1500, 400 // more than may be open at once
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range unis {
			s, err := a.OpenUniStream(t.Context())
			if err != nil {
				t.Errorf("OpenUniStream: %v", err)
				return
			}
			fmt.Fprintf(s, "stream %d", i)
			s.Close()
		}
	})
	seen := make(map[string]bool)
	wg.Go(func() {
		for range unis {
			r, err := b.AcceptUniStream(t.Context())
			if err != nil {
				t.Errorf("AcceptUniStream: %v", err)
				return
			}
			got, err := readEnd(r)
			if err != io.EOF {
				t.Errorf("Read: %v", err)
			}
			seen[got] = true
		}
	})
	wg.Go(func() { // the other end echoes
		for range bidis {
			s, err := b.AcceptStream(t.Context())
			if err != nil {
				t.Errorf("AcceptStream: %v", err)
				return
			}
			wg.Go(func() {
				io.Copy(s, s)
				s.Close()
			})
		}
	})
	for i := range bidis {
		s, err := a.OpenStream(t.Context())
		if err != nil {
			t.Fatalf("OpenStream: %v", err)
		}
		wg.Go(func() {
			want := fmt.Sprintf("request %d", i)
			io.WriteString(s, want)
			s.Close()
			if got, err := readEnd(s); got != want || err != io.EOF {
				t.Errorf("echo = %q, %v, want %q", got, err, want)
			}
		})
	}
	wg.Wait()
	if len(seen) != unis {
		t.Errorf("%d different streams arrived, want %d", len(seen), unis)
	}
}

func testStreamLimit(t *testing.T, a, b transport.Conn) {
	open := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s, err := a.OpenUniStream(ctx)
		if err == nil {
			write(t, s, "x")
			s.Close()
		}
		return err
	}
	n := 0
	var err error
	for err == nil && n < 10_000 {
		if err = open(); err == nil {
			n++
		}
	}
	if !errors.Is(err, context.DeadlineExceeded) || n < 100 {
		t.Fatalf("opening the %dth stream that nobody reads: %v, want to wait", n+1, err)
	}
	done := make(chan error, 1)
	go func() {
		s, err := a.OpenUniStream(t.Context())
		if err == nil {
			write(t, s, "last")
			s.Close()
		}
		done <- err
	}()
	for range n {
		r, err := b.AcceptUniStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readEnd(r); got != "x" || err != io.EOF {
			t.Fatalf("Read = %q, %v", got, err)
		}
	}
	if err := <-done; err != nil {
		t.Fatalf("OpenUniStream after room was made: %v", err)
	}
	r, err := b.AcceptUniStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readEnd(r); got != "last" || err != io.EOF {
		t.Fatalf("Read = %q, %v, want last", got, err)
	}
}
