// Package web holds the browser player and its page: plain ES modules that a
// relay serves as they are.
package web

import (
	"embed"
	"io/fs"
)

//go:embed index.html app.js style.css icon.svg moqt/*.js player/*.js
var files embed.FS

// Files are the files to serve, index.html at the root. It is read-only and
// safe for concurrent use.
var Files fs.FS = files
