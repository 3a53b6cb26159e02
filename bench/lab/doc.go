// Package lab is two hosts on this machine with links between them that have a
// rate, a delay, a queue and losses: a publisher's with several interfaces, and a
// relay's. What runs there are real processes and real sockets, of UDP and TCP
// alike, and the links are those of package netsim.
//
// A host is a network namespace and a link is a TUN device in each, with the
// packets carried between them by this process. Neither has a name outside: the
// kernel removes both when the last process that holds them is gone, however it
// ends, so nothing is ever left to clean up. It needs root, and Linux.
package lab
