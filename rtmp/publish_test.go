package rtmp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/handshake"
	"github.com/bluenviron/gortmplib/pkg/rawmessage"

	"github.com/tributary-live/tributary/pub/fmp4"
	"github.com/tributary-live/tributary/rtmp/rtmptest"
)

const testURL = "rtmp://live.example/app/secretkey?sign=topsecret"

func formats(t *testing.T) (video, audio *Format) {
	t.Helper()
	video, err := NewFormat(&fmp4.Unpacker{Track: fmp4.Track{Kind: fmp4.Video, Width: 64, Height: 48}, Entry: "avc1", Config: unhex(t, avcC)})
	if err != nil {
		t.Fatal(err)
	}
	audio, err = NewFormat(&fmp4.Unpacker{Track: fmp4.Track{Kind: fmp4.Audio, Codec: "mp4a.40.2"}, Entry: "mp4a", Config: unhex(t, asc)})
	if err != nil {
		t.Fatal(err)
	}
	return video, audio
}

func parse(t *testing.T, s string) *URL {
	t.Helper()
	u, err := ParseURL(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// serve returns a Config whose connections serve serves.
func serve(t *testing.T, serve func(net.Conn)) *Config {
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	return &Config{Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		wg.Go(func() {
			defer server.Close()
			serve(server)
		})
		return client, nil
	}}
}

// All that is written arrives, also beyond the times that fit in 24 and 32 bits.
func TestPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		video, audio := formats(t)
		var got []rtmptest.Packet
		var path string
		end := make(chan error, 1)
		c := serve(t, func(conn net.Conn) {
			s, err := rtmptest.Accept(conn)
			for err == nil {
				path = s.Path
				var p rtmptest.Packet
				if p, err = s.Next(); err == nil {
					got = append(got, p)
				}
			}
			end <- err
		})
		p, err := Publish(t.Context(), parse(t, testURL), c, video, audio)
		if err != nil {
			t.Fatal(err)
		}
		large := bytes.Repeat([]byte("large"), 100_000)
		const day = 24 * time.Hour
		write := func(kind Kind, at time.Duration, body []byte) {
			t.Helper()
			if err := p.Write(kind, at, body); err != nil {
				t.Fatal(err)
			}
		}
		meta, err := Metadata("test", video, audio)
		if err != nil {
			t.Fatal(err)
		}
		write(Data, 0, meta)
		write(Video, 0, video.Header())
		write(Audio, 0, audio.Header())
		write(Video, 0, video.Body(true, 0, large))
		write(Audio, 21333*time.Microsecond, audio.Body(true, 0, []byte("sound")))
		var want []time.Duration // frames for 60 days, an hour between them
		for at := time.Hour; at < 60*day; at += time.Hour {
			write(Video, at, video.Body(false, 80*time.Millisecond, []byte("frame")))
			want = append(want, time.Duration(uint32(at.Milliseconds()))*time.Millisecond)
		}
		if err := p.Write(Video, 61*day, make([]byte, MaxBody+1)); err == nil {
			t.Error("Write() of more than a message can have succeeded")
		}
		p.Close()
		if err := <-end; err != io.EOF {
			t.Errorf("the server ends with %v, want a goodbye", err)
		}
		if path != "/app/secretkey?sign=topsecret" {
			t.Errorf("published at %s", path)
		}
		if len(got) != 4+len(want) || !got[0].Header || !got[1].Header || !bytes.Equal(got[2].Data, large) || !got[2].Key {
			t.Fatalf("%d packets, want two headers, a key frame and more, %d in all", len(got), 4+len(want))
		}
		if s := got[3]; s.Codec != "mp4a" || string(s.Data) != "sound" || s.DTS != 21*time.Millisecond {
			t.Errorf("sound %q at %v, want it at 21 ms", s.Data, s.DTS)
		}
		for i, p := range got[4:] {
			if p.DTS != want[i] || p.PTS != want[i]+80*time.Millisecond || p.Key {
				t.Fatalf("frame %d at %v (%v), want %v", i, p.DTS, p.PTS, want[i])
			}
		}
		if sent := p.BytesSent(); sent < uint64(len(large)) || sent > uint64(len(large))+200_000 {
			t.Errorf("BytesSent() = %d", sent)
		}
	})
}

