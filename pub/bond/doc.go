// Package bond sends one broadcast over several paths at once: a path is a
// network interface, with a QUIC connection or more. It decides which bytes go
// where, finds out which paths can be relied on, and sends again what one of them
// has lost.
//
// The [Scheduler] holds no lock, starts no goroutine and reads no clock: it is
// told what happened and when, and says what to do. So every rule of it is tested
// on links that are simulated to the byte.
package bond
