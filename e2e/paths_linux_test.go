package e2e

import (
	"bytes"
	"net"
	"os"
	"testing"
	"time"

	"github.com/tributary-live/tributary/bench/lab"
	"github.com/tributary-live/tributary/internal/netsim"
)

// H.265 that moq-pub sends over two interfaces, one of which is pulled on the way,
// arrives as ffmpeg wrote it.
func TestHEVCOverTwoInterfaces(t *testing.T) {
	need(t, "ffmpeg", "ffprobe")
	l, err := lab.New()
	if err != nil { // only root can make network namespaces
		if os.Getenv("TRIBUTARY_REQUIRE") == "1" {
			t.Fatalf("%v, and TRIBUTARY_REQUIRE=1", err)
		}
		t.Skip(err)
	}
	t.Cleanup(l.Close)
	paths := make(map[string]*lab.Path)
	for _, name := range []string{"eth0", "wlan0"} {
		if paths[name], err = l.AddPath(name, netsim.Rate(6*netsim.Mbit), netsim.Delay(20*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	cert := newTLS(t)
	relay := startWithin(t, l.Relay.Do, nil, nil, "moq-relay", "--bind", "0.0.0.0:0", "--admin", "", "--tls-cert", cert.cert, "--tls-key", cert.key)
	_, port, err := net.SplitHostPort(relay.await(`msg="relay ready" .*addr=(\S+)`)[1])
	if err != nil {
		t.Fatal(err)
	}
	common := []string{"--name", "van/camera", "--tls-fingerprint", cert.fingerprint}
	var file, lines buffer
	near := "moqt://" + net.JoinHostPort("127.0.0.1", port)
	subscribers := []*proc{
		startWithin(t, l.Relay.Do, nil, &file, "moq-sub", append(common, near)...),
		startWithin(t, l.Relay.Do, nil, &lines, "moq-sub", append(common, "--json", near)...),
	}
	for _, s := range subscribers {
		s.await(`msg="session open"`)
	}
	in, record := tee(t, encode(4, cmaf, picture("640x360"), tone(), x265(), aac()))
	pub := startWithin(t, l.Publisher.Do, in, nil, "moq-pub", append(common, "--path", "eth0,wlan0", "moqt://"+net.JoinHostPort(lab.RelayAddr, port))...)
	in.Close()
	for name := range paths {
		pub.await(`msg="path joined" .*path=` + name)
	}
	eventually(t, 10*time.Second, "a second of pictures", func() bool { return count(&lines, "video") > 30 })
	paths["eth0"].Close()
	pub.await(`msg="interface gone" .*path=eth0`)
	ended(t, 20*time.Second, append(subscribers, pub)...)

	sent := record.Bytes()
	comparePackets(t, file.Bytes(), sent)
	if !bytes.Contains(file.Bytes(), []byte("hvc1")) {
		t.Error("the subscriber's file has no hvc1")
	}
	got, want := objects(t, lines.Bytes()), chunkHashes(t, sent)
	for id, track := range map[uint32]string{1: "video", 2: "audio"} {
		equalLists(t, track+" objects", hashes(got[track]), want[id])
	}
	t.Logf("%d bytes, %d video and %d audio objects, all equal", len(sent), len(got["video"]), len(got["audio"]))
}
