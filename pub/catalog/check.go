package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

var packagings = []string{
	PackagingCMAF, PackagingLOC, PackagingMediaTimeline, PackagingEventTimeline, PackagingLog, PackagingMetrics,
}

// Check reports all that the drafts forbid in c, joined, or nil. It is meant
// for what one writes oneself.
func (c *Catalog) Check() error {
	if len(c.DeltaUpdate) > 0 {
		return c.checkDelta()
	}
	var errs []error
	if c.Version == "" {
		errs = append(errs, errors.New("catalog: no version"))
	}
	errs = append(errs, c.checkNames())
	for _, t := range c.Tracks {
		for _, problem := range c.checkTrack(t) {
			errs = append(errs, fmt.Errorf("catalog: track %q: %s", t.Name, problem))
		}
	}
	return errors.Join(errs...)
}

func (c *Catalog) checkTrack(t Track) (problems []string) {
	say := func(wrong bool, problem string) {
		if wrong {
			problems = append(problems, problem)
		}
	}
	media := t.Packaging == PackagingCMAF || t.Packaging == PackagingLOC
	av := media && (t.Role == RoleVideo || t.Role == RoleAudio)
	say(!slices.Contains(packagings, t.Packaging), "packaging is not of the drafts")
	say((t.EventType != "") != (t.Packaging == PackagingEventTimeline), "eventType belongs to event timelines, and they need it")
	say(t.TargetLatency != 0 && t.Buffers != nil, "targetLatency and buffers exclude each other")
	say(t.IsLive && t.TrackDuration != 0, "trackDuration of a live track")
	say(av && t.Codec == "", "no codec")
	say(av && t.Bitrate <= 0, "no bitrate")
	say(av && t.Role == RoleAudio && t.SampleRate <= 0, "no samplerate")
	say(av && t.Role == RoleAudio && t.ChannelConfig == "", "no channelConfig")
	say(t.ParentName != "" || t.ParentNamespace != "", "parentName outside a clone")
	say(t.InitRef != "" && !slices.ContainsFunc(c.InitDataList, func(d InitData) bool { return d.ID == t.InitRef }), "initRef names nothing")
	for _, ref := range t.ContentProtectionRefIDs {
		say(!slices.ContainsFunc(c.ContentProtections, func(p ContentProtection) bool { return p.RefID == ref }), "contentProtectionRefIDs name nothing")
	}
	return problems
}

func (c *Catalog) checkDelta() error {
	var errs []error
	if c.Version != "" || c.Tracks != nil {
		errs = append(errs, errors.New("catalog: a delta with version or tracks"))
	}
	for _, op := range c.DeltaUpdate {
		if !slices.Contains([]string{"add", "remove", "clone", "update"}, op.Op) {
			errs = append(errs, fmt.Errorf("catalog: delta operation %.20q is not of the drafts", op.Op))
		}
		for _, raw := range op.Tracks {
			var t Track
			if err := json.Unmarshal(raw, &t); err != nil {
				errs = append(errs, fmt.Errorf("catalog: delta %.20q: %w", op.Op, err))
			} else if t.Name == "" || op.Op == "clone" && t.ParentName == "" {
				errs = append(errs, fmt.Errorf("catalog: delta %.20q of a track without name or parent", op.Op))
			}
		}
	}
	return errors.Join(errs...)
}