// What Enhanced RTMP adds is read by others.
func TestPublishEnhanced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		video, err := NewFormat(&fmp4.Unpacker{Track: fmp4.Track{Kind: fmp4.Video}, Entry: "av01", Config: unhex(t, "81000c00 0a0b00000042abbfc3700be001")})
		if err != nil {
			t.Fatal(err)
		}
		audio, err := NewFormat(&fmp4.Unpacker{Track: fmp4.Track{Kind: fmp4.Audio, Codec: "opus"}, Entry: "Opus", Config: unhex(t, "00020138 0000bb80 0000 00")})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		c := serve(t, func(conn net.Conn) {
			s, err := rtmptest.Accept(conn)
			for err == nil {
				var p rtmptest.Packet
				if p, err = s.Next(); err == nil {
					got = append(got, fmt.Sprintf("%s %v %v %s", p.Codec, p.Header, p.DTS, p.Data))
				}
			}
			if err != io.EOF {
				t.Errorf("the server ends with %v, want a goodbye", err)
			}
		})
		p, err := Publish(t.Context(), parse(t, testURL), c, video, audio)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range []*Format{video, audio} {
			if err := errors.Join(p.Write(f.Kind, 0, f.Header()), p.Write(f.Kind, time.Duration(i)*time.Second, f.Body(true, 0, []byte("sample")))); err != nil {
				t.Fatal(err)
			}
		}
		p.Close()
		synctest.Wait()
		if got, want := strings.Join(got, ", "), "av01 true 0s , av01 false 0s sample, Opus true 0s , Opus false 1s sample"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// scripted is a server that does what a test says.
type scripted struct{ *wire }

func script(t *testing.T, f func(scripted)) *Config {
	return serve(t, func(conn net.Conn) {
		if _, _, err := handshake.DoServer(conn, false); err != nil {
			t.Error(err)
		}
		f(scripted{newWire(conn, time.Minute)})
	})
}

// until reads until the client calls name.
func (s scripted) until(name string) {
	for {
		m, err := s.read()
		if err != nil {
			return
		}
		if c, ok := parseCommand(m); ok && c.name == name {
			return
		}
	}
}

func (s scripted) say(name string, id float64, args ...any) {
	_ = s.call(command{name: name, id: id, args: args})
}

// accept takes the stream.
func (s scripted) accept() {
	s.until("connect")
	_ = s.control(typeWindowAck, 5000)
	_ = s.setChunkSize(4096)
	s.say("onBWDone", 0, nil)
	s.say("_result", callConnect, nil, amf0.Object{{Key: "level", Value: "status"}})
	s.until("createStream")
	for _, odd := range [][]byte{{0xff}, {}, {2, 0, 1, 'x'}, {0, 0, 0, 0, 0, 0, 0, 0, 0}} { // nobody minds
		_ = s.write(&rawmessage.Message{ChunkStreamID: 3, Type: typeCommand, Body: odd})
	}
	s.say("_error", callRelease, nil, amf0.Object{{Key: "level", Value: "error"}})
	s.say("_result", callCreate, nil, 1.0)
	s.until("publish")
	s.say("onStatus", 0, nil, status("status", "NetStream.Publish.Start", "go on"))
}

func status(level, code, text string) amf0.Object {
	return amf0.Object{{Key: "level", Value: level}, {Key: "code", Value: code}, {Key: "description", Value: text}}
}

func (s scripted) drain() {
	for {
		if _, err := s.read(); err != nil {
			return
		}
	}
}

