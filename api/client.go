package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// ClientConfig says how a [Client] reaches its server.
type ClientConfig struct {
	// URL is the server's, http or https; a path in it goes before "/origin/".
	URL string
	// Token is the bearer token. If empty, none is sent.
	Token string
	// LeaseKey is the key of every record that the client makes, 16 to 128
	// printable characters. If empty, it is random, so that a process started
	// again waits for the end of the leases it had before.
	LeaseKey string
	// HTTP does the requests. If nil, it is a client of its own that gives up
	// after 2 seconds.
	HTTP *http.Client
}

// Client speaks to a [Server]. Its errors are those of package api: an answer
// is a [*StatusError], and a server that cannot be reached, or that answers
// nonsense, is [ErrUnavailable]. Its methods may be called concurrently.
type Client struct {
	base  string
	token string
	key   string
	http  *http.Client
}

// NewClient returns a client for cfg. It connects to nothing yet.
func NewClient(cfg ClientConfig) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("API URL %q: want http://host:port or https://host:port", cfg.URL)
	}
	c := &Client{base: strings.TrimRight(cfg.URL, "/"), token: cfg.Token, key: cfg.LeaseKey, http: cfg.HTTP}
	if c.key == "" {
		c.key = rand.Text()
	}
	if err := checkKey(c.key); err != nil {
		return nil, err
	}
	if c.http == nil {
		c.http = &http.Client{
			Timeout: 2 * time.Second,
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
				MaxIdleConnsPerHost: 8,
				IdleConnTimeout:     time.Minute,
				ForceAttemptHTTP2:   true,
			},
			// A redirect would take the token to a server nobody named.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return c, nil
}

// Put adds o or renews it. A ttl of zero asks for the server's default lease.
func (c *Client) Put(ctx context.Context, o Origin, ttl time.Duration) error {
	if err := o.Check(); err != nil {
		return err
	}
	req := leaseRequest{Node: o.Node, URL: o.URL, LeaseKey: c.key, TTLMillis: ttl.Milliseconds()}
	return c.do(ctx, http.MethodPost, "/origin/"+o.Namespace.String(), req, nil)
}

// Refresh makes an existing record live for ttl from now.
func (c *Client) Refresh(ctx context.Context, ns moqt.Namespace, node string, ttl time.Duration) error {
	if err := (Origin{Namespace: ns, Node: node, URL: "moqt://-"}).Check(); err != nil {
		return err
	}
	req := leaseRequest{Node: node, LeaseKey: c.key, TTLMillis: ttl.Milliseconds()}
	return c.do(ctx, http.MethodPatch, "/origin/"+ns.String(), req, nil)
}

// Delete removes the record of node for ns.
func (c *Client) Delete(ctx context.Context, ns moqt.Namespace, node string) error {
	if err := (Origin{Namespace: ns, Node: node, URL: "moqt://-"}).Check(); err != nil {
		return err
	}
	return c.do(ctx, http.MethodDelete, "/origin/"+ns.String(), leaseRequest{Node: node, LeaseKey: c.key}, nil)
}

// Lookup returns the origins of ns or of its longest prefix that has any, at
// least one; else it returns [ErrNotFound].
func (c *Client) Lookup(ctx context.Context, ns moqt.Namespace) ([]Origin, error) {
	if ns.Len() == 0 {
		return nil, ErrNotFound
	}
	var answer lookupAnswer
	if err := c.do(ctx, http.MethodGet, "/origin/"+ns.String(), nil, &answer); err != nil {
		return nil, err
	}
	for i := range answer.Origins {
		answer.Origins[i].Namespace = answer.Namespace
	}
	found, err := origins(answer.Origins)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	return found, err
}

// List returns the origins of the namespaces under prefix, at most limit; zero
// is the most that the server gives.
func (c *Client) List(ctx context.Context, prefix moqt.Namespace, limit int) ([]Origin, error) {
	query := url.Values{"prefix": {prefix.String()}}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	var answer listAnswer
	if err := c.do(ctx, http.MethodGet, "/origins?"+query.Encode(), nil, &answer); err != nil {
		return nil, err
	}
	return origins(answer.Origins)
}

