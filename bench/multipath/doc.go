// Package multipath measures what a publisher gets to a relay over several links:
// bulk data and live video, while links are slow, lossy, cut, unplugged, or replay
// what a real one did.
//
// A [Scenario] tells the links, the load and what happens. It runs on two grounds:
// simulated links in virtual time ([Virtual]), where real sessions of QUIC and a
// real relay do not notice what else this machine has to do, and links between
// network namespaces ([Real]), where the relay is a process of its own and kernel
// MPTCP can be measured on the same links. The sides that carry the load are
// peers: the bond, one plain session, and MPTCP.
package multipath
