// Command moq-relay takes tracks from publishers, keeps their newest groups and
// fans them out to subscribers, over QUIC and WebTransport. Relays find each
// other through moq-api.
package main

import "github.com/tributary-live/tributary/internal/app"

func main() { app.Main(newApp()) }