func TestPublishFails(t *testing.T) {
	for _, tt := range []struct {
		name  string
		serve func(scripted)
		want  string // in the error
		hint  string // in the advice
		took  time.Duration
	}{
		{"the app is not there", func(s scripted) {
			s.until("connect")
			s.say("_error", callConnect, nil, status("error", "NetConnection.Connect.Rejected", "no app"))
			s.drain()
		}, `refuses the stream with "NetConnection.Connect.Rejected": "no app"`, "stream key", 0},
		{"the key is taken", func(s scripted) {
			s.until("connect")
			s.say("_result", callConnect, nil, nil)
			s.until("createStream")
			s.say("_result", callCreate, nil, 1.0)
			s.until("publish")
			s.say("onStatus", callPublish, nil, status("error", "NetStream.Publish.BadName", "secretkey is in use\n(topsecret)"))
			s.drain()
		}, `"NetStream.Publish.BadName": "*** is in use\n(***)"`, "no other encoder", 0},
		{"it hangs up", func(s scripted) { s.until("connect") }, "EOF", "hung up", 0},
		{"a stream that cannot be", func(s scripted) {
			s.until("connect")
			s.say("_result", callConnect, nil, nil)
			s.until("createStream")
			s.say("_result", callCreate, nil, -1.0)
			s.drain()
		}, "the answer is stream -1", "check host", 0},
		{"it says nothing", func(s scripted) { s.drain() }, "no word from the server", "firewall", 10 * time.Second},
		{"it says the wrong things for ever", func(s scripted) {
			go s.drain()
			for i := 0; ; i++ {
				time.Sleep(time.Second)
				if s.call(command{name: "onBWDone", id: float64(i)}) != nil {
					return
				}
			}
		}, "no word from the server", "firewall", 10 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				video, audio := formats(t)
				start := time.Now()
				_, err := Publish(t.Context(), parse(t, testURL), script(t, tt.serve), video, audio)
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
					t.Errorf("Publish() = %v, want %q and no key", err, tt.want)
				}
				if a := Advice(err); !strings.Contains(a, tt.hint) {
					t.Errorf("Advice(%v) = %q, want %q in it", err, a, tt.hint)
				}
				if took := time.Since(start); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
			})
		})
	}
}

// A server may end the stream, ping, ask for acknowledgements, or read no more.
func TestPublication(t *testing.T) {
	for _, tt := range []struct {
		name  string
		serve func(*testing.T, scripted)
		want  string // of Write, in the end
	}{
		{"ends the stream", func(t *testing.T, s scripted) {
			go s.drain()
			time.Sleep(time.Minute)
			s.say("onStatus", 0, nil, status("error", "NetStream.Publish.Denied", "secretkey was stopped"))
		}, `"NetStream.Publish.Denied": "*** was stopped"`},
		{"pings", func(t *testing.T, s scripted) {
			_ = s.write(&rawmessage.Message{ChunkStreamID: 2, Type: typeUserControl, Body: []byte{0, 6, 1, 2, 3, 4}})
			for {
				m, err := s.r.Read()
				if err != nil {
					t.Errorf("no answer to the ping: %v", err)
					return
				}
				if m.Type == typeUserControl {
					if want := []byte{0, 7, 1, 2, 3, 4}; !bytes.Equal(m.Body, want) {
						t.Errorf("answer to the ping is %x, want %x", m.Body, want)
					}
					return // and hangs up
				}
			}
		}, "send: "},
		{"reads no more", func(t *testing.T, s scripted) { time.Sleep(time.Hour) }, "i/o timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				video, audio := formats(t)
				p, err := Publish(t.Context(), parse(t, testURL), script(t, func(s scripted) {
					s.accept()
					tt.serve(t, s)
				}), video, audio)
				if err != nil {
					t.Fatal(err)
				}
				for at := time.Duration(0); err == nil && at < 2*time.Hour; at += time.Second {
					time.Sleep(time.Second)
					err = p.Write(Video, at, video.Body(true, 0, []byte("frame")))
				}
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
					t.Errorf("Write() = %v, want %q and no key", err, tt.want)
				}
				p.Abort()
				select {
				case <-p.Done():
				default:
					t.Error("Done() is open after Abort()")
				}
			})
		})
	}
}
