// Command moq-pub publishes fMP4 from stdin, from a file in a loop, or a
// built-in test clip, to a relay.
package main

import "github.com/tributary-live/tributary/internal/app"

func main() { app.Main(newApp()) }
