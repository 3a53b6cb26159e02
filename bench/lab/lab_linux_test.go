package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/tributary-live/tributary/internal/netsim"
)

// newLab returns a lab of the test's own.
func newLab(t *testing.T) *Lab {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can make network namespaces")
	}
	l, err := New()
	if err == nil {
		t.Cleanup(l.Close)
		return l
	}
	if os.Getenv("TRIBUTARY_REQUIRE") == "1" {
		t.Fatalf("%v, and TRIBUTARY_REQUIRE=1", err)
	}
	t.Skip(err)
	return nil
}

func addPath(t *testing.T, l *Lab, name string, opts ...netsim.Option) *Path {
	t.Helper()
	p, err := l.AddPath(name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pair returns a socket on the path and one of the relay's that it is to write to.
func pair(t *testing.T, l *Lab, p *Path) (near, far *net.UDPConn) {
	t.Helper()
	near, err := p.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	if far, err = l.Relay.ListenUDP(t.Context(), RelayAddr+":0", ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	far.SetReadBuffer(8 << 20)
	return near, far
}

// pass sends n datagrams of size bytes, and then others until one of those has
// arrived: packets do not overtake, so all that get through have. It returns how
// many of the n did.
func pass(t *testing.T, near, far *net.UDPConn, n, size int) (got int) {
	t.Helper()
	arrived := make(chan struct{})
	go func() {
		defer close(arrived)
		buf := make([]byte, mtu)
		for {
			if _, _, err := far.ReadFromUDP(buf); err != nil {
				return
			}
			if int(binary.BigEndian.Uint32(buf)) >= n {
				return
			}
			got++
		}
	}()
	b := make([]byte, size)
	for i := range n {
		binary.BigEndian.PutUint32(b, uint32(i))
		if _, err := near.WriteTo(b, far.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	binary.BigEndian.PutUint32(b, uint32(n))
	repeat(near, far, b, func() bool {
		select {
		case <-arrived:
			return true
		default:
			return false
		}
	})
	return got
}

// repeat sends b again and again until done.
func repeat(near, far *net.UDPConn, b []byte, done func() bool) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ; !done(); <-tick.C {
		near.WriteTo(b, far.LocalAddr())
	}
}

func TestPathHasItsDelay(t *testing.T) {
	l := newLab(t)
	p := addPath(t, l, "usb0", netsim.Up(netsim.Delay(30*time.Millisecond)), netsim.Down(netsim.Delay(20*time.Millisecond)))
	near, far := pair(t, l, p)
	go func() {
		buf := make([]byte, mtu)
		n, from, err := far.ReadFromUDP(buf)
		if err == nil {
			far.WriteTo(buf[:n], from)
		}
	}()
	began := time.Now()
	near.WriteTo([]byte("ping"), far.LocalAddr())
	buf := make([]byte, mtu)
	n, _, err := near.ReadFromUDP(buf)
	if err != nil || string(buf[:n]) != "ping" {
		t.Fatalf("read %q, %v", buf[:n], err)
	}
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("a round trip of 50 ms took %v", took)
	}
}

func TestPathHasItsRateAndQueue(t *testing.T) {
	l := newLab(t)
	p := addPath(t, l, "usb0", netsim.Rate(8*netsim.Mbit), netsim.Queue(40_000))
	near, far := pair(t, l, p)
	began := time.Now()
	got := pass(t, near, far, 300, 972) // 1000 bytes with headers, 1 ms
	took := time.Since(began)
	if least := time.Duration(got) * time.Millisecond; took < least {
		t.Errorf("%d packets of 1 ms took %v, want %v or more", got, took, least)
	}
	if up, _ := p.Stats(); up.Overflowed == 0 || got == 300 {
		t.Errorf("%d of 300 came, and %d packets found the queue full", got, up.Overflowed)
	}
}

func TestPathLosesItsShare(t *testing.T) {
	for name, loss := range map[string]netsim.Option{"random": netsim.Loss(0.1), "bursts": netsim.BurstLoss(0.1, 5)} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			p := addPath(t, l, "usb0", loss)
			near, far := pair(t, l, p)
			pass(t, near, far, 5000, 100)
			up, _ := p.Stats()
			if share := float64(up.Lost) / float64(up.SentPackets); share < 0.06 || share > 0.14 {
				t.Errorf("lost %.3f of all, want about 0.1", share)
			}
		})
	}
}

