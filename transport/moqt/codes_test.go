package moqt

import (
	"fmt"
	"slices"
	"testing"
)

func TestVersions(t *testing.T) {
	for _, v := range []Version{Draft16, Draft18, Draft19, Draft20, Draft21, Draft22} {
		if got, err := VersionOfALPN(v.ALPN()); got != v || err != nil {
			t.Errorf("VersionOfALPN(%q) = %v, %v, want %v", v.ALPN(), got, err, v)
		}
	}
	if got := Draft18.ALPN() + " " + Draft18.String(); got != "moqt-18 draft-18" {
		t.Errorf("draft-18 is %q", got)
	}
	for _, s := range []string{"", "moqt-", "moqt-018", "moqt-+18", "moqt--18", "moqt-256", "moqt-18 ", "MOQT-18", "moq-00", "h3", "18"} {
		if v, err := VersionOfALPN(s); err == nil {
			t.Errorf("VersionOfALPN(%q) = %v, want an error", s, v)
		}
	}
}

// Each code has the name that the draft's registry gives it, once.
func TestCodeNames(t *testing.T) {
	for _, test := range []struct {
		code fmt.Stringer
		want string
	}{
		{SessionProtocolViolation, "PROTOCOL_VIOLATION"}, {SessionKeyValueFormatting, "KEY_VALUE_FORMATTING_ERROR"},
		{SessionCode(0x9d), "0x9d"}, {RequestInvalidRange, "INVALID_RANGE"}, {RequestCode(0x99), "0x99"},
		{DoneUpdateFailed, "UPDATE_FAILED"}, {DoneCode(7), "0x7"}, {StreamDeliveryTimeout, "DELIVERY_TIMEOUT"}, {StreamCode(8), "0x8"},
	} {
		if got := test.code.String(); got != test.want {
			t.Errorf("%T %d is %q, want %q", test.code, test.code, got, test.want)
		}
	}
	unique(t, sessionCodes, SessionCodes())
	unique(t, requestCodes, RequestCodes())
	unique(t, doneCodes, DoneCodes())
	unique(t, streamCodes, StreamCodes())
}

func unique[C ~uint64](t *testing.T, names map[C]string, list []C) {
	if len(list) != len(names) || !slices.IsSorted(list) {
		t.Errorf("codes %v, want all %d in order", list, len(names))
	}
	seen := make(map[string]C)
	for c, name := range names {
		if other, ok := seen[name]; ok || name == "" {
			t.Errorf("0x%x and 0x%x are both called %q", uint64(c), uint64(other), name)
		}
		seen[name] = c
	}
}
