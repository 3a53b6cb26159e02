package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// quiet makes a command say nothing but its last sentence.
var quiet = []string{"--log-level", "off"}

// Whatever is wrong, it is told in one sentence, and the exit code says so too.
func TestMistakesAreToldInOneSentence(t *testing.T) {
	c := newCluster(t)
	clip, err := os.ReadFile("../pub/clip/clip.mp4")
	if err != nil {
		t.Fatal(err)
	}
	garbage := make([]byte, 100_000)
	rand.New(rand.NewSource(1)).Read(garbage)
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	nobody := "moqt://127.0.0.1:" + freePort(t)
	other := newTLS(t)
	future := futureServer(t, c.tls)
	trust, url := c.trust(), c.url(0)
	pub := func(args ...string) []string { return append([]string{"moq-pub", "--name", "bad/input"}, args...) }
	sub := func(args ...string) []string { return append([]string{"moq-sub", "--name", "not/there"}, args...) }
	for _, tt := range []struct {
		name  string
		args  []string
		stdin []byte // nil is /dev/null
		parts []string
	}{
		{"garbage", append(pub(trust...), url), garbage, []string{"no MP4"}},
		{"text", append(pub(trust...), url), []byte("Hello, this is no video at all."), []string{"no MP4"}},
		{"nothing", append(pub(trust...), url), []byte{}, []string{"nothing came: see why the program before the pipe has ended"}},
		{"truncated in the header", append(pub(trust...), url), clip[:400], []string{"moov", "missing"}},
		{"truncated in a frame", append(pub(trust...), url), clip[:100_000], []string{"missing"}},
		{"no input", append(pub(trust...), url), nil, []string{"no media"}},
		{"loop of garbage", append(pub("--loop", file("garbage.mp4", garbage)), append(trust, url)...), nil, []string{"garbage.mp4"}},
		{"loop of no file", append(pub("--loop", filepath.Join(dir, "none.mp4")), append(trust, url)...), nil, []string{"none.mp4"}},
		{"two inputs", append(pub("--test", "--loop", "x"), append(trust, url)...), nil, []string{"--loop and --test"}},
		{"reserved name", append([]string{"moq-pub", "--test", "--name", ".x/y"}, append(trust, url)...), nil, []string{"reserved"}},

		{"nobody listens, publisher", append(pub(append(trust, "--test")...), nobody), nil, []string{nobody}},
		{"nobody listens, subscriber", append(sub(trust...), nobody), nil, []string{nobody}},
		{"wrong pin, publisher", append(pub("--test", "--tls-fingerprint", other.fingerprint), url), nil, []string{"fingerprint", c.tls.fingerprint}},
		{"wrong pin, subscriber", append(sub("--tls-fingerprint", other.fingerprint), url), nil, []string{"fingerprint", c.tls.fingerprint}},
		{"unknown root, publisher", append(pub("--test"), url), nil, []string{"--tls-root"}},
		{"unknown root, subscriber", append(sub(), url), nil, []string{"--tls-root"}},
		{"unknown root, WebTransport", append(sub(), strings.Replace(url, "moqt:", "https:", 1)), nil, []string{"--tls-root"}},
		{"another draft, publisher", append(pub(append(trust, "--test")...), future), nil, []string{"draft"}},
		{"another draft, subscriber", append(sub(trust...), future), nil, []string{"draft"}},
		{"bad scheme", append(sub(trust...), "rtmp://127.0.0.1/live"), nil, []string{"moqt://"}},
		{"bad port", append(sub(trust...), "moqt://127.0.0.1:99999"), nil, []string{"99999"}},
		{"no URL", sub(trust...), nil, []string{"URL is missing"}},
		{"no such broadcast", append(sub("--wait", "0s"), append(trust, url)...), nil, []string{"not/there", "DOES_NOT_EXIST"}},
		{"no such broadcast after a wait", append(sub("--wait", "700ms"), append(trust, url)...), nil, []string{"not/there", `--list ""`}},
		{"neither name nor list", append(append([]string{"moq-sub"}, trust...), url), nil, []string{"--name", "--list"}},

		{"wrong mode", append(pub(append(trust, "--test", "--path", "lo", "--mode", "fastest")...), url), nil, []string{"--mode", "fastest", "hybrid", "aggregate"}},
		{"wrong cost", append(pub(append(trust, "--test", "--path", "lo,cost=cheap")...), url), nil, []string{"--path", "cheap", "primary, secondary, backup, never"}},
		{"wrong cap", append(pub(append(trust, "--test", "--path", "lo,cap=much")...), url), nil, []string{"--path", "cap", "much", "5Mbit"}},
		{"doubled path", append(pub(append(trust, "--test", "--path", "lo", "--path", "lo")...), url), nil, []string{"two paths lo", "NAME"}},
		{"empty path", append(pub(append(trust, "--test", "--path", "lo,,wlan0")...), url), nil, []string{"lo,,wlan0", "missing"}},
		{"paths of a wrong value", []string{"moq-pub", "--path", "=lo", "paths"}, nil, []string{"=lo", "missing"}},

		{"relay without a certificate", []string{"moq-relay", "--bind", "127.0.0.1:0", "--admin", ""}, nil, []string{"--tls-cert", "--dev"}},
		{"relay with half a certificate", []string{"moq-relay", "--bind", "127.0.0.1:0", "--tls-cert", c.tls.cert}, nil, []string{"--tls-key"}},
		{"relay with a certificate that is none", []string{"moq-relay", "--bind", "127.0.0.1:0", "--tls-cert", file("x.pem", garbage), "--tls-key", c.tls.key}, nil, []string{"x.pem"}},
		{"port in use, relay", []string{"moq-relay", "--dev", "--bind", "127.0.0.1:" + c.ports[0], "--admin", ""}, nil, []string{"already in use", "--bind"}},
		{"port in use, admin", []string{"moq-relay", "--dev", "--bind", "127.0.0.1:0", "--admin", c.admin[0]}, nil, []string{"already in use", "--admin"}},
		{"cluster without a name", []string{"moq-relay", "--dev", "--bind", "127.0.0.1:0", "--admin", "", "--api", "http://127.0.0.1:1"}, nil, []string{"--node"}},
		{"unknown flag", []string{"moq-relay", "--bnid", "x"}, nil, []string{"--bnid", "--bind"}},
		{"bad duration", []string{"moq-sub", "--wait", "5", url}, nil, []string{"10s", "--wait"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var stdin io.Reader
			if tt.stdin != nil {
				stdin = bytes.NewReader(tt.stdin)
			}
			args := append(append([]string(nil), quiet...), tt.args[1:]...)
			oneSentence(t, start(t, stdin, nil, tt.args[0], args...), 20*time.Second, tt.parts...)
		})
	}
}

