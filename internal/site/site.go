// Package site is the page that a relay serves beside its sessions: the player,
// and the fingerprint by which a browser trusts a self-signed certificate.
//
// The page is on the TCP port of the same number as the relay's UDP port, in
// plain HTTP and in HTTPS: the first byte tells them apart. A browser treats
// http://localhost as a secure place, so the player runs there without a
// warning about the certificate.
package site

import (
	"io/fs"
	"net/http"
	"strings"
)

// Handler serves files, and the fingerprints as /certificate.sha256 and
// /fingerprint. Fingerprints returns the hex SHA-256 of each self-signed
// certificate in use, the newest first; if nil or empty, the certificate is one
// that browsers trust by themselves and the two paths are 404.
func Handler(files fs.FS, fingerprints func() []string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", noStore(http.FileServerFS(files)))
	hash := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Cache-Control", "no-store")
		var list []string
		if fingerprints != nil {
			list = fingerprints()
		}
		if len(list) == 0 {
			http.Error(w, "the certificate is not self-signed; connect without a hash", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if strings.HasPrefix(r.URL.Path, "/fingerprint") {
			list = list[:1] // the older name promises one hash and nothing else
			w.Write([]byte(list[0]))
			return
		}
		w.Write([]byte(strings.Join(list, "\n") + "\n"))
	}
	mux.HandleFunc("GET /certificate.sha256", hash)
	mux.HandleFunc("GET /fingerprint", hash)
	return mux
}

// noStore keeps browsers from running yesterday's player against today's relay.
func noStore(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, r)
	})
}
