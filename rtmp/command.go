package rtmp

import (
	"fmt"
	"math/bits"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/rawmessage"
)

// command is a call, or the answer to one (RTMP 1.0, "Command Messages").
type command struct {
	name   string
	id     float64 // transaction
	args   amf0.Data
	stream uint32
}

func (w *wire) call(c command) error {
	body, err := append(amf0.Data{c.name, c.id}, c.args...).Marshal()
	if err != nil {
		return err
	}
	// Stream IDs are the one number whose low byte comes first.
	return w.write(&rawmessage.Message{ChunkStreamID: 3, Type: typeCommand, MessageStreamID: bits.ReverseBytes32(c.stream), Body: body})
}

// parseCommand reads a message; ok is false for what is no command that can be
// read. Servers say a lot that nobody needs, in ways of their own: ffmpeg's leaves
// out the transaction.
func parseCommand(m *rawmessage.Message) (c command, ok bool) {
	if m.Type != typeCommand || len(m.Body) > maxControl {
		return c, false
	}
	list, err := amf0.Unmarshal(m.Body)
	if err != nil || len(list) == 0 {
		return c, false
	}
	c.name, ok = list[0].(string)
	if len(list) > 1 {
		c.id, _ = list[1].(float64)
		c.args = list[2:]
	}
	return c, ok
}

// failure returns what an _error or onStatus says to be wrong, or nil.
func (c command) failure(u *URL) error {
	if c.name != "_error" && c.name != "onStatus" {
		return nil
	}
	level, code, text := "", "", ""
	for _, a := range c.args {
		info, ok := a.(amf0.Object)
		if list, isList := a.(amf0.ECMAArray); isList {
			info, ok = amf0.Object(list), true
		}
		if ok {
			level, _ = info.GetString("level")
			code, _ = info.GetString("code")
			text, _ = info.GetString("description")
		}
	}
	if c.name == "onStatus" && level != "error" {
		return nil
	}
	return &RefusedError{Code: cut(u.hide(code)), Text: cut(u.hide(text))}
}

// cut bounds what a peer says. Who prints it escapes it.
func cut(s string) string { return s[:min(len(s), 200)] }

// RefusedError is the server's word that it does not take the stream, or takes it
// no more.
type RefusedError struct {
	Code string // such as NetStream.Publish.BadName
	Text string // the server's, without the key
}

// Error returns code and text, escaped.
func (e *RefusedError) Error() string {
	s := "the server refuses the stream"
	if e.Code != "" {
		s += fmt.Sprintf(" with %+q", e.Code)
	}
	if e.Text != "" {
		s += fmt.Sprintf(": %+q", e.Text)
	}
	return s
}
