package transport

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func udp(s string) net.Addr {
	a, err := net.ResolveUDPAddr("udp", s)
	if err != nil {
		panic(err)
	}
	return a
}

// TestAdmissionOfAddress lets no address have more than its share, whatever its
// ports, and has one that has used half of that show that it is there.
func TestAdmissionOfAddress(t *testing.T) {
	for _, tt := range []struct{ name, first, same, other string }{
		{"IPv4", "192.0.2.1:1000", "192.0.2.1:2000", "192.0.2.2:1000"},
		{"IPv4 in IPv6", "192.0.2.1:1000", "[::ffff:192.0.2.1]:1000", "[::ffff:192.0.2.2]:1000"},
		{"IPv6", "[2001:db8::1]:1000", "[2001:db8:0:0:ffff::7]:1000", "[2001:db8:0:1::1]:1000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDoor(Admission{AddressRate: 2})
				for i := range 8 {
					addr := udp(tt.first)
					if i%2 == 1 {
						addr = udp(tt.same)
					}
					if doubts := d.doubts(addr); doubts != (i > 4) {
						t.Errorf("doubts() of the address after %d = %v, want that from its half on", i, doubts)
					}
					if !d.admit(addr) {
						t.Errorf("connection %d is refused, want 8 let in", i)
					}
				}
				if d.admit(udp(tt.same)) {
					t.Error("connection 9 at once is let in")
				}
				if d.doubts(udp(tt.other)) || !d.admit(udp(tt.other)) {
					t.Error("another address has to wait")
				}
				time.Sleep(500 * time.Millisecond)
				if !d.admit(udp(tt.first)) || d.admit(udp(tt.first)) {
					t.Error("half a second later not one more is let in")
				}
				if s := d.stats(); s != (AdmissionStats{Taken: 10, Proven: 3, RefusedAddress: 2}) {
					t.Errorf("stats() = %+v", s)
				}
			})
		})
	}
}

// TestAdmissionForgetsAddresses bounds what is kept of addresses, and whoever is
// turned away because of the others loses nothing of its share.
func TestAdmissionForgetsAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(Admission{Rate: -1})
		for i := range maxCounted + 5000 {
			d.admit(&net.UDPAddr{IP: net.IPv4(10, byte(i>>16), byte(i>>8), byte(i)), Port: 1})
		}
		if n := len(d.addresses); n > maxCounted {
			t.Errorf("%d addresses are kept, want %d at most", n, maxCounted)
		}
		time.Sleep(time.Second)
		d.admit(udp("192.0.2.1:1"))
		if n := len(d.addresses); n != 1 {
			t.Errorf("%d addresses are kept a second later, want 1", n)
		}
		full := newDoor(Admission{Rate: 1, AddressRate: 1})
		full.admit(udp("192.0.2.1:1"))
		for range 10 {
			if full.admit(udp("192.0.2.2:1")) {
				t.Fatal("let in beyond the rate")
			}
		}
		if s := full.stats(); s.Refused != 10 || s.RefusedAddress != 0 {
			t.Errorf("stats() = %+v, want all 10 refused because of the rate of all", s)
		}
	})
}
