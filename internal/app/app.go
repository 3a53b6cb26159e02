// Package app is what every command shares: signals, the log, errors that end
// as one sentence, environment variables and the configuration file, and the
// admin listener.
//
// A command is a *cli.App whose Action maps flags to a Config and runs it:
//
//	func main() { app.Main(newApp()) }
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
)

// Main runs a with the program's arguments and exits with the code of [Run].
// The first SIGINT or SIGTERM ends the context that the Action sees; another, half a
// second later or more, ends the program at once, with code 130.
func Main(a *cli.App) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() { // ends with the program
		insist(signals, cancel)
		os.Exit(130)
	}()
	os.Exit(Run(ctx, a, os.Args, os.Stderr))
}

// sameWish is how close signals are that say one thing: timeout, of coreutils, sends
// one to the process and one to the group that it is in.
const sameWish = 500 * time.Millisecond

// insist calls end at the first of the signals, and returns when somebody insists.
func insist(signals <-chan os.Signal, end func()) {
	<-signals
	first := time.Now()
	end()
	for range signals {
		if time.Since(first) >= sameWish {
			return
		}
	}
}

// Run runs a with args, of which the first is the program's name, and returns
// the exit code: 0, 1 after an error, 2 when the command line or the
// configuration is at fault, or that of a [cli.ExitCoder]. The error goes to stderr as one line,
// "name: sentence". An Action that returns because ctx ended has succeeded.
//
// Run completes a before it starts it:
//   - every flag gets its environment variable ([EnvVars]) and may stand in the
//     file that --config names; a flag goes before the variable, the variable
//     before the file. A repeatable flag takes one value from its variable;
//   - flags marked Required are checked after all three were read;
//   - --config and --log-level are added ([Logger] gives the log);
//   - ArgsUsage says how many arguments there are: "URL" is one that must be
//     there, "[URL]" one that may, and more than are named are an error. "..."
//     at the end allows any number.
func Run(ctx context.Context, a *cli.App, args []string, stderr io.Writer) int {
	prepare(a, stderr)
	err := a.RunContext(ctx, args)
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return 0
	}
	fmt.Fprintf(stderr, "%s: %s\n", a.Name, sentence(err))
	var coder cli.ExitCoder
	switch {
	case errors.As(err, new(usageError)):
		return 2
	case errors.As(err, &coder):
		return coder.ExitCode()
	}
	return 1
}

// Usagef returns an error that says what is wrong with the command line, which
// makes [Run] return 2. It takes %w like [fmt.Errorf].
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func prepare(a *cli.App, stderr io.Writer) {
	a.Version = Version()
	a.ErrWriter = stderr
	a.HideHelpCommand = true // else an argument "help" or "h" is taken for it
	a.DisableSliceFlagSeparator = true
	a.ExitErrHandler = func(*cli.Context, error) {} // Run prints and chooses the code
	a.OnUsageError = func(c *cli.Context, err error, _ bool) error { return parseError(a, err) }
	if len(a.Commands) > 0 && a.Action == nil {
		a.Action = func(c *cli.Context) error { return noCommand(c, a.Name) }
	}
	nameCommands(a.Commands, a.Name)
	a.Flags = append(a.Flags, configFlag(), logFlag())
	bindEnv(a)
	flags := a.Flags // without --help and --version, which package cli appends
	required := takeRequired(flags)

	before := a.Before
	a.Before = func(c *cli.Context) error {
		if err := applyConfig(c, flags); err != nil {
			return err
		}
		if err := checkRequired(c, required); err != nil {
			return err
		}
		if err := checkArgs(c); err != nil {
			return err
		}
		if err := openLog(c, stderr); err != nil {
			return err
		}
		logConfig(c, flags)
		if before != nil {
			return before(c)
		}
		return nil
	}
}

// nameCommands has the commands below of be asked for by name.
func nameCommands(list []*cli.Command, of string) {
	for _, c := range list {
		path := of + " " + c.Name
		if len(c.Subcommands) > 0 && c.Action == nil {
			c.HideHelpCommand = true // else it answers, in words of its own
			c.Action = func(c *cli.Context) error { return noCommand(c, path) }
		}
		nameCommands(c.Subcommands, path)
	}
}

// noCommand is what a program of commands does when it is given none of them.
func noCommand(c *cli.Context, of string) error {
	if c.NArg() == 0 {
		return cli.ShowSubcommandHelp(c)
	}
	return Usagef("there is no command %q: %s --help lists them", c.Args().First(), of)
}

// sentence makes one line of err, whatever libraries put into it.
func sentence(err error) string {
	return strings.Join(strings.Fields(explainNet(err).Error()), " ")
}
