package site

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"
)

func TestHandler(t *testing.T) {
	files := fstest.MapFS{"index.html": {Data: []byte("page")}}
	tests := []struct {
		path   string
		hashes []string
		status int
		body   string
	}{
		{"/", []string{"aa", "bb"}, http.StatusOK, "page"},
		{"/", nil, http.StatusOK, "page"},
		{"/certificate.sha256", []string{"aa", "bb"}, http.StatusOK, "aa"},
		{"/fingerprint", []string{"aa", "bb"}, http.StatusOK, "aa"},
		{"/fingerprints", []string{"aa", "bb"}, http.StatusOK, "aa\nbb\n"},
		{"/certificate.sha256", nil, http.StatusNotFound, "the certificate is not self-signed; connect without a hash\n"},
		{"/fingerprints", nil, http.StatusNotFound, "the certificate is not self-signed; connect without a hash\n"},
		{"/absent", nil, http.StatusNotFound, "404 page not found\n"},
	}
	for _, tt := range tests {
		h := Handler(files, func() []string { return tt.hashes })
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, nil))
		r := w.Result()
		body, err := io.ReadAll(r.Body)
		if r.StatusCode != tt.status || string(body) != tt.body || err != nil {
			t.Errorf("GET %s with hashes %q = %d %q, want %d %q", tt.path, tt.hashes, r.StatusCode, body, tt.status, tt.body)
		}
		// A page of another relay asks too.
		if cors := r.Header.Get("Access-Control-Allow-Origin"); (cors == "*") != (tt.path != "/" && tt.path != "/absent") {
			t.Errorf("GET %s: Access-Control-Allow-Origin = %q", tt.path, cors)
		}
	}
	w := httptest.NewRecorder()
	Handler(files, nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/fingerprint", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("GET /fingerprint without certificates = %d, want 404", w.Code)
	}
}
