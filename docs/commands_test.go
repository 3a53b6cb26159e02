package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// option is one flag, as --help tells it.
type option struct{ name, value, usage, def, env string }

var helpLine = regexp.MustCompile(`^   --([a-z0-9-]+)(?: ([A-Za-z]+))?(?:, -\w(?: [A-Za-z]+)?)?(?: \[ .* \])?  +(\S.*)$`)
var helpDefault = regexp.MustCompile(` ?\(default: (.*)\)$`)
var helpEnv = regexp.MustCompile(` ?\[([^\]]*)\]$`)

// subcommands of the commands that have some.
var subcommands = map[string][]string{
	"moq-bench": {"bars relay", "bars multipath", "fanout", "bare", "tcp", "slow", "join", "storm", "handshakes", "twins", "srs", "soak", "session", "urgent", "multipath", "plot"},
}

// options returns the flags of a command and its subcommands but --help and
// --version.
func options(t *testing.T, command string) []option {
	t.Helper()
	var out []byte
	for _, sub := range append([]string{""}, subcommands[command]...) {
		help, err := exec.Command(filepath.Join(bin, command), append(strings.Fields(sub), "--help")...).Output()
		if err != nil {
			t.Fatalf("%s %s --help: %v", command, sub, err)
		}
		out = append(out, help...)
	}
	var list []option
	for line := range strings.Lines(string(out)) {
		m := helpLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil || m[1] == "help" || m[1] == "version" {
			continue
		}
		o := option{name: m[1], value: m[2], usage: m[3]}
		if e := helpEnv.FindStringSubmatch(o.usage); e != nil {
			o.env = strings.ReplaceAll(e[1], "$", "")
			o.usage = strings.TrimSuffix(o.usage, e[0])
		}
		if d := helpDefault.FindStringSubmatch(o.usage); d != nil {
			o.def = d[1]
			o.usage = strings.TrimSuffix(o.usage, d[0])
		}
		list = append(list, o)
	}
	if len(list) < 3 {
		t.Fatalf("%s --help has %d flags that could be read:\n%s", command, len(list), out)
	}
	return list
}

// commands are the programs whose flags operations.md tells.
var commands = []string{"moq-relay", "moq-pub", "moq-sub", "moq-api", "moq-dir", "moq-clock"}

func allOptions(t *testing.T) map[string][]option {
	t.Helper()
	all := make(map[string][]option)
	built, err := filepath.Glob(filepath.Join(bin, "moq-*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range built {
		all[filepath.Base(c)] = options(t, filepath.Base(c))
	}
	return all
}

func has(list []option, name string) bool {
	return slices.ContainsFunc(list, func(o option) bool { return o.name == name })
}

// words splits a line of shell as far as the pages need it: quotes and
// comments. What separates commands is a word of its own.
func words(line string) []string {
	var list []string
	var word strings.Builder
	open, quote := false, rune(0)
	end := func() {
		if open {
			list = append(list, word.String())
		}
		word.Reset()
		open = false
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, open = r, true
		case r == '#' && !open:
			end()
			return list
		case r == ' ' || r == '\t':
			end()
		case r == '|' || r == ';' || r == '&' || r == '(' || r == ')':
			end()
			list = append(list, "|")
		default:
			word.WriteRune(r)
			open = true
		}
	}
	end()
	return list
}

// invocations returns the commands of a block, each as its words.
func invocations(text string) [][]string {
	var list [][]string
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		var cmd []string
		for _, w := range append(words(strings.TrimRight(line, "\n")), "|") {
			switch {
			case w == "|":
				if len(cmd) > 0 {
					list = append(list, cmd)
				}
				cmd = nil
			case len(cmd) == 0 && (w == "sudo" || w == "exec" || assignment.MatchString(w)):
			default:
				cmd = append(cmd, w)
			}
		}
	}
	return list
}

var assignment = regexp.MustCompile(`^[A-Z_]+=`)

// others are the programs of other people that the pages use.
var others = []string{"ffmpeg", "ffplay", "ffprobe", "sysctl", "systemctl", "curl", "go", "git", "gst-launch-1.0", "redis-server", "docker", "cd"}

