package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tributary-live/tributary/transport/moqt"
)

func (s *Server) lookup(r *http.Request, escaped string) (any, error) {
	ns, err := ParseNamespace(escaped)
	if err != nil {
		return nil, err
	}
	found, err := s.cfg.Store.Lookup(r.Context(), ns)
	if err != nil {
		return nil, err
	}
	answer := lookupAnswer{Namespace: found[0].Namespace.String(), URL: found[0].URL}
	now := time.Now()
	for _, o := range found {
		answer.Origins = append(answer.Origins, originAnswer{Node: o.Node, URL: o.URL, ExpiresMillis: o.Expires.Sub(now).Milliseconds()})
	}
	return answer, nil
}

func (s *Server) list(r *http.Request) (any, error) {
	query := r.URL.Query()
	prefix, err := ParseNamespace(query.Get("prefix"))
	if err != nil {
		return nil, err
	}
	limit := maxList
	if l := query.Get("limit"); l != "" {
		if limit, err = strconv.Atoi(l); err != nil || limit < 1 {
			return nil, fmt.Errorf("%w: limit %.20q", ErrInvalid, l)
		}
		limit = min(limit, maxList)
	}
	found, err := s.cfg.Store.List(r.Context(), prefix, limit)
	if err != nil {
		return nil, err
	}
	answer := listAnswer{Origins: make([]originAnswer, 0, len(found)), Truncated: len(found) == limit}
	now := time.Now()
	for _, o := range found {
		answer.Origins = append(answer.Origins, originAnswer{o.Namespace.String(), o.Node, o.URL, o.Expires.Sub(now).Milliseconds()})
	}
	return answer, nil
}

// change is POST, PATCH and DELETE of one record.
func (s *Server) change(w http.ResponseWriter, r *http.Request, escaped string) (any, error) {
	ns, err := ParseNamespace(escaped)
	if err != nil {
		return nil, err
	}
	var req leaseRequest
	if err := readBody(w, r, maxBodyBytes, &req); err != nil {
		return nil, err
	}
	lease, err := s.check(r.Method, req)
	if err != nil {
		return nil, err
	}
	if err := s.apply(r.Context(), r.Method, ns, req, lease); err != nil || r.Method == http.MethodDelete {
		return nil, err
	}
	return leaseAnswer{LeaseMillis: lease.TTL.Milliseconds()}, nil
}

// check looks at all of a request but its namespaces.
func (s *Server) check(method string, req leaseRequest) (Lease, error) {
	if err := checkNode(req.Node); err != nil {
		return Lease{}, err
	}
	lease := Lease{Key: req.LeaseKey, TTL: s.cfg.Lease}
	if req.TTLMillis != 0 && method != http.MethodDelete {
		// Cut before it is multiplied, else it may overflow.
		ms := min(max(req.TTLMillis, -1), s.cfg.MaxLease.Milliseconds())
		lease.TTL = time.Duration(ms) * time.Millisecond
	}
	if err := lease.Check(); err != nil {
		return Lease{}, err
	}
	lease.TTL = max(lease.TTL, s.cfg.MinLease)
	if method != http.MethodPost {
		return lease, nil
	}
	if err := checkURL(req.URL); err != nil {
		return Lease{}, err
	}
	if len(s.cfg.AllowRelays) > 0 && !hostAllowed(s.cfg.AllowRelays, req.URL) {
		return Lease{}, fmt.Errorf("%w: %s", ErrRefused, req.URL)
	}
	return lease, nil
}

func (s *Server) apply(ctx context.Context, method string, ns moqt.Namespace, req leaseRequest, lease Lease) error {
	if err := checkNamespace(ns); err != nil {
		return err
	}
	switch method {
	case http.MethodPost:
		return s.cfg.Store.Put(ctx, Origin{Namespace: ns, Node: req.Node, URL: req.URL}, lease)
	case http.MethodPatch:
		return s.cfg.Store.Refresh(ctx, ns, req.Node, lease)
	}
	return s.cfg.Store.Delete(ctx, ns, req.Node, lease.Key)
}

// batch is POST and DELETE of many records of one node. What fails does so
// alone, but for a store that cannot be reached: then the rest is not tried.
func (s *Server) batch(w http.ResponseWriter, r *http.Request) (any, error) {
	var req leaseRequest
	if err := readBody(w, r, maxBatchBytes, &req); err != nil {
		return nil, err
	}
	if n := len(req.Namespaces); n == 0 || n > maxBatch {
		return nil, fmt.Errorf("%w: %d namespaces: want 1 to %d", ErrInvalid, n, maxBatch)
	}
	lease, err := s.check(r.Method, req)
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(req.Namespaces))
	g, ctx := errgroup.WithContext(r.Context())
	g.SetLimit(8)
	for i, printed := range req.Namespaces {
		g.Go(func() error {
			ns, err := moqt.ParseNamespace(printed)
			if err != nil {
				errs[i] = fmt.Errorf("%w: %w", ErrInvalid, err)
				return nil
			}
			if err := s.apply(ctx, r.Method, ns, req, lease); err != nil {
				errs[i] = err
				if errors.Is(err, ErrUnavailable) {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	answer := leaseAnswer{LeaseMillis: lease.TTL.Milliseconds()}
	var last error
	for i, err := range errs {
		if err != nil {
			status, text := describe(err)
			answer.Failed = append(answer.Failed, failure{req.Namespaces[i], status, text})
			if status >= 500 {
				last = err
			}
		}
	}
	if last != nil {
		s.cfg.Logger.Warn("origin batch failed in part", "method", r.Method, "failed", len(answer.Failed), "of", len(errs), "err", last)
	}
	return answer, nil
}
