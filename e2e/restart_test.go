package e2e

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// A relay that is stopped or killed and comes back finds its publisher again, with
// group ids that have gone on, and its subscriber, who gets nothing twice.
func TestRelayRestart(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for i, how := range []string{"stop", "kill"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			name := "room/" + how
			pub := c.client(t, nil, nil, "moq-pub", i, "--name", name, "--test")
			pub.await("msg=publishing")
			var lines, file buffer
			subs := []*proc{
				c.client(t, nil, &lines, "moq-sub", i, "--name", name, "--json"),
				c.client(t, nil, &file, "moq-sub", i, "--name", name),
			}
			eventually(t, 10*time.Second, "media", func() bool { return count(&lines, "video") > 30 })
			if how == "stop" {
				c.relays[i].stop()
			} else {
				c.relays[i].kill()
			}
			old := objects(t, lines.Bytes())["video"]
			n := count(&lines, "video")
			c.startRelay(i)
			// A killed relay is missed after the idle timeout of 15 s.
			eventually(t, 30*time.Second, "media after the restart", func() bool { return count(&lines, "video") > n+45 })
			for _, s := range subs {
				s.await("msg=\"relay lost\"")
				s.await("msg=\"relay reached\"")
				s.stop()
			}
			pub.stop()
			list := objects(t, lines.Bytes())["video"]
			for i, o := range list[1:] {
				last := list[i]
				if next := o.Group == last.Group && o.Object == last.Object+1 || o.Group > last.Group && o.Object == 0; !next {
					t.Errorf("after %d/%d comes %d/%d", last.Group, last.Object, o.Group, o.Object)
				}
			}
			last, next := old[len(old)-1], list[len(old)]
			t.Logf("relay away: %v without media; %d/%d before, %d/%d after", time.Duration(next.Arrival-last.Arrival)*time.Microsecond, last.Group, last.Object, next.Group, next.Object)
			if n := bytes.Count(file.Bytes(), []byte("moov")); n != 1 {
				t.Errorf("the file has %d headers, want one", n)
			}
			if n := strings.Count(pub.log(), "msg=publishing"); n < 2 {
				t.Errorf("the publisher connected %d times, want twice at least", n)
			}
		})
	}
}

// A subscriber stays while a publisher that was killed is started anew under the
// same name, and gets what the new one publishes. When that is asked to end, the
// subscriber is told at once that the broadcast has ended.
func TestPublisherRestart(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	const name = "room/camera"
	publish := func() *proc {
		p := c.client(t, nil, nil, "moq-pub", 0, "--name", name, "--test")
		p.await("msg=publishing")
		return p
	}
	first := publish()
	var out buffer
	sub := c.client(t, nil, &out, "moq-sub", 1, "--name", name, "--json", "--log-level", "off")
	eventually(t, 10*time.Second, "media", func() bool { return count(&out, "video") > 45 })
	first.kill()
	list := objects(t, out.Bytes())["video"]
	last := list[len(list)-1]
	video, audio := count(&out, "video"), count(&out, "audio")
	second := publish()
	eventually(t, 15*time.Second, "media of the second publisher", func() bool {
		return count(&out, "video") > video+60 && count(&out, "audio") > audio+90
	})

	for track, list := range objects(t, out.Bytes()) {
		breaks := 0
		for i := 1; i < len(list); i++ {
			a, b := list[i-1], list[i]
			switch {
			case b.Group == a.Group && b.Object == a.Object+1, b.Group == a.Group+1 && b.Object == 0:
			case b.Group > a.Group && b.Object == 0:
				breaks++ // group ids are the wall clock, so the second's are higher
			default:
				t.Errorf("%s: after %d/%d comes %d/%d", track, a.Group, a.Object, b.Group, b.Object)
			}
		}
		if breaks != 1 {
			t.Errorf("%s: %d jumps in the group ids, want one", track, breaks)
		}
	}
	for _, o := range objects(t, out.Bytes())["video"] {
		if o.Group > last.Group {
			t.Logf("publisher away: %v without media", time.Duration(o.Arrival-last.Arrival)*time.Microsecond)
			break
		}
	}

	second.stop()
	if code := sub.wait(3 * time.Second); code != 0 {
		t.Errorf("moq-sub ended with code %d when the publisher was asked to end:\n%s", code, sub.log())
	}
	if code := second.wait(3 * time.Second); code != 0 {
		t.Errorf("moq-pub ended with code %d when it was asked to", code)
	}
}
