//go:build !unix

package main

import "os"

// widthOf returns what most terminals have.
func widthOf(*os.File) int { return usualWidth }
