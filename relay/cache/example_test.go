package cache_test

import (
	"context"
	"fmt"
	"io"

	"github.com/tributary-live/tributary/relay/cache"
	"github.com/tributary-live/tributary/transport/moqt"
)

// Two publishers bring the same group, one of them only half; a subscriber gets
// every object once.
func Example() {
	track := cache.NewTrack(cache.Options{Budget: cache.NewBudget(256 << 20)})
	defer track.Close()

	a, b := track.Source(nil), track.Source(nil)
	header := moqt.Subgroup{Group: 7, First: true, EndOfGroup: true}
	half, _ := a.Open(header)
	whole, _ := b.Open(header)
	for i, text := range []string{"one", "two", "three", "four"} {
		o := moqt.Object{Location: moqt.Location{Group: 7, Object: uint64(i)}, Payload: []byte(text)}
		if i < 2 {
			half.Append(o)
		}
		whole.Append(o)
	}
	a.Close()
	whole.Close()
	track.End()

	ctx := context.Background()
	reader := track.Reader(moqt.Location{Group: 7}, cache.LastGroup)
	for {
		cursor, err := reader.Next(ctx) // a downstream stream
		if err == io.EOF {
			break
		}
		fmt.Println("group", cursor.Header().Group)
		for {
			o, err := cursor.Next(ctx)
			if err != nil {
				fmt.Println(err)
				break
			}
			p, _ := o.Payload()
			fmt.Printf("%v %s\n", o.Meta.Location, p)
		}
	}
	// Output:
	// group 7
	// 7/0 one
	// 7/1 two
	// 7/2 three
	// 7/3 four
	// EOF
}
