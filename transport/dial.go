package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Dialer opens connections. The zero value works; a Dialer must not be changed
// while it is used, and may be used by many at once.
type Dialer struct {
	// TLSConfig says whom to trust, and with which certificate to show oneself.
	// ServerName is set from the URL if empty, NextProtos always. If nil, the
	// system's roots are trusted.
	TLSConfig *tls.Config
	// ListenPacket opens the socket of one connection, for example one bound to
	// an interface. The connection closes it. If nil, it is a UDP socket on any
	// address and port.
	ListenPacket func(ctx context.Context) (net.PacketConn, error)
	// QUIC changes what QUIC connections are run with, but datagrams and resets
	// with partial delivery stay on. Its zero fields, and nil, mean: keep-alive
	// after 5 s, idle timeout 15 s, 256 bidirectional and 1024 unidirectional
	// streams of the peer at once.
	QUIC *quic.Config
	// Config is that of the sessions to come. Connections need its Versions.
	Config *Config
	// Timeout bounds a dial, from the name to the session. If zero, it is 10 s.
	Timeout time.Duration
}

// DialConn opens a connection to url and negotiates the draft. The URL is
// moqt://host:port/path?query for raw QUIC, or https:// for WebTransport; the
// port is 443 if it has none. A fragment is for whoever dials, see [ParseURI],
// but for what it says of the connection. If the host is a name with several addresses they
// are tried one after another, each 200 ms later than the one before or as soon
// as that has failed, and the first to answer is taken.
//
// The error says in a sentence what to do about: no answer, a certificate that
// is not trusted, no common draft, an HTTP status.
func (d *Dialer) DialConn(ctx context.Context, url string) (Conn, error) {
	t, err := parseURL(url)
	if err != nil {
		return nil, fmt.Errorf("dial %q: %w", url, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, or(d.Timeout, 10*time.Second), errNoAnswer)
	defer cancel()
	conn, err := d.dial(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", url, err)
	}
	return conn, nil
}

// CheckURL says what is wrong with the URL of a server, as dialling it would. It
// looks nothing up and dials nothing.
func CheckURL(url string) error {
	_, err := parseURL(url)
	return err
}

var errNoAnswer = errors.New("no answer in time")

// target is what a URL says.
type target struct {
	webTransport bool
	authority    string // as in the URL
	host         string
	port         uint16
	path         string // with the query
	url          string // for HTTP
}

func parseURL(s string) (target, error) {
	uri, err := ParseURI(s)
	if err != nil {
		return target{}, err
	}
	u, err := url.Parse(uri.Server)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the URL is in the caller's error
		}
		return target{}, fmt.Errorf("not a URL: %w", err)
	}
	t := target{authority: u.Host, host: u.Hostname(), port: 443, path: u.EscapedPath()}
	switch u.Scheme {
	case "moqt":
	case "https":
		t.webTransport = true
	default:
		return target{}, errors.New("the URL must begin with moqt:// (QUIC) or https:// (WebTransport)")
	}
	switch {
	case u.Opaque != "" || t.host == "":
		return target{}, fmt.Errorf("the URL has no host, as in %s://relay.example:4443/", u.Scheme)
	case !validAuthority(t.authority):
		return target{}, fmt.Errorf("the URL's host %q is not one", t.authority)
	case u.User != nil:
		return target{}, errors.New("the URL has a user name or password, which MOQT does not know")
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return target{}, fmt.Errorf("the URL's port %q is not from 1 to 65535", p)
		}
		t.port = uint16(n)
	}
	if t.webTransport && t.path == "" {
		t.path = "/"
	}
	if u.RawQuery != "" || u.ForceQuery {
		t.path += "?" + u.RawQuery
	}
	if !validPath(t.path) {
		return target{}, fmt.Errorf("the URL's path %q has characters that must be escaped", t.path)
	}
	t.url = "https://" + t.authority + t.path
	return t, nil
}