func TestPathIsCutAndUnplugged(t *testing.T) {
	l := newLab(t)
	p := addPath(t, l, "usb0")
	near, far := pair(t, l, p)
	p.Cut()
	repeat(near, far, make([]byte, 100), func() bool { up, _ := p.Stats(); return up.Dark > 0 })
	if up, _ := p.Stats(); up.DeliveredPackets > 0 {
		t.Errorf("%d packets came through a cut", up.DeliveredPackets)
	}
	p.Restore()
	if got := pass(t, near, far, 1, 100); got != 1 {
		t.Errorf("%d packets of 1 came after the cut", got)
	}
	p.Close()
	if _, err := near.WriteTo(make([]byte, 100), far.LocalAddr()); err == nil {
		t.Errorf("a socket on an interface that is gone can write")
	}
	again := addPath(t, l, "usb0")
	near, far = pair(t, l, again)
	if got := pass(t, near, far, 1, 100); got != 1 {
		t.Errorf("%d packets of 1 came by the interface that was plugged in again", got)
	}
}

// transfer sends size bytes by TCP and returns an error if others arrive.
func transfer(t *testing.T, l *Lab, device string, multipath bool, size int) {
	t.Helper()
	ln, err := l.Relay.ListenTCP(t.Context(), RelayAddr+":0", multipath)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = byte(i * 7)
	}
	failed := make(chan error, 1)
	go func() {
		conn, err := l.Publisher.DialTCP(context.Background(), ln.Addr().String(), device, multipath)
		if err != nil {
			ln.Close()
			failed <- err
			return
		}
		defer conn.Close()
		if using, err := conn.MultipathTCP(); using != multipath {
			err = errors.Join(err, errors.New("the connection is not of the kind that was asked for"))
			failed <- err
			return
		}
		_, err = conn.Write(sent)
		failed <- err
	}()
	var got []byte
	if conn, err := ln.Accept(); err == nil {
		defer conn.Close()
		got, err = io.ReadAll(conn)
		if err != nil {
			t.Error(err)
		}
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("received %d bytes that are not the %d sent", len(got), len(sent))
	}
}

func TestTCPTakesThePathItIsToldTo(t *testing.T) {
	l := newLab(t)
	a, b := addPath(t, l, "wlan0"), addPath(t, l, "usb0")
	transfer(t, l, "usb0", false, 1<<20)
	if up, _ := a.Stats(); up.SentPackets > 0 {
		t.Errorf("%d packets went over the other path", up.SentPackets)
	}
	if up, _ := b.Stats(); up.DeliveredBytes < 1<<20 {
		t.Errorf("%d bytes went over the path", up.DeliveredBytes)
	}
}

func TestMultipathTCPUsesAllPaths(t *testing.T) {
	l := newLab(t)
	slow := []netsim.Option{netsim.Rate(20 * netsim.Mbit), netsim.Delay(5 * time.Millisecond)}
	paths := []*Path{addPath(t, l, "wlan0", slow...), addPath(t, l, "usb0", slow...)}
	transfer(t, l, "", true, 2<<20)
	for _, p := range paths {
		if up, _ := p.Stats(); up.DeliveredBytes < 100_000 {
			t.Errorf("%s carried %d bytes of 2 MiB", p.Name, up.DeliveredBytes)
		}
	}
}

func TestNothingIsLeft(t *testing.T) {
	l := newLab(t)
	for _, name := range []string{"wlan0", "usb0"} {
		addPath(t, l, name)
	}
	here, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range here {
		if i.Name == "wlan0" || i.Name == "usb0" || i.Name == "far1" {
			t.Errorf("the interface %s is on this machine, and not only in the lab", i.Name)
		}
	}
	if _, err := l.Publisher.ListenUDP(t.Context(), RelayAddr+":0", ""); err == nil {
		t.Error("the publisher's host has the relay's address")
	}
}
