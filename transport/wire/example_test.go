package wire_test

import (
	"bytes"
	"fmt"

	"github.com/tributary-live/tributary/transport/moqt"
	"github.com/tributary-live/tributary/transport/wire"
)

func Example() {
	p, _ := wire.ProfileFor(moqt.Draft18)
	b, err := p.AppendMessage(nil, &wire.Subscribe{Track: moqt.NS("clock").Track("now"), Params: wire.Params{Forward: wire.Some(true)}})
	if err != nil {
		fmt.Println(err)
	}
	fmt.Printf("%x\n", b)

	m, err := p.ReadMessage(wire.NewReader(bytes.NewReader(b)), wire.On{})
	fmt.Println(m.Kind(), m.(*wire.Subscribe).Track, err)
	// A SUBSCRIBE may open a request; it may not come on one that is open.
	_, err = p.ReadMessage(wire.NewReader(bytes.NewReader(b)), wire.On{Request: wire.KindSubscribe})
	fmt.Println(err)
	// Output:
	// 03000f000105636c6f636b036e6f77011001
	// SUBSCRIBE clock--now <nil>
	// Message Type: SUBSCRIBE (0x3) may not come here
}

func ExampleFetchEncoder() {
	p, _ := wire.ProfileFor(moqt.Draft18)
	b := p.AppendFetchHeader(nil, &wire.FetchHeader{RequestID: 4})
	e := p.FetchEncoder(moqt.Ascending)
	for i, payload := range []string{"hi", "you"} {
		o := wire.FetchObject{Location: moqt.Location{Group: 9, Object: uint64(i)}, Priority: 128, Size: uint64(len(payload))}
		b, _ = e.Append(b, &o)
		b = append(b, payload...)
	}
	fmt.Printf("%x\n", b)
	// Output: 05041c0900800268690003796f75
}
