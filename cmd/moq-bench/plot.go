package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tributary-live/tributary/bench/figures"
	"github.com/tributary-live/tributary/internal/app"
)

func plotCommand() *cli.Command {
	return &cli.Command{
		Name:      "plot",
		Usage:     "draw what the other commands have printed",
		ArgsUsage: "FILE...",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "out", Value: ".", Usage: "write pictures into `DIRECTORY`"},
			&cli.StringFlag{Name: "page", Usage: "put the table of bars into this Markdown `FILE`, between <!-- figures --> and <!-- end of figures -->"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return app.Usagef("plot needs the files that the other commands have printed to")
			}
			var texts []io.Reader
			for _, name := range c.Args().Slice() {
				b, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				texts = append(texts, strings.NewReader(string(b)+"\n"))
			}
			results, err := figures.Read(io.MultiReader(texts...))
			if err != nil {
				return err
			}
			written, err := results.Write(c.String("out"), c.String("page"))
			for _, name := range written {
				fmt.Fprintln(c.App.Writer, name)
			}
			return err
		},
	}
}
