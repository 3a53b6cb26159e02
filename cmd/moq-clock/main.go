// Command moq-clock publishes the time of day as a track, or prints what such a
// track tells.
package main

import "github.com/tributary-live/tributary/internal/app"

func main() { app.Main(newApp()) }
