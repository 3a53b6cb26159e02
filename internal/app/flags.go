package app

import (
	"reflect"
	"strings"

	"github.com/urfave/cli/v2"
)

// EnvVars returns the variables from which the flag name of program is read:
// EnvVars("moq-relay", "tls-cert") is MOQ_RELAY_TLS_CERT.
func EnvVars(program, name string) []string {
	return []string{strings.ToUpper(strings.ReplaceAll(program+"_"+name, "-", "_"))}
}

// bindEnv gives every flag its variable, before those it names itself. The
// field is found by reflection because package cli has no interface to set it,
// and some twenty flag types.
func bindEnv(a *cli.App) {
	for _, f := range a.Flags {
		if v := field(f, "EnvVars"); v.IsValid() {
			names := append(EnvVars(a.Name, f.Names()[0]), v.Interface().([]string)...)
			v.Set(reflect.ValueOf(names))
		}
	}
}

// takeRequired returns the required flags and has package cli not check them:
// it would do so before the configuration file is read, and print the help.
func takeRequired(flags []cli.Flag) []string {
	var names []string
	for _, f := range flags {
		if v := field(f, "Required"); v.IsValid() && v.Bool() {
			names = append(names, f.Names()[0])
			v.SetBool(false)
		}
	}
	return names
}

func field(f cli.Flag, name string) reflect.Value {
	v := reflect.ValueOf(f)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return v.Elem().FieldByName(name)
}

func checkRequired(c *cli.Context, names []string) error {
	for _, name := range names {
		if !c.IsSet(name) {
			return Usagef("--%s is missing (or %s, or the key %q in the file of --config)", name, EnvVars(c.App.Name, name)[0], name)
		}
	}
	return nil
}

func checkArgs(c *cli.Context) error {
	if len(c.App.Commands) > 0 {
		return nil
	}
	words := strings.Fields(c.App.ArgsUsage)
	for i, w := range words {
		if w == "..." {
			return nil
		}
		if i >= c.NArg() && !strings.HasPrefix(w, "[") {
			return Usagef("%s is missing: %s [flags] %s", w, c.App.Name, c.App.ArgsUsage)
		}
	}
	if c.NArg() <= len(words) {
		return nil
	}
	extra := c.Args().Get(len(words))
	if strings.HasPrefix(extra, "-") {
		return Usagef("%s stands after %s: flags go first", extra, c.Args().Get(len(words)-1))
	}
	return Usagef("unexpected argument %q", extra)
}

// parseError rewrites the errors of package flag, which know flags with one
// dash only.
func parseError(a *cli.App, err error) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		name = strings.TrimLeft(name, "-")
		// The nearest of all is no help where it is far; people get first letters right.
		near := strings.TrimLeft(cli.SuggestFlag(a.Flags, name, false), "-")
		if near != "" && name != "" && near[0] == name[0] {
			return Usagef("unknown flag --%s (did you mean --%s?)", name, near)
		}
		return Usagef("unknown flag --%s (%s --help lists them)", name, a.Name)
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: "); ok {
		return Usagef("--%s needs a value", strings.TrimLeft(name, "-"))
	}
	return Usagef("%s", strings.Replace(addUnit(a, text), " for flag -", " for --", 1))
}

// addUnit says what a duration looks like where package flag has only "parse
// error".
func addUnit(a *cli.App, text string) string {
	head, ok := strings.CutSuffix(text, ": parse error")
	for _, f := range a.Flags {
		if _, duration := f.(*cli.DurationFlag); ok && duration && strings.HasSuffix(head, " for flag -"+f.Names()[0]) {
			return head + ": want a number and its unit, such as 10s or 500ms"
		}
	}
	return text
}
