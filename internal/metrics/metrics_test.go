package metrics

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func TestNewRegistry(t *testing.T) {
	for range 2 { // several in one process do not collide
		w := httptest.NewRecorder()
		promhttp.HandlerFor(NewRegistry("moq-test", "v1.2.3"), promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		text, _ := io.ReadAll(w.Body)
		for _, want := range []string{`moq_build_info{program="moq-test",version="v1.2.3"} 1`, "go_goroutines ", "process_open_fds "} {
			if !strings.Contains(string(text), want) {
				t.Errorf("metrics have no %s", want)
			}
		}
	}
}
