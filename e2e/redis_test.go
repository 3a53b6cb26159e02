package e2e

import (
	"testing"
	"time"
)

// startRedis starts a Redis that keeps nothing on disk.
func startRedis(t *testing.T, port string) *proc {
	t.Helper()
	p := start(t, nil, nil, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	p.await("Ready to accept connections")
	return p
}

// The cluster keeps its origins in Redis, and goes on when that is killed:
// streams that run are not touched, names that are known can be subscribed to,
// others fail in words. When Redis is back, empty, all is as before.
func TestRedisDies(t *testing.T) {
	need(t, "redis-server")
	t.Parallel()
	port := freePort(t)
	redis := startRedis(t, port)
	c := newCluster(t, "--redis", "redis://127.0.0.1:"+port)
	for _, name := range []string{"room/a", "room/b"} {
		c.client(t, nil, nil, "moq-pub", 0, "--name", name, "--test").await("msg=publishing")
	}
	var running, visit buffer
	subscriber := c.client(t, nil, &running, "moq-sub", 1, "--name", "room/a", "--json")
	video := func() int { return count(&running, "video") }
	eventually(t, 10*time.Second, "media through both relays", func() bool { return video() > 30 })
	// Relay 2 learns where room/b is, and lets its tracks go again.
	ended(t, 10*time.Second, c.client(t, nil, &visit, "moq-sub", 1, "--name", "room/b", "--json", "--duration", "1s"))
	if count(&visit, "video") == 0 {
		t.Fatal("room/b does not play before Redis is killed")
	}
	eventually(t, 10*time.Second, "relay 2 lets room/b go", func() bool {
		for _, tr := range c.state(t, 1).Tracks {
			if tr.Name == "room-b--video" || tr.Name == "room-b--catalog" {
				return false
			}
		}
		return true
	})

	redis.kill()
	killed := video()
	var again buffer
	visitor := c.client(t, nil, &again, "moq-sub", 1, "--name", "room/b", "--json", "--duration", "4s", "--wait", "0s")
	oneSentence(t, c.client(t, nil, nil, "moq-sub", 1, "--name", "room/unknown", "--wait", "0s", "--log-level", "off"), 10*time.Second, "origins")
	ended(t, 10*time.Second, visitor)
	if count(&again, "video") < 60 {
		t.Errorf("room/b: %d frames in 4 s without Redis", count(&again, "video"))
	}
	eventually(t, 10*time.Second, "six seconds of media without Redis", func() bool { return video() > killed+180 })

	startRedis(t, port)
	c.client(t, nil, nil, "moq-pub", 0, "--name", "room/c", "--test").await("msg=publishing")
	var new buffer
	c.client(t, nil, &new, "moq-sub", 1, "--name", "room/c", "--json")
	eventually(t, 15*time.Second, "a new name after Redis has come back", func() bool { return count(&new, "video") > 30 })
	subscriber.stop()
	for track, list := range objects(t, running.Bytes()) {
		checkSequence(t, track, list, true)
	}
	t.Logf("%d frames without a gap, %d of them without Redis; room/b %d frames without Redis", video(), video()-killed, count(&again, "video"))
}
