package transporttest

// Flood returns how many of something a flood in a test is made of: n, or a tenth
// under the race detector. That counts what goroutines do to synchronise in numbers
// of 14 bits, and when a process has used all of them up, which takes some millions of
// such things, it may fail instead of beginning anew.
func Flood(n int) int {
	if RaceDetector {
		return n / 10
	}
	return n
}
