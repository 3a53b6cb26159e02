//go:build unix

package transport

import (
	"net"
	"strings"
	"testing"
)

func TestBufferWarnings(t *testing.T) {
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	pc.SetReadBuffer(64 << 10)
	pc.SetWriteBuffer(64 << 10)
	got := bufferWarnings(pc)
	if len(got) != 2 || !strings.Contains(got[0], "receive buffer holds 64 KiB, 8192 KiB are wanted") || !strings.Contains(got[1], "send buffer holds 64 KiB") {
		t.Errorf("bufferWarnings = %q", got)
	}
	before, _, _ := socketBuffers(pc)
	growBuffers(pc)
	after, _, ok := socketBuffers(pc)
	if !ok || after <= before {
		t.Errorf("receive buffer %d before, %d after growing", before, after)
	}
}
