package transport_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// The steps of a script that FuzzSession plays: a byte that says what to do,
// the length of what is written in two bytes, and that.
const (
	stepControl  = iota // write to the control stream
	stepBidi            // open a request stream
	stepUni             // open a data stream
	stepDatagram        // send a datagram
	stepMore            // write to the last stream that was opened
	stepEnd             // the same, and its end
	stepReset           // the same, and a reset
	stepStop            // the same, and STOP_SENDING, if it is a request stream
	stepAnswer          // answer the oldest request of the session that is not answered
	steps
)

// maxScript bounds what a script costs: streams, and bytes that nobody reads.
const maxScript, maxSteps = 16 << 10, 64

// step appends one step to a script.
func step(script []byte, what byte, b []byte) []byte {
	return append(append(script, what, byte(len(b)>>8), byte(len(b))), b...)
}

// FuzzSession plays a script against a session that takes all requests and has
// some of its own. Whatever comes, the session goes on and answers, or it is
// closed with a code that blames the peer; none of its goroutines stays.
func FuzzSession(f *testing.F) {
	seen := make(map[string]bool) // most vectors hold for several drafts
	for i, v := range spokenDrafts() {
		seed := func(script []byte) { f.Add(byte(i), byte(i), script) }
		seed(nil)
		for _, hex := range []string{"30 07 00 00 01 61", "32 07 03 05 01 61", "30 08 00 00 05 61", "05 00 1c 01 00 01 01 61", "31 07 00 00 02 3c 05 01 61"} {
			seed(step(step(step(nil, stepAnswer, unhex("04 0002 07 00")), stepUni, unhex(hex)), stepEnd, nil))
		}
		seed(step(step(nil, stepAnswer, unhex("04 0002 07 00")), stepDatagram, unhex("08 07 00 00 61")))
		seed(step(step(nil, stepAnswer, unhex("05 0003 10 00 00")), stepControl, unhex("10 0002 00 00")))
		for _, vec := range vectorsOf(f, v) {
			b := unhex(vec.Hex)
			if len(b) > 100 || seen[vec.Hex] {
				continue
			}
			seen[vec.Hex] = true
			switch {
			case vec.file == "datagrams":
				seed(step(nil, stepDatagram, b))
			case vec.file != "messages":
				seed(step(step(nil, stepUni, b), stepEnd, nil))
			case vec.On.Control:
				seed(step(nil, stepControl, b))
			case vec.On.Answers != "":
				seed(step(nil, stepAnswer, b))
			default:
				seed(step(step(nil, stepBidi, b), stepEnd, nil))
			}
		}
	}
	f.Fuzz(func(t *testing.T, draft, side byte, script []byte) {
		if len(script) > maxScript {
			return
		}
		drafts := spokenDrafts()
		synctest.Test(t, func(t *testing.T) { play(t, drafts[int(draft)%len(drafts)], side%2 == 1, script) })
	})
}

func play(t *testing.T, v moqt.Version, asServer bool, script []byte) {
	client, server := transporttest.Pipe(t, &transporttest.PipeOptions{Version: v})
	mine, theirs := server, client
	if asServer {
		mine, theirs = client, server
	}
	s, p := greeted(t, mine, theirs, &transport.Config{Limits: transport.Limits{MaxObjectSize: 1 << 20}})
	for _, app := range []func(context.Context, *transport.Session) error{takeAndRead, view, fetching, watching} {
		go app(s.Context(), s)
		synctest.Wait() // so that its request is the next
	}
	var bidi transport.Stream
	var last transport.SendStream
	for n := 0; len(script) >= 3 && n < maxSteps; n++ {
		what, size := script[0]%steps, min(int(script[1])<<8|int(script[2]), len(script)-3)
		b := script[3 : 3+size]
		script = script[3+size:]
		switch what {
		case stepControl:
			p.control.Write(b)
		case stepBidi:
			bidi = p.bidi(b)
			last = bidi
		case stepUni:
			bidi, last = nil, p.uni(b)
		case stepDatagram:
			p.conn.SendDatagram(b)
		case stepAnswer:
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if st, err := p.conn.AcceptStream(ctx); err == nil {
				st.Write(b)
				bidi, last = st, st
			}
			cancel()
		default:
			if last == nil {
				continue
			}
			last.Write(b)
			switch {
			case what == stepEnd:
				last.Close()
			case what == stepReset:
				last.CancelWrite(moqt.StreamCancelled)
			case what == stepStop && bidi != nil:
				bidi.CancelRead(moqt.StreamCancelled)
			}
		}
		synctest.Wait()
		if p.conn.Context().Err() != nil {
			break
		}
	}
	time.Sleep(2 * time.Minute) // what is half sent is given up
	if s.Context().Err() == nil {
		p.wantAlive(!p.profile.RequestStreams()) // the script may have used up the ids
	}
	if s.Context().Err() == nil {
		s.Close()
		return
	}
	if err, ok := done(s.Context()).(*transport.SessionError); !ok || slices.Contains(notThePeersFault, err.Code) {
		t.Errorf("the session ended with %v", done(s.Context()))
	}
	s.Close()
}

// notThePeersFault are codes that no bytes of a peer may lead to.
var notThePeersFault = []moqt.SessionCode{moqt.SessionNoError, moqt.SessionInternalError, moqt.SessionUnauthorized, moqt.SessionVersionNegotiation, moqt.SessionGoawayTimeout}
