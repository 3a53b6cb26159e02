// Package transporttest gives tests the two ends of a MOQT connection, and a
// conformance test for implementations of [transport.Conn].
//
// [Pipe] is a pair in memory without QUIC under it: quick, and enough for
// everything above transport. [QUICPair] and [WebTransportPair] are real
// connections over a simulated link. All of them work inside [testing/synctest]
// bubbles, and the latter two should only be used there, where their timers cost
// nothing. They are closed at the end of the test.
package transporttest
