package bonds

import (
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	var m Meter
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	if c := m.Copy(start); c != (Copy{}) {
		t.Errorf("of nothing it shows %+v", c)
	}
	for i := range 30 { // 10 a second, 7 in a group, every third of them second
		m.Note(uint64(i/7), 100, time.Duration(max(0, i%3-1))*48*time.Millisecond, at(100*i))
	}
	c := m.Copy(at(2900))
	if c.Objects != 30 || c.Picks != 20 || c.Bytes != 3000 || c.FPS != 10.5 || c.Gap != 100 || c.Groups != 700 {
		t.Errorf("it shows %+v, want 30 objects of which 20 were first, 10 a second and a group each 700 ms", c)
	}
	if c.Lateness < 5 || c.Lateness > 25 {
		t.Errorf("it shows %v ms behind the first, want about 16", c.Lateness)
	}
	if c = m.Copy(at(3400)); c.Gap != 500 || c.FPS != 8 {
		t.Errorf("half a second later it shows %+v, want a gap of 500 ms and 8 a second", c)
	}
	if c = m.Copy(at(60_000)); c.Gap != 2000 || c.FPS != 0 || c.Objects != 30 {
		t.Errorf("a minute later it shows %+v, want a gap of two seconds and nothing each second", c)
	}
	if gap, _ := m.Note(4, 100, 0, at(60_500)); gap != 57_600*time.Millisecond {
		t.Errorf("the next object ends a gap of %v, want one of 57.6 s", gap)
	}
	if gap, _ := m.Note(4, 100, 0, at(60_900)); gap != 0 {
		t.Errorf("a gap of %v is told of a copy that has had one object in two seconds", gap)
	}
	for range 2 * maxMetered {
		m.Note(4, 1, 0, at(61_000))
	}
	if len(m.times) > maxMetered {
		t.Errorf("%d times are held", len(m.times))
	}
}
