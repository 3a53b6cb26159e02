package moqt

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is a draft of MOQT, as its number: 18 is draft-ietf-moq-transport-18.
// The zero value is no version.
type Version uint8

// The drafts this module knows by name. Which of them a session can speak is
// told by package wire.
const (
	Draft16 Version = 16
	Draft18 Version = 18
	Draft19 Version = 19
	Draft20 Version = 20
	Draft21 Version = 21
	Draft22 Version = 22
)

// ALPN returns the protocol identifier that selects v, on raw QUIC as the TLS
// ALPN and on WebTransport as a subprotocol ("Version Negotiation").
func (v Version) ALPN() string { return "moqt-" + strconv.Itoa(int(v)) }

// String returns "draft-18" for Draft18.
func (v Version) String() string { return "draft-" + strconv.Itoa(int(v)) }

// VersionOfALPN is the reverse of [Version.ALPN]. It reports an error for any
// identifier that is not "moqt-" and a number.
func VersionOfALPN(s string) (Version, error) {
	digits, ok := strings.CutPrefix(s, "moqt-")
	n, err := strconv.ParseUint(digits, 10, 8)
	if !ok || err != nil || strconv.FormatUint(n, 10) != digits {
		return 0, fmt.Errorf("moqt: %q names no MOQT draft (want moqt-NN)", s)
	}
	return Version(n), nil
}
