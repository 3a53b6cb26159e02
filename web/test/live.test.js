import assert from 'node:assert/strict';
import test from 'node:test';
import { LiveControl, intersect } from '../player/live.js';
import { Timeline } from '../player/timeline.js';

/** Plays seconds of perfect real time: the buffer's end and the playhead both advance. */
function play(control, { from = 0, until, lead, start = 0, step = 50 }) {
  let time = null;
  const seeks = [];
  const rates = new Set();
  for (let now = from; now <= until; now += step) {
    const end = 100 + now / 1000;
    time ??= end - lead;
    const { rate, seekTo } = control.step({ now, time, ranges: [[start, end]], paused: false });
    if (seekTo !== null) {
      seeks.push(seekTo);
      time = seekTo;
    }
    rates.add(rate);
    time += (step / 1000) * rate;
  }
  return { lead: 100 + until / 1000 - time, seeks, rates };
}

test('the first step goes to the live edge', () => {
  const control = new LiveControl(0.15);
  assert.deepEqual(control.step({ now: 0, time: 0, ranges: [[90, 91]], paused: false }), { rate: 1, seekTo: 90.85 });
});

test('with less buffered than is aimed at, it starts where it can', () => {
  const control = new LiveControl(0.15);
  assert.equal(control.step({ now: 0, time: 0, ranges: [[90, 90.03]], paused: false }).seekTo, 90);
});

test('a small lead too much is played away without a seek', () => {
  const control = new LiveControl(0.15);
  play(control, { until: 3000, lead: 0.15 });
  const { lead, seeks, rates } = play(control, { from: 3050, until: 20_000, lead: 0.6 });
  assert.deepEqual(seeks, []);
  assert.ok(lead > 0.1 && lead < 0.25, `lead ${lead}`);
  assert.ok(Math.max(...rates) <= 1.1);
});

test('too small a lead is regained slowly', () => {
  const control = new LiveControl(0.15);
  play(control, { until: 3000, lead: 0.15 });
  const { lead, rates } = play(control, { from: 3050, until: 12_000, lead: 0.03 });
  assert.ok(lead > 0.09, `lead ${lead}`);
  assert.ok(Math.min(...rates) >= 0.95);
});

test('far behind, it seeks', () => {
  const control = new LiveControl(0.15);
  play(control, { until: 3000, lead: 0.15 });
  const { seeks, lead } = play(control, { from: 3050, until: 5000, lead: 4 });
  assert.equal(seeks.length, 1);
  assert.ok(lead < 0.3);
});

test('holes are jumped over', () => {
  const control = new LiveControl(0.15);
  control.step({ now: 0, time: 0, ranges: [[0, 1]], paused: false });
  const at = (now, time, ranges) => control.step({ now, time, ranges, paused: false }).seekTo;
  assert.equal(at(3000, 0.9, [[0, 1], [1.5, 1.8]]), null, 'not before the hole is reached');
  assert.equal(at(3100, 0.99, [[0, 1], [1.5, 2]]), 1.85);
  assert.equal(at(5000, 1.2, [[0, 1], [1.5, 1.55]]), 1.5, 'nor short of the next range');
});

test('timestamps that began anew are followed back', () => {
  const control = new LiveControl(0.15);
  play(control, { until: 3000, lead: 0.15 });
  assert.equal(control.step({ now: 4000, time: 103, ranges: [[0, 0.5]], paused: false }).seekTo, 0.35);
});

test('a paused playhead stays', () => {
  const control = new LiveControl(0.15);
  assert.deepEqual(control.step({ now: 0, time: 0, ranges: [[90, 91]], paused: true }), { rate: 1, seekTo: null });
});

test('underruns raise what is aimed at, calm lowers it, both within bounds', () => {
  const control = new LiveControl(0.1);
  play(control, { until: 1000, lead: 0.1 });
  for (let i = 0; i < 20; i++) control.underrun(1000 + i);
  assert.equal(control.target, 1);
  play(control, { from: 1100, until: 600_000, lead: 1 });
  assert.ok(Math.abs(control.target - 0.1) < 1e-9, `target ${control.target}`);
});

test('an underrun at the very start says nothing', () => {
  const control = new LiveControl(0.1);
  control.underrun(0);
  control.step({ now: 0, time: 0, ranges: [[0, 1]], paused: false });
  control.underrun(100);
  assert.equal(control.target, 0.1);
});

test('intersect', () => {
  assert.deepEqual(intersect([[0, 2], [3, 5]], [[1, 4]]), [[1, 2], [3, 4]]);
  assert.deepEqual(intersect([[0, 1]], [[1, 2]]), []);
  assert.deepEqual(intersect([], [[1, 2]]), []);
});

test('timeline: a track that runs on is played', () => {
  const t = new Timeline();
  assert.equal(t.place('video', 10, 10.03, 0), 'play');
  assert.equal(t.place('audio', 9.9, 9.92, 0), 'play');
  assert.equal(t.place('video', 10.03, 10.06, 33), 'play');
  assert.equal(t.place('video', 40, 40.03, 66), 'play', 'a jump ahead is a hole, not a restart');
  assert.equal(t.place('video', 39.5, 39.53, 99), 'play', 'a little back is an overlap');
});

test('timeline: a restart is one, whichever track sees it first', () => {
  const t = new Timeline();
  t.place('video', 100, 100.03, 0);
  t.place('audio', 100, 100.02, 0);
  assert.equal(t.place('audio', 0, 0.02, 10), 'restart');
  assert.equal(t.place('video', 100.03, 100.06, 20), 'drop', 'the old time is over');
  assert.equal(t.place('audio', 0.02, 0.04, 30), 'play');
  assert.equal(t.place('video', 0, 0.03, 40), 'play');
  assert.equal(t.place('video', 0.03, 0.06, 50), 'play');
  assert.equal(t.place('video', 0, 0.03, 5000), 'play', 'less than a second back is none');
});

test('timeline: a track that never jumps is not dropped for ever', () => {
  const t = new Timeline();
  t.place('video', 100, 100.03, 0);
  t.place('audio', 5, 5.02, 0);
  assert.equal(t.place('video', 0, 0.03, 10), 'restart');
  assert.equal(t.place('audio', 5.02, 5.04, 20), 'drop');
  assert.equal(t.place('audio', 7, 7.02, 2011), 'play');
});
