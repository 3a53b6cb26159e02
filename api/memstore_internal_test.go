package api

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tributary-live/tributary/transport/moqt"
)

// Names that are gone take no memory.
func TestMemStoreFreesNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(MemStore)
		for i := range 100 {
			o := Origin{Namespace: moqt.NS("n", fmt.Sprint(i)), Node: "r", URL: "moqt://r"}
			if err := s.Put(t.Context(), o, Lease{Key: "0123456789abcdef", TTL: time.Minute}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if n := s.Len(); n != 0 || s.names.Len() != 0 {
			t.Errorf("%d records and %d names, want none", n, s.names.Len())
		}
	})
}
