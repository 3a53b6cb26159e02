package relay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tributary-live/tributary/relay"
	"github.com/tributary-live/tributary/transport/bond"
	"github.com/tributary-live/tributary/transport/moqt"
)

// TestBondFigures shows the operator what two members have brought, who tried to be
// one, and who has gone.
func TestBondFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		r := newRelay(t, relay.Config{Metrics: relay.NewMetrics(reg)})
		m, b := newBond(t, r, moqt.Draft18, 2)
		watch(t, r)
		stranger := plug(t, r, moqt.Draft18, 5)
		forged := stranger.proof(b)
		clear(forged.Proof)
		stranger.ask(forged)
		synctest.Wait()
		payload := random(1, 0, 10_000)
		m[0].send(piece(1, 0, payload), payload, [2]int{0, 4_000}, [2]int{4_000, 7_000})
		synctest.Wait()
		m[1].send(piece(1, 0, payload), payload, [2]int{5_000, 10_000}) // 2,000 of it are there
		payload = random(1, 1, 500)
		m[0].send(piece(1, 1, payload), payload, [2]int{0, 400})
		synctest.Wait()
		s := r.State().Bonds[0]
		if s.Objects != 1 || s.Lost != 0 || s.Bytes != 10_400 || s.Duplicate != 2_000 || s.Tracks != 1 || s.Held == 0 {
			t.Errorf("the bond is %+v", s)
		}
		for i, want := range []struct {
			cost                      bond.Cost
			chunks, bytes, duplicates int64
		}{{bond.Primary, 3, 7_400, 0}, {bond.Secondary, 1, 3_000, 2_000}} {
			got := s.Members[i]
			if got.Number != uint64(i) || got.Cost != want.cost.String() || got.Chunks != want.chunks || got.Bytes != want.bytes || got.Duplicate != want.duplicates {
				t.Errorf("member %d is %+v, want %+v", i, got, want)
			}
		}
		figures := func(want map[string]float64) {
			t.Helper()
			got := gather(t, reg)
			for name, v := range want {
				if got[name] != v {
					t.Errorf("%s is %v, want %v", name, got[name], v)
				}
			}
		}
		figures(map[string]float64{
			"moq_relay_bonds": 1, "moq_relay_bond_members primary": 1, "moq_relay_bond_members secondary": 1,
			"moq_relay_bond_joins_total joined": 2, "moq_relay_bond_joins_total unproven": 1, "moq_relay_bond_chunks_total": 4,
			"moq_relay_bond_chunk_bytes_total fresh": 10_400, "moq_relay_bond_chunk_bytes_total duplicate": 2_000,
			"moq_relay_bond_objects_total whole": 1, "moq_relay_bond_objects_total lost": 0, "moq_relay_bond_faults_total": 0,
		})
		m[1].send(piece(1, 1, payload[:400]), payload, [2]int{0, 100}) // the object has other bytes, and more
		m[1].wantPutOut(t)
		m[0].sess.Close()
		time.Sleep(time.Minute)
		figures(map[string]float64{
			"moq_relay_bonds": 0, "moq_relay_bond_members primary": 0, "moq_relay_bond_members secondary": 0,
			"moq_relay_bond_objects_total whole": 1, "moq_relay_bond_objects_total lost": 1, "moq_relay_bond_faults_total": 1, "moq_relay_bond_held_bytes": 0,
		})
	})
}

// gather returns the values of gauges and counters, by their name and the value of
// their label, if they have one.
func gather(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return got
}
