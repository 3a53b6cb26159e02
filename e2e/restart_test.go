package e2e

import (
	"strings"
	"testing"
	"time"
)

// A relay that is stopped or killed and comes back finds its publisher again,
// with group ids that have gone on.
func TestRelayRestart(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for i, how := range []string{"stop", "kill"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			name := "room/" + how
			pub := c.client(t, nil, nil, "moq-pub", i, "--name", name, "--test")
			pub.await("msg=publishing")
			var before, after buffer
			sub := c.client(t, nil, &before, "moq-sub", i, "--name", name, "--json", "--log-level", "off")
			eventually(t, 10*time.Second, "media", func() bool { return count(&before, "video") > 30 })
			if how == "stop" {
				c.relays[i].stop()
				// Who watched is told at once, by the track's end or the session's.
				oneSentence(t, sub, 5*time.Second, "track")
			} else {
				c.relays[i].kill()
			}
			c.startRelay(i)
			sub = c.client(t, nil, &after, "moq-sub", i, "--name", name, "--json")
			// A killed relay is missed after the idle timeout of 15 s.
			eventually(t, 30*time.Second, "media after the restart", func() bool { return count(&after, "video") > 45 })
			sub.stop()
			pub.stop()
			old, new := objects(t, before.Bytes())["video"], objects(t, after.Bytes())["video"]
			checkSequence(t, "video after the restart", new, true)
			sent := make(map[[2]uint64]string)
			for _, o := range old {
				sent[[2]uint64{o.Group, o.Object}] = o.SHA256
			}
			last, away := old[len(old)-1], time.Duration(0)
			for _, o := range new {
				switch hash, twice := sent[[2]uint64{o.Group, o.Object}]; {
				case twice && hash != o.SHA256:
					t.Errorf("object %d/%d is another one after the restart", o.Group, o.Object)
				case !twice && o.Group < last.Group:
					t.Errorf("object %d/%d is new after the restart, group %d came before", o.Group, o.Object, last.Group)
				case !twice && away == 0:
					away = time.Duration(o.Arrival-last.Arrival) * time.Microsecond
				}
			}
			t.Logf("relay away: %v without media; groups %d to %d before, %d to %d after", away, old[0].Group, last.Group, new[0].Group, new[len(new)-1].Group)
			if n := strings.Count(pub.log(), "msg=publishing"); n < 2 {
				t.Errorf("the publisher connected %d times, want twice at least", n)
			}
		})
	}
}

// A subscriber stays while the publisher is started anew under the same name,
// and gets what the new one publishes. It is told when none comes.
func TestPublisherRestart(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for _, how := range []string{"stop", "kill"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			name := "room/" + how
			first := c.client(t, nil, nil, "moq-pub", 0, "--name", name, "--test")
			first.await("msg=publishing")
			var out buffer
			sub := c.client(t, nil, &out, "moq-sub", 1, "--name", name, "--json", "--log-level", "off")
			eventually(t, 10*time.Second, "media", func() bool { return count(&out, "video") > 45 })
			if how == "stop" {
				first.stop()
			} else {
				first.kill()
			}
			list := objects(t, out.Bytes())["video"]
			last := list[len(list)-1]
			video, audio := count(&out, "video"), count(&out, "audio")
			second := c.client(t, nil, nil, "moq-pub", 0, "--name", name, "--test")
			second.await("msg=publishing")
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
			if how == "stop" {
				second.stop()
				gone := time.Now()
				oneSentence(t, sub, 15*time.Second, "the publisher is gone")
				if took := time.Since(gone); took < 4*time.Second {
					t.Errorf("the subscriber was told after %v, want the linger of 5 s", took)
				}
				return
			}
			sub.stop()
		})
	}
}
