//go:build !race

package transporttest

// RaceDetector reports whether the race detector runs, which takes ten times as long.
const RaceDetector = false
