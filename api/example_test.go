package api_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/transport/moqt"
)

func Example() {
	handler, err := api.NewServer(api.ServerConfig{Store: new(api.MemStore)})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := httptest.NewServer(handler)
	defer server.Close()

	client, err := api.NewClient(api.ClientConfig{URL: server.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	ctx := context.Background()
	alice := moqt.NS("live", "alice")
	if err := client.Put(ctx, api.Origin{Namespace: alice, Node: "relay1", URL: "moqt://relay1.example:4443"}, 0); err != nil {
		fmt.Println(err)
		return
	}
	found, err := client.Lookup(ctx, moqt.NS("live", "alice", "cam"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, o := range found {
		fmt.Println(o.Namespace, o.Node, o.URL)
	}
	// Output: live-alice relay1 moqt://relay1.example:4443
}
