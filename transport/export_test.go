package transport

// OwnStreams returns how many streams a WebTransport connection would have to
// reset if its session ended now.
func OwnStreams(c Conn) int {
	w := c.(*webTransportConn)
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.own)
}
