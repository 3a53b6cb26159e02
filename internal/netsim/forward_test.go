package netsim

import (
	"net"
	"testing"
)

// echo answers every packet by itself.
func echo(t *testing.T) net.Addr {
	t.Helper()
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2000)
		for {
			n, from, err := pc.ReadFromUDP(buf)
			if err != nil {
				return
			}
			pc.WriteToUDP(buf[:n], from)
		}
	}()
	t.Cleanup(func() { pc.Close(); <-done })
	return pc.LocalAddr()
}

func TestForward(t *testing.T) {
	f, err := Forward(echo(t).String(), Down(MTU(100)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	client, err := net.DialUDP("udp", nil, f.Addr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	buf := make([]byte, 2000)
	for n := range 10 {
		client.Write(make([]byte, 101)) // comes up, and not down again
		client.Write([]byte{byte(n)})
		if m, err := client.Read(buf); err != nil || m != 1 || buf[0] != byte(n) {
			t.Fatalf("packet %d: read %d bytes, %v, %v", n, m, buf[:m], err)
		}
	}
	up, down := f.Stats()
	if up.DeliveredPackets != 20 || down.DeliveredPackets != 10 || down.TooLarge != 10 {
		t.Errorf("up %+v, down %+v; want 20 delivered up, 10 down, 10 too large", up, down)
	}
}

func TestForwardSurvivesADeadServer(t *testing.T) {
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	addr := pc.LocalAddr()
	pc.Close()
	f, err := Forward(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.DialUDP("udp", nil, f.Addr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.Write([]byte("nobody is there"))
	f.Close() // waits for all goroutines
	if err := f.Close(); err != nil {
		t.Errorf("second Close() = %v", err)
	}
}
