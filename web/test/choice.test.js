import assert from 'node:assert/strict';
import test from 'node:test';
import { ANSWER_MS, Choice, SILENT_MS, STEADY_MS } from '../player/choice.js';

/**
 * Cameras that come every 40 ms while they are on, with a relay that brings what
 * is asked for at once. Returns what was shown and when it changed.
 */
class Site {
  now = 0;
  on;
  cuts = [];

  constructor(count, { every = 40, length = 0 } = {}) {
    this.choice = new Choice(count, 0);
    this.on = Array(count).fill(true);
    this.every = every;
    this.length = length;
    this.pulled = Array(count).fill(false);
    for (let i = 0; i < count; i++) this.choice.catalog(i, true);
  }

  run(ms) {
    for (const until = this.now + ms; this.now < until; this.now += 20) {
      const plan = this.choice.decide(this.now);
      plan.pull.forEach((pull, i) => {
        if (pull && !this.pulled[i]) this.choice.ask(i, this.now);
        if (!pull && this.pulled[i]) this.choice.leave(i);
        this.pulled[i] = pull;
        if (!pull || !this.on[i] || this.now % this.every !== 0) return;
        this.choice.hear(i, this.now, true, this.length);
        const { next, edge } = this.choice.decide(this.now);
        if (next !== i || (edge && this.now % 1000 !== 0)) return;
        this.choice.cut(i, edge, this.now);
        this.cuts.push([this.now, i]);
      });
    }
    return this;
  }

  get shown() {
    return this.cuts.map(([, i]) => 'abc'[i]).join(' ');
  }
}

test('the first is shown, and what is not needed is not asked for', () => {
  const site = new Site(3).run(10_000);
  assert.equal(site.shown, 'a');
  assert.deepEqual(site.pulled, [true, false, false]);
});

test('one that falls silent is left within the bound, and cut back to at a group when it is steady', () => {
  const site = new Site(2).run(5000);
  site.on[0] = false;
  site.run(2000);
  assert.equal(site.shown, 'a b');
  assert.ok(site.cuts[1][0] <= 5000 + SILENT_MS + 80, `cut at ${site.cuts[1][0]}`);
  assert.deepEqual(site.pulled, [true, true], 'the first is watched');
  site.on[0] = true;
  site.run(STEADY_MS - 100);
  assert.equal(site.shown, 'a b');
  site.run(1500);
  assert.equal(site.shown, 'a b a');
  assert.equal(site.cuts[2][0] % 1000, 0, 'at a group');
  assert.deepEqual(site.pulled, [true, false]);
});

test('one that comes back before the next has come stays', () => {
  const site = new Site(2).run(5000);
  site.on = [false, false];
  site.run(1000);
  site.on[0] = true;
  site.run(10_000);
  assert.equal(site.shown, 'a');
});

test('one that does not answer is passed over', () => {
  const site = new Site(3).run(5000);
  site.on = [false, false, true];
  site.run(5000);
  assert.equal(site.shown, 'a c');
  assert.ok(site.cuts[1][0] <= 5000 + SILENT_MS + ANSWER_MS + 100, `cut at ${site.cuts[1][0]}`);
});

test('one that comes and goes is cut back to more and more rarely', () => {
  const site = new Site(2);
  for (let i = 0; i < 40; i++) {
    site.on[0] = true;
    site.run(5000);
    site.on[0] = false;
    site.run(1000);
  }
  assert.ok(site.cuts.length <= 4, `${site.cuts.length} cuts in four minutes`);
  site.on[0] = true;
  site.run(66_000);
  assert.equal(site.shown.at(-1), 'a');
});

test('objects that are rare in themselves are no failure', () => {
  assert.equal(new Site(2, { every: 900 }).run(30_000).shown, 'a');
  assert.equal(new Site(2, { every: 4000, length: 4000 }).run(60_000).shown, 'a', 'a chunk for each group');
});

test('at the start one that is preferred is waited for a moment', () => {
  const choice = new Choice(2, 0);
  choice.catalog(1, true);
  assert.equal(choice.decide(100).next, null);
  assert.equal(choice.decide(600).next, 1);
  choice.catalog(0, false);
  assert.equal(choice.decide(100).next, 1, 'not if it is known not to be there');
});

test('one that ends is left at once', () => {
  const site = new Site(2).run(5000);
  site.choice.catalog(0, false);
  site.choice.end(0, site.now);
  site.pulled[0] = false;
  site.run(40);
  assert.equal(site.shown, 'a b');
});

test('what the viewer chose is shown at once, and kept while it lives', () => {
  const site = new Site(3).run(5000);
  site.choice.chosen = 2;
  site.run(100);
  assert.equal(site.shown, 'a c');
  site.run(30_000);
  assert.equal(site.shown, 'a c');
  site.on[2] = false;
  site.run(1000);
  assert.equal(site.shown, 'a c a');
  site.on[2] = true;
  site.run(30_000);
  assert.equal(site.shown, 'a c a', 'the list counts again');
});

test('a choice that does not answer is none', () => {
  const site = new Site(2).run(5000);
  site.on[1] = false;
  site.choice.chosen = 1;
  site.run(1000);
  assert.deepEqual(site.pulled, [true, true]);
  site.run(1000);
  assert.equal(site.choice.chosen, null);
  assert.equal(site.shown, 'a');
});

test('after a new session the same camera is shown', () => {
  const site = new Site(2).run(5000);
  site.choice.chosen = 0;
  site.choice.restart(site.now);
  site.choice.catalog(1, true);
  assert.equal(site.choice.chosen, 0);
  assert.equal(site.choice.decide(site.now + ANSWER_MS - 1).next, null);
  assert.equal(site.choice.decide(site.now + ANSWER_MS).next, 1, 'unless it does not come');
});
