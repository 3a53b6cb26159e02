// Command moq-api serves the cluster's table of origins: which relay has which
// namespace. See package api for the REST interface.
package main

import (
	"os"

	"github.com/tributary-live/tributary/internal/app"
)

func main() { app.Main(newApp(os.Args)) }
