package api_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/api"
	"github.com/tributary-live/tributary/api/storetest"
	"github.com/tributary-live/tributary/transport/moqt"
)

func TestMemStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Harness {
		return storetest.Harness{Store: new(api.MemStore), Advance: time.Sleep} // virtual
	}, synctest.Test)
}

// A full store takes a new record when an old one has ended, and keeps none
// that have.
func TestMemStoreIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &api.MemStore{MaxRecords: 100}
		put := func(i int) error {
			o := api.Origin{Namespace: moqt.NS("n", fmt.Sprint(i)), Node: "r", URL: "moqt://r"}
			return s.Put(t.Context(), o, api.Lease{Key: "0123456789abcdef", TTL: time.Minute})
		}
		for i := range 100 {
			if err := put(i); err != nil {
				t.Fatal(err)
			}
		}
		if err := put(100); !errors.Is(err, api.ErrFull) {
			t.Errorf("Put into a full store = %v, want ErrFull", err)
		}
		if err := put(7); err != nil {
			t.Errorf("renewal in a full store = %v", err)
		}
		time.Sleep(time.Minute)
		if err := put(100); err != nil || s.Len() != 1 {
			t.Errorf("after a minute: Put = %v, Len = %d, want 1", err, s.Len())
		}
	})
}

// A record that was renewed does not keep those before it, which have ended.
func TestMemStoreForgetsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(api.MemStore)
		put := func(node string, ttl time.Duration) {
			t.Helper()
			o := api.Origin{Namespace: moqt.NS("a"), Node: node, URL: "moqt://r"}
			if err := s.Put(t.Context(), o, api.Lease{Key: "0123456789abcdef", TTL: ttl}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 10 {
			put(fmt.Sprint(i), time.Duration(i+1)*time.Minute)
		}
		put("0", time.Hour)
		time.Sleep(10 * time.Minute)
		if n := s.Len(); n != 1 {
			t.Errorf("%d records, want the renewed one alone", n)
		}
	})
}
