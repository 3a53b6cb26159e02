// Command moq runs another command of the family: "moq relay --dev" is
// "moq-relay --dev". It looks beside itself first, then in PATH.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/tributary-live/tributary/internal/app"
)

func main() {
	os.Exit(run(os.Args[1:], places(), os.Stdout, os.Stderr, syscall.Exec))
}

// run replaces this process by the command that args name, or returns the exit
// code: exec returns only if it fails.
func run(args, places []string, stdout, stderr io.Writer, exec func(path string, argv, env []string) error) int {
	if len(args) == 0 {
		usage(stderr, places)
		return 2
	}
	switch args[0] {
	case "help", "--help", "-h":
		if len(args) == 1 {
			usage(stdout, places)
			return 0
		}
		args = []string{args[1], "--help"}
	case "version", "--version", "-v":
		fmt.Fprintln(stdout, "moq version", app.Version())
		return 0
	}
	verb := args[0]
	path := find(verb, places)
	if path == "" {
		fmt.Fprintf(stderr, "moq: there is no command moq-%s; ", strings.Map(printable, verb))
		list(stderr, places)
		return 2
	}
	err := exec(path, append([]string{"moq-" + verb}, args[1:]...), os.Environ())
	fmt.Fprintf(stderr, "moq: cannot run %s: %v\n", path, err)
	return 1
}

func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return '?'
	}
	return r
}

func usage(w io.Writer, places []string) {
	fmt.Fprint(w, "usage: moq COMMAND [flags] [arguments]; moq help COMMAND tells the flags\n")
	list(w, places)
}

func list(w io.Writer, places []string) {
	verbs := verbs(places)
	if len(verbs) == 0 {
		fmt.Fprint(w, "found none beside moq or in PATH (make build makes them)\n")
		return
	}
	fmt.Fprintf(w, "commands: %s\n", strings.Join(verbs, " "))
}

// places returns the directories in which commands are looked for, in order.
func places() []string {
	var dirs []string
	if self, err := os.Executable(); err == nil {
		dirs = append(dirs, filepath.Dir(self))
		if real, err := filepath.EvalSymlinks(self); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if filepath.IsAbs(dir) { // never the directory one happens to be in
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// find returns the path of moq-verb, or "".
func find(verb string, places []string) string {
	if verb == "" || strings.ContainsRune(verb, filepath.Separator) {
		return ""
	}
	for _, dir := range places {
		if path := filepath.Join(dir, "moq-"+verb); executable(path) {
			return path
		}
	}
	return ""
}

// verbs returns what find would find, sorted.
func verbs(places []string) []string {
	var found []string
	for _, dir := range places {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // PATH may name what is not there
		}
		for _, e := range entries {
			verb, ok := strings.CutPrefix(e.Name(), "moq-")
			if ok && verb != "" && executable(filepath.Join(dir, e.Name())) {
				found = append(found, verb)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