func (d *Dialer) dial(ctx context.Context, t target) (Conn, error) {
	addrs, err := resolve(ctx, t.host)
	if err != nil {
		return nil, err
	}
	cfg := d.Config.withDefaults()
	tlsConf := &tls.Config{}
	if d.TLSConfig != nil {
		tlsConf = d.TLSConfig.Clone()
	}
	if tlsConf.ServerName == "" {
		tlsConf.ServerName = t.host
	}
	tlsConf.NextProtos = protocols(cfg.Versions)
	if t.webTransport {
		tlsConf.NextProtos = []string{http3.NextProtoH3}
	}
	pc, err := d.listenPacket(ctx)
	if err != nil {
		return nil, fmt.Errorf("open a UDP socket: %w", err)
	}
	tr := &quic.Transport{Conn: pc}
	release := func() {
		tr.Close()
		pc.Close()
	}
	qc, err := dialFirst(ctx, addrs, func(ctx context.Context, ip netip.Addr) (*quic.Conn, error) {
		addr := net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, t.port))
		qc, err := tr.Dial(ctx, addr, tlsConf, quicConfig(d.QUIC, d.Config))
		if err != nil {
			return nil, handshakeError(addr, tlsConf.NextProtos, err)
		}
		return qc, nil
	}, func(qc *quic.Conn) { qc.CloseWithError(0, "") })
	if err != nil {
		release()
		return nil, err
	}
	info := ConnInfo{Client: true, Authority: t.authority, Path: t.path}
	if t.webTransport {
		conn, err := dialWebTransport(ctx, qc, t, info, cfg.Versions, release)
		if err != nil {
			qc.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
			release()
			return nil, err
		}
		return conn, nil
	}
	// TLS has seen to it that this is one of ours.
	info.Version, err = moqt.VersionOfALPN(qc.ConnectionState().TLS.NegotiatedProtocol)
	if err != nil {
		qc.CloseWithError(quic.ApplicationErrorCode(moqt.SessionVersionNegotiation), "")
		release()
		return nil, err
	}
	return newQUICConn(qc, info, release), nil
}

func (d *Dialer) listenPacket(ctx context.Context) (net.PacketConn, error) {
	if d.ListenPacket != nil {
		return d.ListenPacket(ctx)
	}
	return net.ListenUDP("udp", nil)
}

// protocols returns the names of vs, in order.
func protocols(vs []moqt.Version) []string {
	names := make([]string, len(vs))
	for i, v := range vs {
		names[i] = v.ALPN()
	}
	return names
}

// maxAddresses bounds how many addresses of a name are tried.
const maxAddresses = 8

// resolve returns the addresses of host, the families by turns, so that one that
// leads nowhere costs little.
func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
			return nil, fmt.Errorf("no address is known for the name %q: %w", host, err)
		}
		return nil, fmt.Errorf("look up %q: %w", host, err)
	}
	return interleave(found), nil
}

// interleave orders addresses so that the families take turns, that of the first
// beginning, and cuts the list to maxAddresses.
func interleave(addrs []netip.Addr) []netip.Addr {
	var first, other, out []netip.Addr
	for _, a := range addrs {
		a = a.Unmap()
		if len(first) == 0 || a.Is4() == first[0].Is4() {
			first = append(first, a)
		} else {
			other = append(other, a)
		}
	}
	for i := range max(len(first), len(other)) {
		if i < len(first) {
			out = append(out, first[i])
		}
		if i < len(other) {
			out = append(out, other[i])
		}
	}
	return out[:min(len(out), maxAddresses)]
}

// dialStagger is how long an address is given before the next is tried as well.
const dialStagger = 200 * time.Millisecond

// dialFirst dials addrs, staggered, and returns the first connection made; a
// later one is closed. When it returns, all attempts have ended.
func dialFirst[C any](ctx context.Context, addrs []netip.Addr, dial func(context.Context, netip.Addr) (C, error), closeConn func(C)) (C, error) {
	type result struct {
		conn C
		err  error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan result)
	var winner C
	var errs []error
	won := false
	next, running := 0, 0
	stagger := time.NewTimer(0)
	defer stagger.Stop()
	for next < len(addrs) || running > 0 {
		select {
		case <-stagger.C:
			if next == len(addrs) {
				continue
			}
			ip := addrs[next]
			next++
			running++
			go func() { // ends with dial, which ends with ctx
				conn, err := dial(ctx, ip)
				results <- result{conn, err}
			}()
			stagger.Reset(dialStagger)
		case r := <-results:
			running--
			switch {
			case r.err == nil && !won:
				winner, won, next = r.conn, true, len(addrs)
				cancel()
			case r.err == nil:
				closeConn(r.conn)
			case !won:
				errs = append(errs, r.err)
				stagger.Reset(0)
			}
		}
	}
	if won {
		return winner, nil
	}
	var none C
	if len(errs) == 1 {
		return none, errs[0]
	}
	return none, dialErrors(errs)
}

// dialErrors is why each of several addresses could not be reached.
type dialErrors []error

func (e dialErrors) Error() string {
	s := make([]string, len(e))
	for i, err := range e {
		s[i] = err.Error()
	}
	return strings.Join(s, "; ")
}

func (e dialErrors) Unwrap() []error { return e }

