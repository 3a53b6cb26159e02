package app

import "runtime/debug"

// Version returns the version of the program: that of the module, which the go
// command takes from the tag or commit it built, with "+dirty" after it where
// the tree had changes. It is "devel" for a build without that knowledge.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
