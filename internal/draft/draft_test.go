package draft

import (
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/transport/moqt"
)

func TestVersions(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want []moqt.Version
		err  string
	}{
		{nil, nil, ""},
		{[]string{"--draft", "18"}, []moqt.Version{moqt.Draft18}, ""},
		{[]string{"--draft", "draft-20", "--draft", "moqt-18", "--draft", "20"}, []moqt.Version{moqt.Draft20, moqt.Draft18}, ""},
		{[]string{"--draft", "17"}, nil, `--draft "17": the drafts that are spoken here are 16, 18, 19, 20, 21, 22`},
		{[]string{"--draft", "new"}, nil, `--draft "new"`},
		{[]string{"--draft", ""}, nil, `--draft ""`},
	} {
		var got []moqt.Version
		var err error
		a := &cli.App{Name: "x", Flags: []cli.Flag{Flag("draft")}, Action: func(c *cli.Context) error {
			got, err = Versions(c, "draft")
			return nil
		}}
		if e := a.Run(append([]string{"x"}, tt.args...)); e != nil {
			t.Fatal(e)
		}
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) || !slices.Equal(got, tt.want) {
			t.Errorf("Versions of %q = %v, %v, want %v, %q", tt.args, got, err, tt.want, tt.err)
		}
	}
}