func TestCommands(t *testing.T) {
	all := allOptions(t)
	targets := readPage(t, "Makefile")
	count := 0
	check := func(where string, cmd []string) {
		name := strings.TrimPrefix(cmd[0], "bin/")
		args := cmd[1:]
		if name == "moq" && len(args) > 0 {
			name, args = "moq-"+args[0], args[1:]
		}
		switch {
		case name == "make":
			for _, target := range args {
				if !assignment.MatchString(target) && !strings.Contains(targets, "\n"+target+":") {
					t.Errorf("%s: make has no target %s", where, target)
				}
			}
		case name == "npm" && len(args) == 2 && args[0] == "run":
			if !strings.Contains(readPage(t, "web/package.json"), "\n    \""+args[1]+"\":") {
				t.Errorf("%s: web/package.json has no script %s", where, args[1])
			}
		case strings.HasPrefix(name, "dev/"):
			if info, err := os.Stat(filepath.Join(root, name)); err != nil || info.Mode()&0o111 == 0 {
				t.Errorf("%s: %s cannot be run", where, name)
			}
		case strings.HasPrefix(name, "moq-"):
			list, ok := all[name]
			if !ok {
				t.Errorf("%s: there is no command %s", where, name)
				return
			}
			count++
			for _, a := range args {
				f, _, _ := strings.Cut(a, "=")
				if f, ok := strings.CutPrefix(f, "--"); ok && f != "help" && f != "version" && !has(list, f) {
					t.Errorf("%s: %s has no flag --%s", where, name, f)
				}
			}
		case slices.Contains(others, name):
		default:
			t.Errorf("%s: unknown program %s", where, cmd[0])
		}
	}
	for _, p := range pages(t) {
		for _, b := range blocks(p) {
			switch b.lang {
			case "sh":
				for _, cmd := range invocations(b.text) {
					check(b.where(), cmd)
				}
			case "ini":
				for line := range strings.Lines(b.text) {
					if cmd, ok := strings.CutPrefix(line, "ExecStart="); ok {
						w := words(strings.TrimSpace(cmd))
						w[0] = filepath.Base(w[0])
						check(b.where(), w)
					}
				}
			}
		}
	}
	if count < 15 {
		t.Errorf("checked %d command lines, want at least 15", count)
	}
}

var (
	inlineFlag = regexp.MustCompile("`[^`\n]*?(--[a-z][a-z-]+)[^`\n]*`")
	inlineEnv  = regexp.MustCompile(`MOQ_[A-Z]+(?:_[A-Z]+)*\b`)
)

// Flags and variables that the text names exist, whatever command has them.
func TestNamesInText(t *testing.T) {
	flags := map[string]bool{"--help": true, "--version": true}
	env := make(map[string]bool)
	for command, list := range allOptions(t) {
		env[strings.ToUpper(strings.ReplaceAll(command, "-", "_"))] = true // MOQ_RELAY_…
		for _, o := range list {
			flags["--"+o.name] = true
			for _, e := range strings.Split(o.env, ", ") {
				env[e] = true
			}
		}
	}
	for _, p := range pages(t) {
		if strings.Contains(p.name, "/adr/") {
			continue // they say what was decided, not what there is
		}
		text := fenced.ReplaceAllString(p.text, "")
		for _, m := range inlineFlag.FindAllStringSubmatch(text, -1) {
			if !flags[m[1]] {
				t.Errorf("%s: no command has %s", p.name, m[1])
			}
		}
		for _, m := range inlineEnv.FindAllString(text, -1) {
			if !env[m] && m != "MOQT_IMPLEMENTATION" {
				t.Errorf("%s: no command reads %s", p.name, m)
			}
		}
	}
}

// TestConfigFiles starts commands with the configuration files of the pages and
// with one argument too many: what they complain about then is that argument,
// if the file was read to its end.
func TestConfigFiles(t *testing.T) {
	count := 0
	for _, p := range pages(t) {
		for _, b := range blocks(p) {
			command, ok := strings.CutPrefix(b.mark, "config ")
			if !ok {
				continue
			}
			count++
			file := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
			checkArgs(t, b.where(), append([]string{command, "--config", file}, "moqt://localhost")...)
		}
	}
	if count == 0 {
		t.Error("no page has a configuration file")
	}
}

// checkArgs reports it if a command does not take its arguments. Nothing is
// started: there is one argument too many.
func checkArgs(t *testing.T, where string, args ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, args[0]), append(slices.Clone(args[1:]), "one-too-many")...)
	out, err := cmd.CombinedOutput()
	exit, ok := err.(*exec.ExitError)
	if !ok || exit.ExitCode() != 2 || !strings.Contains(string(out), "unexpected argument") {
		t.Errorf("%s: %v: %v\n%s", where, args, err, out)
	}
}
