package moqt

import (
	"reflect"
	"strings"
	"testing"
)

func TestNamespaceLimits(t *testing.T) {
	fields := func(n int) []string { return strings.Split(strings.Repeat("f ", n-1)+"f", " ") }
	for _, test := range []struct {
		name   string
		fields []string
		ok     bool
	}{
		{"no fields", nil, true},
		{"32 fields", fields(32), true},
		{"33 fields", fields(33), false},
		{"4096 bytes in one field", []string{strings.Repeat("x", 4096)}, true},
		{"4097 bytes in one field", []string{strings.Repeat("x", 4097)}, false},
		{"4097 bytes in two fields", []string{strings.Repeat("x", 4096), "x"}, false},
		{"empty field", []string{"a", "", "b"}, false},
		{"one empty field", []string{""}, false},
	} {
		ns, err := NewNamespace(test.fields...)
		if (err == nil) != test.ok {
			t.Errorf("%s: %v, want ok: %v", test.name, err, test.ok)
			continue
		}
		if !test.ok {
			if ns != (Namespace{}) {
				t.Errorf("%s: got %v beside the error", test.name, ns)
			}
			continue
		}
		size := len(strings.Join(test.fields, ""))
		if !reflect.DeepEqual(ns.Fields(), test.fields) || ns.Len() != len(test.fields) || ns.Size() != size {
			t.Errorf("%s: %d fields of %d bytes, want %d of %d", test.name, ns.Len(), ns.Size(), len(test.fields), size)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("NS with an empty field did not panic")
		}
	}()
	NS("a", "")
}

func TestTrackNameCheck(t *testing.T) {
	ns := NS(strings.Repeat("n", 4000))
	for size, ok := range map[int]bool{0: true, 96: true, 97: false} {
		if err := ns.Track(strings.Repeat("t", size)).Check(); (err == nil) != ok {
			t.Errorf("4000 bytes and a name of %d: %v, want ok: %v", size, err, ok)
		}
	}
}

var nameTests = []struct {
	track   TrackName
	printed string
}{
	{TrackName{}, "--"},
	{NS("a").Track("b"), "a--b"},
	{NS("a").Track(""), "a--"},
	{NS().Track("b"), "--b"},
	{NS("example.net", "team2", "project_x").Track("report"), "example.2enet-team2-project_x--report"},
	{NS("-", "--").Track("-"), ".2d-.2d.2d--.2d"},
	{NS(".2d").Track("..."), ".2e2d--.2e.2e.2e"},
	{NS("\x00\xff").Track("é"), ".00.ff--.c3.a9"},
	{NS("AZaz09_").Track("/"), "AZaz09_--.2f"},
}

func TestPrintedNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, test := range nameTests {
		if got := test.track.String(); got != test.printed {
			t.Errorf("%q is printed %q, want %q", test.track, got, test.printed)
		}
		if got, err := ParseTrackName(test.printed); got != test.track || err != nil {
			t.Errorf("ParseTrackName(%q) = %q, %v, want %q", test.printed, got, err, test.track)
		}
		ns, _, _ := strings.Cut(test.printed, "--")
		if got := test.track.Namespace.String(); got != ns {
			t.Errorf("namespace of %q is printed %q, want %q", test.printed, got, ns)
		}
		if got, err := ParseNamespace(ns); got != test.track.Namespace || err != nil {
			t.Errorf("ParseNamespace(%q) = %q, %v", ns, got, err)
		}
		if seen[test.printed] {
			t.Errorf("two names are printed %q", test.printed)
		}
		seen[test.printed] = true
	}
}

// The rules of "Parsing Serialized Names": one printed form for each name.
func TestParseTrackNameRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"no separator":        "a-b",
		"nothing":             "",
		"upper-case hex":      "a--.2F",
		"hex of a letter":     ".61--b",
		"hex of a digit":      "a--.30",
		"hex of _":            "a--.5f",
		"period at the end":   "a--b.",
		"one hex digit":       "a--b.2",
		"no hex digits":       "a--b.zz",
		"empty field":         "a---b",
		"empty field inside":  "a--b--c",
		"empty first field":   "-a--b",
		"byte not escaped":    "a b--c",
		"slash not escaped":   "a/b--c",
		"utf-8 not escaped":   "é--c",
		"33 fields":           strings.Repeat("f-", 32) + "f--t",
		"4097 bytes":          strings.Repeat("n", 4000) + "--" + strings.Repeat("t", 97),
		"4097 escaped bytes":  strings.Repeat(".00", 4097) + "--",
		"hyphen as a name":    "a---",
		"control byte in hex": "a--.0",
	} {
		if got, err := ParseTrackName(s); err == nil {
			t.Errorf("%s: ParseTrackName(%q) = %q, want an error", name, s, got)
		}
	}
}