// Alerts of TLS that are worth a sentence, as QUIC's error codes ("CRYPTO_ERROR").
const (
	alertBadCertificate        quic.TransportErrorCode = 0x100 + 42
	alertCertificateRequired   quic.TransportErrorCode = 0x100 + 116
	alertNoApplicationProtocol quic.TransportErrorCode = 0x100 + 120
)

// said is an error whose sentence leaves out the words of its cause, which say
// less.
type said struct {
	text  string
	cause error
}

func (e *said) Error() string { return e.text }
func (e *said) Unwrap() error { return e.cause }

// untrusted says what is wrong with a certificate without the words that every
// such error begins with; the certificates themselves are in what it wraps.
type untrusted struct {
	*tls.CertificateVerificationError
}

func (e untrusted) Error() string { return e.Err.Error() }
func (e untrusted) Unwrap() error { return e.CertificateVerificationError }

// handshakeError says in a sentence why addr could not be reached. The cause
// stays inside.
func handshakeError(addr net.Addr, offered []string, err error) error {
	if timeout, ok := errors.AsType[net.Error](err); errors.Is(err, errNoAnswer) || ok && timeout.Timeout() {
		return &said{fmt.Sprintf("no answer from %v (UDP): no relay runs there, or something on the way drops UDP", addr), err}
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("the certificate of %v is not trusted: %w", addr, untrusted{cert})
	}
	e, ok := errors.AsType[*quic.TransportError](err)
	switch {
	case ok && e.ErrorCode == alertNoApplicationProtocol:
		return &said{fmt.Sprintf("%v speaks none of %s", addr, strings.Join(offered, ", ")), err}
	case ok && e.Remote && e.ErrorCode == quic.ConnectionRefused:
		return fmt.Errorf("%v takes no more connections now, %w: %w", addr, ErrBusy, err)
	case ok && e.Remote && (e.ErrorCode == alertBadCertificate || e.ErrorCode == alertCertificateRequired):
		return fmt.Errorf("%v did not accept this end's certificate: %w", addr, err)
	case ok && !e.Remote && e.ErrorCode == quic.InternalError && e.ErrorMessage != "": // of the socket
		return &said{fmt.Sprintf("connect to %v: %s", addr, e.ErrorMessage), err}
	case ok && !e.Remote:
		for _, cause := range e.Unwrap() { // TLS says it better than QUIC
			if cause != nil && cause != net.ErrClosed {
				err = cause
			}
		}
	}
	return fmt.Errorf("connect to %v: %w", addr, err)
}

// dialWebTransport opens the session on qc, which it closes neither in success
// nor in failure.
func dialWebTransport(ctx context.Context, qc *quic.Conn, t target, info ConnInfo, vs []moqt.Version, release func()) (Conn, error) {
	// The library does not watch ctx while it waits for the answer.
	stop := context.AfterFunc(ctx, func() {
		qc.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	})
	defer stop()
	tr := &webtransport.Transport{ApplicationProtocols: protocols(vs)}
	defer tr.Close() // ends nothing but waits of this dial
	client, err := tr.NewClientConn(qc)
	if err != nil {
		return nil, fmt.Errorf("WebTransport: %w", err)
	}
	rsp, sess, err := client.Dial(ctx, t.url, nil)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("WebTransport: %w", context.Cause(ctx))
	case err != nil && rsp != nil && rsp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("WebTransport refused: %w", &statusError{rsp.StatusCode, bodyText(rsp)})
	case err != nil:
		return nil, fmt.Errorf("WebTransport: %w", webTransportConnError(err))
	}
	name := sess.SessionState().ApplicationProtocol
	if name == "" && len(vs) == 1 {
		name = vs[0].ALPN() // a server that does not tell; there is one that it can be
	}
	info.Version, err = moqt.VersionOfALPN(name)
	if err != nil || !slices.Contains(vs, info.Version) {
		return nil, fmt.Errorf("the WebTransport server at %v chose none of %s, but %q", qc.RemoteAddr(), strings.Join(protocols(vs), ", "), name)
	}
	if !stop() {
		return nil, fmt.Errorf("WebTransport: %w", context.Cause(ctx))
	}
	// The session is the connection's first request, so its id is 0.
	return newWebTransportConn(sess, qc, 0, info, release), nil
}

// statusError is an HTTP answer that is not a session.
type statusError struct {
	status int
	text   string // the server's
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("HTTP status %d", e.status)
	if name := http.StatusText(e.status); name != "" {
		s += " (" + name + ")"
	}
	if e.text != "" {
		s += ": " + printable(e.text)
	}
	return s
}

// bodyText returns the first line of a refusal, of which servers of this package
// send one.
func bodyText(rsp *http.Response) string {
	if rsp.Body == nil {
		return ""
	}
	defer rsp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(rsp.Body, 512))
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}
