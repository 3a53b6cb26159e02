package clock_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/tributary-live/tributary/clock"
	"github.com/tributary-live/tributary/transport"
)

func ExampleSubscribe() {
	ctx := context.Background()
	sess, err := transport.Dial(ctx, "moqt://relay.example:4443", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer sess.Close()
	err = clock.Subscribe(ctx, sess, clock.Config{}, func(t time.Time) error {
		fmt.Println(t.Format(time.RFC3339))
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
}

func ExampleAt() {
	t := time.Date(2026, 11, 20, 15, 4, 5, 0, time.UTC)
	fmt.Println(clock.At(t), clock.Time(clock.At(t)).Equal(t))
	// Output: 29919784/5 true
}