// futureServer listens for a draft that nobody speaks yet, and returns its URL.
func futureServer(t *testing.T, f tlsFiles) string {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := quic.ListenAddr("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"moqt-99"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "moqt://127.0.0.1:" + port
}

// A client of another draft is turned away by its handshake, and the relay's
// other sessions do not notice.
func TestClientOfAnotherDraft(t *testing.T) {
	c := newCluster(t)
	c.client(t, nil, nil, "moq-pub", 0, "--name", "room/camera", "--test").await("msg=publishing")
	var out buffer
	sub := c.client(t, nil, &out, "moq-sub", 0, "--name", "room/camera", "--json")
	eventually(t, 10*time.Second, "media", func() bool { return count(&out, "video") > 0 })
	for range 5 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		conn, err := quic.DialAddr(ctx, "127.0.0.1:"+c.ports[0], &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"moqt-99"}}, nil)
		cancel()
		if err == nil {
			conn.CloseWithError(0, "")
			t.Fatal("the relay has accepted moqt-99")
		}
		var te *quic.TransportError
		if !errors.As(err, &te) || te.ErrorCode != 0x100+120 || !te.Remote { // no_application_protocol
			t.Errorf("dial with moqt-99: %v, want the alert no_application_protocol", err)
		}
	}
	n := count(&out, "video")
	eventually(t, 5*time.Second, "another second of media", func() bool { return count(&out, "video") > n+30 })
	sub.stop()
	checkSequence(t, "video", objects(t, out.Bytes())["video"], true)
}

// Who publishes something else under a name that is in use is refused in words.
// The first goes on.
func TestNameWithOtherContent(t *testing.T) {
	need(t, "ffmpeg")
	c := newCluster(t)
	c.client(t, nil, nil, "moq-pub", 0, "--name", "room/camera", "--test").await("msg=publishing")
	var out buffer
	sub := c.client(t, nil, &out, "moq-sub", 1, "--name", "room/camera", "--json")
	eventually(t, 10*time.Second, "media", func() bool { return count(&out, "video") > 30 })

	newcomer, _ := c.publish(t, 0, encode(20, cmaf, picture("320x180"), tone(), x264(), aac()), append(quiet, "--name", "room/camera")...)
	oneSentence(t, newcomer, 15*time.Second, "room/camera", "another publisher has this name", "--name")
	n := count(&out, "video")
	eventually(t, 5*time.Second, "another second of media", func() bool { return count(&out, "video") > n+30 })
	sub.stop()
	for track, list := range objects(t, out.Bytes()) {
		checkSequence(t, track, list, true)
	}
}
