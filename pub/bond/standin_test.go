package bond

import (
	"errors"
	"testing"
	"time"
)

// TestStandInLook has a path to a relay of its own look at a cheaper one, and at one
// that is not.
func TestStandInLook(t *testing.T) {
	for _, tt := range []struct {
		name    string
		member  bool // the cheaper path is one of the bond
		state   State
		allowed Cost
		tried   bool
		late    bool // the session has been there for a while
		want    lack
	}{
		{"well", true, Live, Primary, true, true, enough},
		{"new", true, Fresh, Primary, true, true, enough},
		{"just back", true, Wary, Primary, true, true, enough},
		{"silent", true, Suspect, Backup, true, true, failed},
		{"short, for the other", true, Live, Secondary, true, true, enough},
		{"short", true, Live, Backup, true, true, short},
		{"not there yet", false, Fresh, Backup, false, false, enough},
		{"not there", false, Fresh, Backup, false, true, failed},
		{"refused", false, Fresh, Backup, true, false, failed},
	} {
		b := New(Config{URL: "moqt://one"})
		cheap, own, dear := &route{Path: Path{Name: "a"}, tried: tt.tried}, &route{Path: Path{Name: "b", Cost: Backup, URL: "moqt://two"}, tried: true}, &route{Path: Path{Name: "c", Cost: Backup}, tried: true}
		if !tt.member && tt.tried {
			cheap.err = errors.New("unreachable")
		}
		b.paths = []*route{cheap, own, dear}
		began := time.Now()
		join := func(id uint64, r *route, state State) {
			b.members[id] = &connection{b: b, route: r, id: id}
			b.sched.AddMember(id, r.Name, r.Cost, began)
			b.sched.members[id].path.state = state
		}
		if tt.member {
			join(1, cheap, tt.state)
		}
		join(2, dear, Live) // as good as the one that looks
		b.sched.allowed = tt.allowed
		w := &standIn{b: b, c: &connection{b: b, route: own}, began: began, ears: make(map[*connection]*Ear)}
		now := began
		if tt.late {
			now = now.Add(standInGrace)
		}
		if got := w.look(now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestStandInPatience neither begins nor ends a publication for what passes.
func TestStandInPatience(t *testing.T) {
	for _, tt := range []struct {
		was            lack
		long           time.Duration
		needed, spared bool
	}{
		{failed, standInFail - 1, false, false},
		{failed, standInFail, true, false},
		{short, standInShort - 1, false, false},
		{short, standInShort, true, false},
		{enough, standInRest - 1, false, false},
		{enough, standInRest, false, true},
	} {
		w := &standIn{was: tt.was, since: epoch}
		if needed, spared := w.needed(epoch.Add(tt.long)), w.spared(epoch.Add(tt.long)); needed != tt.needed || spared != tt.spared {
			t.Errorf("%v for %v: needed %v, spared %v, want %v, %v", tt.was, tt.long, needed, spared, tt.needed, tt.spared)
		}
	}
}