func FuzzParseTrackName(f *testing.F) {
	for _, test := range nameTests {
		f.Add(test.printed, test.track.Name, test.track.Namespace.enc)
	}
	f.Add("a--.2F", "a\x00", "")
	f.Fuzz(func(t *testing.T, printed, name, field string) {
		if track, err := ParseTrackName(printed); err == nil && track.String() != printed {
			t.Errorf("%q parses to a name that is printed %q", printed, track)
		}
		ns, err := NewNamespace(field, name)
		if err != nil {
			return
		}
		track := ns.Track(name)
		if got, err := ParseTrackName(track.String()); track.Check() == nil && (err != nil || got != track) {
			t.Errorf("%q is printed %q, which parses to %q, %v", ns.Fields(), track, got, err)
		}
		if strings.ContainsAny(track.String(), "/ \x00\n%\"'\\") {
			t.Errorf("%q is not safe in a URL or log", track)
		}
	})
}

func TestNamespaceAsPath(t *testing.T) {
	for _, test := range []struct {
		path   string
		want   Namespace
		shown  string
		refuse bool
	}{
		{path: "", want: NS()},
		{path: "/", want: NS()},
		{path: "a", want: NS("a"), shown: "a"},
		{path: "/a/b.c/", want: NS("a", "b.c"), shown: "a/b.c"},
		{path: "a/é", want: NS("a", "é"), shown: "a/.c3.a9"},
		{path: "a//b", refuse: true},
		{path: strings.Repeat("/f", 33), refuse: true},
	} {
		got, err := SplitNamespace(test.path)
		if (err != nil) != test.refuse || got != test.want {
			t.Errorf("SplitNamespace(%q) = %q, %v", test.path, got, err)
		} else if s := got.Slashed(); s != test.shown {
			t.Errorf("%q is shown as %q, want %q", test.path, s, test.shown)
		}
	}
	if got := NS("a/b", "c d\n").Slashed(); got != "a.2fb/c.20d.0a" {
		t.Errorf("Slashed = %q", got)
	}
}

func TestPrefixes(t *testing.T) {
	for _, test := range []struct {
		ns, prefix, suffix Namespace
		ok                 bool
	}{
		{NS("a", "b"), NS(), NS("a", "b"), true},
		{NS("a", "b"), NS("a"), NS("b"), true},
		{NS("a", "b"), NS("a", "b"), NS(), true},
		{NS(), NS(), NS(), true},
		{NS("ab"), NS("a"), NS("ab"), false},
		{NS("a"), NS("a", "b"), NS("a"), false},
		{NS("a", "b"), NS("b"), NS("a", "b"), false},
		{NS("\x00\x01x"), NS("\x00"), NS("\x00\x01x"), false},
		{NS("a\x00\x01b"), NS("a"), NS("a\x00\x01b"), false},
	} {
		if got := test.ns.HasPrefix(test.prefix); got != test.ok {
			t.Errorf("%q has prefix %q: %v", test.ns, test.prefix, got)
		}
		suffix, ok := test.ns.Suffix(test.prefix)
		if suffix != test.suffix || ok != test.ok {
			t.Errorf("%q after %q is %q, %v, want %q, %v", test.ns, test.prefix, suffix, ok, test.suffix, test.ok)
		}
		if !ok {
			continue
		}
		if joined, err := test.prefix.Join(suffix); joined != test.ns || err != nil {
			t.Errorf("%q joined with %q is %q, %v", test.prefix, suffix, joined, err)
		}
	}
}

func TestParentAndJoin(t *testing.T) {
	ns := NS("a", "bb", "ccc")
	for _, want := range []Namespace{NS("a", "bb"), NS("a"), NS(), NS()} {
		if ns = ns.Parent(); ns != want {
			t.Errorf("Parent = %q, want %q", ns, want)
		}
	}
	half := NS(strings.Split(strings.Repeat("f ", 16)+"f", " ")...) // 17 fields
	if _, err := half.Join(half); err == nil {
		t.Error("34 fields were joined")
	}
	if _, err := NS(strings.Repeat("x", 4000)).Join(NS(strings.Repeat("x", 97))); err == nil {
		t.Error("4097 bytes were joined")
	}
}

func TestNamesAreKeys(t *testing.T) {
	m := map[TrackName]int{NS("a", "b").Track("c"): 1, NS("ab").Track("c"): 2, NS("a").Track("bc"): 3}
	for track, want := range map[TrackName]int{
		NS(strings.Split("a b", " ")...).Track("c"): 1, NS("ab").Track("c"): 2, NS("a").Track("bc"): 3, NS("a", "b", "c").Track(""): 0,
	} {
		if got := m[track]; got != want {
			t.Errorf("%q is key of %d, want %d", track, got, want)
		}
	}
}
