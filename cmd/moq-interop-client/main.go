// Command moq-interop-client runs the test cases of package interop against a
// relay. Its flags, variables, output and exit codes are those of the MoQT
// interop runner ("MoQT Test Client Interface Specification").
package main

import "github.com/tributary-live/tributary/internal/app"

func main() { app.Main(newApp()) }
