// Command moq-dir is the directory of a cluster: relays announce namespaces to
// it, and it tells what is announced anywhere, by SUBSCRIBE_NAMESPACE and by
// listing tracks.
package main

import "github.com/tributary-live/tributary/internal/app"

func main() { app.Main(newApp()) }
