// Package rtmptest is an RTMP server for tests: gortmplib's, so that what is sent
// is read by other people's code.
package rtmptest

import (
	"io"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/message"
)

// Conn is a connection on which a client publishes.
type Conn struct {
	Path string // app and key, with the query

	server *gortmplib.ServerConn
}

// Accept talks to a client until it publishes.
func Accept(rw io.ReadWriter) (*Conn, error) {
	s := &gortmplib.ServerConn{RW: rw}
	if err := s.Initialize(); err != nil {
		return nil, err
	}
	if err := s.Accept(); err != nil {
		return nil, err
	}
	return &Conn{Path: s.URL.RequestURI(), server: s}, nil
}

// Packet is a message with media.
type Packet struct {
	Codec    string // "avc1", "hvc1", "av01", "vp09", "mp4a" or "Opus"
	Video    bool
	Header   bool // the decoder's configuration; Data is nil then
	Key      bool // of H.264 alone, gortmplib tells it of no other codec
	DTS, PTS time.Duration
	Data     []byte
}

// Next returns the next packet, or io.EOF when the client has said goodbye. What
// is no media is passed over.
func (c *Conn) Next() (Packet, error) {
	for {
		m, err := c.server.Read()
		if err != nil {
			return Packet{}, err
		}
		switch m := m.(type) {
		case *message.Video:
			return Packet{Codec: "avc1", Video: true, Header: m.Type == message.VideoTypeConfig, Key: m.IsKeyFrame,
				DTS: m.DTS, PTS: m.DTS + signed(m.PTSDelta), Data: m.AU}, nil
		case *message.VideoExSequenceStart:
			return Packet{Codec: name(m.FourCC), Video: true, Header: true}, nil
		case *message.VideoExCodedFrames:
			return Packet{Codec: name(m.FourCC), Video: true, DTS: m.DTS, PTS: m.DTS + signed(m.PTSDelta), Data: m.Payload}, nil
		case *message.Audio:
			return Packet{Codec: "mp4a", Header: m.AACType == message.AudioAACTypeConfig, DTS: m.DTS, PTS: m.DTS, Data: m.AU}, nil
		case *message.AudioExSequenceStart:
			return Packet{Codec: name(m.FourCC), Header: true}, nil
		case *message.AudioExCodedFrames:
			return Packet{Codec: name(m.FourCC), DTS: m.DTS, PTS: m.DTS, Data: m.Payload}, nil
		case *message.CommandAMF0:
			if m.Name == "deleteStream" {
				return Packet{}, io.EOF
			}
		}
	}
}

// signed reads 24 bits with a sign, which gortmplib takes for a positive number.
func signed(d time.Duration) time.Duration {
	if d >= 1<<23*time.Millisecond {
		d -= 1 << 24 * time.Millisecond
	}
	return d
}

func name(c message.FourCC) string {
	return string([]byte{byte(c >> 24), byte(c >> 16), byte(c >> 8), byte(c)})
}
