//go:build unix

package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// widthOf returns the columns of the terminal f, or what most have.
func widthOf(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return usualWidth
	}
	return int(size.Col)
}