// Close closes connections that are kept for the next request. The client may
// still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// origins checks what the server sent: its URLs are about to be dialled.
func origins(answers []originAnswer) ([]Origin, error) {
	now := time.Now()
	var found []Origin
	for _, a := range answers {
		ns, err := moqt.ParseNamespace(a.Namespace)
		if err != nil {
			return nil, fmt.Errorf("%w: bad answer: %w", ErrUnavailable, err)
		}
		ms := min(max(a.ExpiresMillis, 0), time.Hour.Milliseconds())
		o := Origin{Namespace: ns, Node: a.Node, URL: a.URL, Expires: now.Add(time.Duration(ms) * time.Millisecond)}
		if err := o.Check(); err != nil {
			return nil, fmt.Errorf("%w: bad answer: %v", ErrUnavailable, err)
		}
		found = append(found, o)
	}
	return found, nil
}

// putAll and deleteAll do for many namespaces of one node, at most maxBatch,
// what Put and Delete do for one. They return an error for all of them, or the
// errors of those that failed; putAll also the lease that the server grants.
func (c *Client) putAll(ctx context.Context, node, url string, ttl time.Duration, all []moqt.Namespace) (time.Duration, map[moqt.Namespace]error, error) {
	return c.batch(ctx, http.MethodPost, leaseRequest{Node: node, URL: url, LeaseKey: c.key, TTLMillis: ttl.Milliseconds()}, all)
}

func (c *Client) deleteAll(ctx context.Context, node string, all []moqt.Namespace) (map[moqt.Namespace]error, error) {
	_, failed, err := c.batch(ctx, http.MethodDelete, leaseRequest{Node: node, LeaseKey: c.key}, all)
	return failed, err
}

func (c *Client) batch(ctx context.Context, method string, req leaseRequest, all []moqt.Namespace) (time.Duration, map[moqt.Namespace]error, error) {
	for _, ns := range all {
		req.Namespaces = append(req.Namespaces, ns.String())
	}
	var answer leaseAnswer
	if err := c.do(ctx, method, "/origins", req, &answer); err != nil {
		return 0, nil, err
	}
	failed := make(map[moqt.Namespace]error, len(answer.Failed))
	for _, f := range answer.Failed {
		if ns, err := moqt.ParseNamespace(f.Namespace); err == nil {
			failed[ns] = &StatusError{f.Status, f.Error}
		}
	}
	return time.Duration(answer.LeaseMillis) * time.Millisecond, failed, nil
}

// maxAnswerBytes is above the largest list: 1000 origins of 2 KiB of URL and
// names of some kB.
const maxAnswerBytes = 8 << 20

func (c *Client) do(ctx context.Context, method, path string, body, answer any) error {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, reader)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return unavailable(ctx, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return unavailable(ctx, err)
	case len(data) > maxAnswerBytes:
		return fmt.Errorf("%w: an answer of more than %d bytes", ErrUnavailable, maxAnswerBytes)
	case resp.StatusCode/100 != 2:
		return statusError(resp.StatusCode, data)
	case answer == nil:
		return nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("%w: bad answer: %w", ErrUnavailable, err)
	}
	return nil
}

// unavailable keeps apart the caller who gave up from the server that is away.
func unavailable(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

func statusError(code int, body []byte) error {
	var answer errorAnswer
	if json.Unmarshal(body, &answer) != nil || answer.Error == "" {
		// Not our server's words: a proxy's page, or another service at this
		// address. Its 404 must not pass for "nobody has this namespace".
		return fmt.Errorf("%w: %s (%d)", ErrUnavailable, http.StatusText(code), code)
	}
	if len(answer.Error) > 500 {
		answer.Error = answer.Error[:500]
	}
	return &StatusError{code, answer.Error}
}
