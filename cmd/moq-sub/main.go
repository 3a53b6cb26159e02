// Command moq-sub receives a broadcast and writes it to stdout as fragmented
// MP4, or forwards it to RTMP servers, or tells of its objects, or lists the
// broadcasts that are live.
package main

import "github.com/tributary-live/tributary/internal/app"

func main() { app.Main(newApp()) }
