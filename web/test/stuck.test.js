import assert from 'node:assert/strict';
import test from 'node:test';
import { STUCK_MS, Stuck } from '../player/stuck.js';

/** Observes every 500 ms for 20 s; returns when it was told to begin anew. */
function run(at) {
  const stuck = new Stuck();
  const told = [];
  for (let now = 0; now <= 20_000; now += 500) {
    if (stuck.observe({ now, heardAt: now, time: 7, held: false, ...at(now) })) told.push(now);
  }
  return told;
}

test('a playhead that moves is left alone', () => {
  assert.deepEqual(
    run((now) => ({ time: now / 1000 })),
    [],
  );
});

test('one that stands while chunks arrive is told, again and again', () => {
  assert.deepEqual(
    run(() => ({})),
    [STUCK_MS, 2 * STUCK_MS, 3 * STUCK_MS, 4 * STUCK_MS],
  );
});

test('without chunks there is nothing to show', () => {
  assert.deepEqual(
    run(() => ({ heardAt: -Infinity })),
    [],
  );
  assert.deepEqual(
    run(() => ({ heardAt: 0 })),
    [],
  );
});

test('a pause is not a standstill, and the wait begins after it', () => {
  assert.deepEqual(
    run((now) => ({ held: now < 10_000 })).slice(0, 1),
    [9500 + STUCK_MS],
  );
});

test('a jump in the middle begins the wait anew', () => {
  assert.deepEqual(
    run((now) => ({ time: now < 3000 ? 7 : 9 })).slice(0, 1),
    [3000 + STUCK_MS],
  );
});
