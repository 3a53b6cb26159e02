package interop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tributary-live/tributary/transport"
	"github.com/tributary-live/tributary/transport/moqt"
)

// tap writes results as Test Anything Protocol, version 14. The first error of
// its writer is kept, and nothing is written after it.
type tap struct {
	w   io.Writer
	err error
}

func (t *tap) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

func (t *tap) begin(c *Config, points int) {
	t.line("TAP version 14")
	t.line("# moq-interop-client (tributary)")
	t.line("# Relay: %s", oneLine(c.URL))
	t.line("# Drafts offered: %s", drafts(c.Versions))
	if len(c.PublisherVersions) > 0 {
		t.line("# Drafts offered by publishers: %s", drafts(c.PublisherVersions))
	}
	t.line("1..%d", points)
}

func drafts(vs []moqt.Version) string {
	if len(vs) == 0 {
		return "all that are implemented"
	}
	names := make([]string, len(vs))
	for i, v := range vs {
		names[i] = v.String()
	}
	return strings.Join(names, ", ")
}

// point writes one test point and what is known of it.
func (t *tap) point(n int, r *Result) {
	switch {
	case r.Err != nil:
		t.line("not ok %d - %s", n, r.Name)
	case r.Skipped != "":
		t.line("ok %d - %s # SKIP %s", n, r.Name, oneLine(r.Skipped))
		return
	default:
		t.line("ok %d - %s", n, r.Name)
	}
	t.line("  ---")
	t.line("  duration_ms: %d", r.Duration.Milliseconds())
	if r.Err != nil {
		t.line("  expected: %s", quote(r.Err.Expected))
		t.line("  received: %s", quote(r.Err.Received))
		t.line("  message: %s", quote(r.Err.Error()))
	}
	for _, c := range r.Connections {
		prefix := c.Role + "_"
		if len(r.Connections) == 1 {
			prefix = ""
		}
		t.line("  %sconnection_id: %s", prefix, quote(c.ID))
		if c.Version != 0 {
			t.line("  %sdraft: %s", prefix, c.Version)
		}
	}
	t.line("  ...")
}

func (t *tap) bailOut(err error) { t.line("Bail out! %s", oneLine(err.Error())) }

// quote returns s as a string of YAML.
func quote(s string) string { return strconv.QuoteToASCII(s) }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// received describes an error in the draft's words.
func received(err error) string {
	var request *transport.RequestError
	var session *transport.SessionError
	var stream *transport.StreamError
	var done *transport.TrackDone
	switch {
	case errors.As(err, &request) && request.Remote:
		return "REQUEST_ERROR " + withReason(request.Code.String(), request.Reason)
	case errors.As(err, &session) && session.Remote:
		return "session closed by the relay with " + withReason(session.Code.String(), session.Reason)
	case errors.As(err, &session):
		return "something for which this client closed the session with " + withReason(session.Code.String(), session.Reason)
	case errors.As(err, &done):
		return "PUBLISH_DONE " + withReason(done.Code.String(), done.Reason)
	case errors.As(err, &stream):
		return "reset stream, " + stream.Code.String()
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "end of the test run"
	}
	return err.Error()
}

func withReason(code, reason string) string {
	if reason == "" {
		return code
	}
	return code + ": " + reason
}
