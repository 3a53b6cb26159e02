package prefix_test

import (
	"fmt"

	"github.com/tributary-live/tributary/internal/prefix"
	"github.com/tributary-live/tributary/transport/moqt"
)

func Example() {
	var t prefix.Tree[string]
	t.Set(moqt.NS("live"), "relay 1")
	t.Set(moqt.NS("live", "alice"), "relay 2")

	key, relay, _ := t.Longest(moqt.NS("live", "alice", "cam"))
	fmt.Println(key, relay)
	for key, relay := range t.Under(moqt.NS("live")) {
		fmt.Println(key, relay)
	}
	// Output:
	// live-alice relay 2
	// live relay 1
	// live-alice relay 2
}
