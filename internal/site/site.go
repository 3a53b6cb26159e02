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

// Handler serves files, and the fingerprint of the relay's certificate: the hex
// SHA-256 and nothing else, not even a line's end, as other projects' clients
// expect it at /certificate.sha256 and at /fingerprint. /fingerprints lists
// those to come too, one a line, for a client that will not ask again.
//
// Fingerprints returns the hashes of the self-signed certificates, the one in
// use first; if nil or empty, the certificate is one that browsers trust by
// themselves and these paths are 404.
func Handler(files fs.FS, fingerprints func() []string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", noStore(http.FileServerFS(files)))
	hash := func(text func(list []string) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
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
			w.Write([]byte(text(list)))
		}
	}
	first := hash(func(list []string) string { return list[0] })
	mux.HandleFunc("GET /certificate.sha256", first)
	mux.HandleFunc("GET /fingerprint", first)
	mux.HandleFunc("GET /fingerprints", hash(func(list []string) string { return strings.Join(list, "\n") + "\n" }))
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
