package e2e

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/tributary-live/tributary/bench/lab"
	"github.com/tributary-live/tributary/internal/netsim"
)

// van is a publisher's host with interfaces, and a relay with two subscribers on
// another: one writes a file, one tells each object.
type van struct {
	t           *testing.T
	lab         *lab.Lab
	paths       map[string]*lab.Path
	cert        tlsFiles
	url         string // of the relay, for the publisher
	file, lines buffer
	subscribers []*proc
}

// newVan makes one, with the interfaces named.
func newVan(t *testing.T, names ...string) *van {
	t.Helper()
	l, err := lab.New()
	if err != nil { // only root can make network namespaces
		if os.Getenv("TRIBUTARY_REQUIRE") == "1" {
			t.Fatalf("%v, and TRIBUTARY_REQUIRE=1", err)
		}
		t.Skip(err)
	}
	t.Cleanup(l.Close)
	v := &van{t: t, lab: l, paths: make(map[string]*lab.Path), cert: newTLS(t)}
	for _, name := range names {
		v.plug(name)
	}
	relay := startWithin(t, l.Relay.Do, nil, nil, "moq-relay", "--bind", "0.0.0.0:0", "--admin", "", "--tls-cert", v.cert.cert, "--tls-key", v.cert.key)
	_, port, err := net.SplitHostPort(relay.await(`msg="relay ready" .*addr=(\S+)`)[1])
	if err != nil {
		t.Fatal(err)
	}
	v.url = "moqt://" + net.JoinHostPort(lab.RelayAddr, port)
	near := "moqt://" + net.JoinHostPort("127.0.0.1", port)
	v.subscribers = []*proc{
		startWithin(t, l.Relay.Do, nil, &v.file, "moq-sub", append(v.common(), near)...),
		startWithin(t, l.Relay.Do, nil, &v.lines, "moq-sub", append(v.common(), "--json", near)...),
	}
	for _, s := range v.subscribers {
		s.await(`msg="session open"`)
	}
	return v
}

// common are the flags of publisher and subscribers.
func (v *van) common() []string {
	return []string{"--name", "van/camera", "--tls-fingerprint", v.cert.fingerprint}
}

func (v *van) plug(name string) {
	v.t.Helper()
	var err error
	if v.paths[name], err = v.lab.AddPath(name, netsim.Rate(6*netsim.Mbit), netsim.Delay(20*time.Millisecond)); err != nil {
		v.t.Fatal(err)
	}
}

// watch waits for a second of pictures more.
func (v *van) watch() {
	v.t.Helper()
	before := count(&v.lines, "video")
	eventually(v.t, 20*time.Second, "a second of pictures", func() bool { return count(&v.lines, "video") > before+30 })
}

// end waits for all to end, and compares what came with what was sent.
func (v *van) end(pub *proc, record *buffer) {
	v.t.Helper()
	ended(v.t, 30*time.Second, append(v.subscribers, pub)...)
	sent := record.Bytes()
	comparePackets(v.t, v.file.Bytes(), sent)
	got, want := objects(v.t, v.lines.Bytes()), chunkHashes(v.t, sent)
	for id, track := range map[uint32]string{1: "video", 2: "audio"} {
		equalLists(v.t, track+" objects", hashes(got[track]), want[id])
	}
	gap := int64(0)
	for i, o := range got["video"][1:] {
		gap = max(gap, o.Arrival-got["video"][i].Arrival)
	}
	v.t.Logf("%d bytes, %d video and %d audio objects, all equal; the longest time between two pictures was %v", len(sent), len(got["video"]), len(got["audio"]),
		time.Duration(gap)*time.Microsecond)
}

// H.265 that moq-pub sends over two interfaces, one of which is pulled on the way,
// arrives as ffmpeg wrote it.
func TestHEVCOverTwoInterfaces(t *testing.T) {
	need(t, "ffmpeg", "ffprobe")
	v := newVan(t, "eth0", "wlan0")
	in, record := tee(t, encode(4, cmaf, picture("640x360"), tone(), x265(), aac()))
	pub := startWithin(t, v.lab.Publisher.Do, in, nil, "moq-pub", append(v.common(), "--path", "eth0,wlan0", v.url)...)
	in.Close()
	for name := range v.paths {
		pub.await(`msg="path joined" .*path=` + name)
	}
	v.watch()
	v.paths["eth0"].Close()
	pub.await(`msg="interface gone" .*path=eth0`)
	v.end(pub, record)
	if !bytes.Contains(v.file.Bytes(), []byte("hvc1")) {
		t.Error("the subscriber's file has no hvc1")
	}
}

// Somebody who is not root publishes over whatever interfaces there are. Two of the
// four are pulled and plugged in again, one after the other: they are used again, and
// what viewers get is what ffmpeg wrote.
func TestInterfacesComeAndGo(t *testing.T) {
	need(t, "ffmpeg", "ffprobe", "setpriv")
	v := newVan(t, "eth0", "wlan0", "usb0", "wwan0")
	in, record := tee(t, encode(10, cmaf, picture("640x360"), tone(), x264(), []string{"-b:v", "1M", "-maxrate", "1M", "-bufsize", "500k"}, aac()))
	pub := startWithin(t, v.lab.Publisher.Do, in, nil, "setpriv", append(append([]string{"--reuid", "65534", "--regid", "65534", "--clear-groups",
		filepath.Join(bin, "moq-pub")}, v.common()...), "--path", "auto", "--mode", "redundant", v.url)...)
	in.Close()
	for name := range v.paths {
		pub.await(`msg="path joined" .*path=` + name)
	}
	for _, name := range []string{"usb0", "eth0"} {
		v.watch()
		v.paths[name].Close()
		pub.await(`msg="interface gone" .*path=` + name)
		v.watch()
		v.plug(name)
		joined := regexp.MustCompile(`msg="path joined" .*path=` + name)
		eventually(t, 20*time.Second, name+" is used again", func() bool { return len(joined.FindAllString(pub.log(), -1)) == 2 })
	}
	v.watch()
	for name, p := range v.paths {
		if up, _ := p.Stats(); up.DeliveredBytes < 50_000 {
			t.Errorf("%s has carried %d bytes since it is there, in a second and more of 1 Mbit/s", name, up.DeliveredBytes)
		}
	}
	v.end(pub, record)
}
