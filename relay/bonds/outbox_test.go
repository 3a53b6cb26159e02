package bonds

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/transporttest"
)

// TestOutboxOfThePeerThatTakesNothing puts very many acknowledgements where nothing
// is taken: what waits is one for each member, with what was done last.
func TestOutboxOfThePeerThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := transporttest.Pipe(t, &transporttest.PipeOptions{Window: 16})
		st, err := client.OpenUniStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var o outbox
		o.init()
		ctx, cancel := context.WithCancel(t.Context())
		sent := make(chan struct{})
		go func() {
			o.send(ctx, st)
			close(sent)
		}()
		const n = 10_000
		for i := range uint64(n) {
			o.put(&bond.Ack{Member: i % 3, Ranges: []bond.Range{{Last: i}}, Done: []bond.Object{{Object: i}}})
			if i == 0 {
				synctest.Wait() // it is being written
			}
		}
		if len(o.acks) != 3 {
			t.Errorf("%d acknowledgements wait, want 3", len(o.acks))
		}
		for _, a := range o.acks {
			if last := a.Done[len(a.Done)-1].Object; len(a.Done) != maxDone || last != a.Ranges[0].Last || last < n-3 {
				t.Errorf("that of member %d has %d done, to %d, and %v", a.Member, len(a.Done), last, a.Ranges)
			}
		}
		if o.stuck(time.Now()) {
			t.Error("it is stuck at once")
		}
		time.Sleep(time.Second)
		if !o.stuck(time.Now()) {
			t.Error("it is not stuck after a second")
		}
		client.CloseWithError(0, "")
		cancel()
		<-sent
	})
}
