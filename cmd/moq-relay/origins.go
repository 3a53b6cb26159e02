package main

import (
	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/internal/app"
)

// origins is the cluster's table of origins as the relay sees it: what is here
// is registered, what is elsewhere is looked up and remembered for a while.
type origins struct {
	*api.Registrar
	*api.Cache
	client *api.Client
	node   string // this relay
}

// openOrigins returns nil without --api.
func openOrigins(c *cli.Context, node string) (*origins, error) {
	if c.String("api") == "" {
		return nil, nil
	}
	token := ""
	if file := c.String("api-token-file"); file != "" {
		tokens, err := api.ReadTokens(file)
		if err != nil {
			return nil, app.Usagef("--api-token-file: %w", err)
		}
		token = tokens[0]
	}
	client, err := api.NewClient(api.ClientConfig{URL: c.String("api"), Token: token})
	if err != nil {
		return nil, app.Usagef("--api: %w", err)
	}
	registrar, err := api.NewRegistrar(api.RegistrarConfig{Client: client, Node: node, URL: node, Logger: app.Logger(c)})
	if err != nil {
		return nil, app.Usagef("--node: %w", err)
	}
	return &origins{registrar, api.NewCache(api.CacheConfig{Lookup: client.Lookup}), client, node}, nil
}

// Close withdraws what is registered.
func (o *origins) Close() error {
	o.Cache.Close()
	return o.Registrar.Close()
}
