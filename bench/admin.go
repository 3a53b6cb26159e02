package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// page asks the server's admin listener for a page.
func (s *server) page(ctx context.Context, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+path, nil)
	if err != nil {
		return nil, err
	}
	req.Close = true
	rsp, err := s.pages.Do(req)
	if err != nil {
		return nil, err
	}
	if rsp.StatusCode != http.StatusOK {
		rsp.Body.Close()
		return nil, fmt.Errorf("%s: HTTP status %d", path, rsp.StatusCode)
	}
	return rsp.Body, nil
}

// fetch writes a page to a file.
func (s *server) fetch(ctx context.Context, path, file string) error {
	body, err := s.page(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, body)
	if closed := out.Close(); err == nil {
		err = closed
	}
	return err
}

// collect has the server collect its garbage.
func (s *server) collect(ctx context.Context) error {
	body, err := s.page(ctx, "/debug/pprof/heap?gc=1")
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(io.Discard, body)
	return err
}

// metrics returns the server's metrics without those that have labels.
func (s *server) metrics(ctx context.Context) (map[string]float64, error) {
	body, err := s.page(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	found := make(map[string]float64)
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			found[name] = v
		}
	}
	return found, lines.Err()
}
