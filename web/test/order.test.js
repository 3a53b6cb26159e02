import assert from 'node:assert/strict';
import test from 'node:test';
import { Order } from '../player/order.js';

const object = (group, id, { properties = [], status = 0, size = 1 } = {}) => ({ group, object: id, status, properties, payload: new Uint8Array(size) });
const end = (group, last, endOfGroup = true, complete = true) => ({ group, last, complete, endOfGroup });
const ids = (list) => list.map((o) => `${o.group}/${o.object}${o.skipped ? '!' : ''}`).join(' ');

/** Feeds steps to an order and returns what each one let out. */
function run(order, ...steps) {
  const out = [];
  for (const [now, ...what] of steps) {
    for (const w of what) {
      if ('last' in w) order.streamEnd(w);
      else order.push(w);
    }
    out.push(ids(order.take(now)));
  }
  return out;
}

test('objects in order go straight through', () => {
  const got = run(new Order(), [0, object(5, 0)], [1, object(5, 1)], [2, object(5, 2), end(5, 2)], [3, object(6, 0)]);
  assert.deepEqual(got, ['5/0', '5/1', '5/2', '6/0']);
});

test('the head from a FETCH and the rest from the subscription are one', () => {
  const order = new Order();
  const got = run(order, [0, object(5, 3)], [1, object(5, 4), object(5, 0)], [2, object(5, 1), object(5, 2)], [3, object(5, 5)]);
  assert.deepEqual(got, ['', '5/0', '5/1 5/2 5/3 5/4', '5/5']);
  assert.deepEqual(order.position, { group: 5, object: 6 });
});

test('doubles and late ones are dropped and counted', () => {
  const order = new Order();
  const got = run(order, [0, object(5, 0), object(5, 2), object(5, 2)], [1, object(5, 0), object(4, 9)], [2, object(5, 1)]);
  assert.deepEqual(got, ['5/0', '', '5/1 5/2']);
  assert.deepEqual(order.stats, { duplicates: 1, late: 2, skips: 0 });
});

test('a group follows at once when the one before is known to be over', async (t) => {
  await t.test('by END_OF_GROUP and FIN', () => {
    assert.deepEqual(run(new Order(), [0, object(5, 0), object(6, 0)], [1, end(5, 0)]), ['5/0', '6/0']);
  });
  await t.test('by FIN of its stream', () => {
    assert.deepEqual(run(new Order(), [0, object(5, 0), object(6, 0)], [1, end(5, 0, false)]), ['5/0', '6/0']);
  });
  await t.test('by an END_OF_GROUP object', () => {
    assert.deepEqual(run(new Order(), [0, object(5, 0), object(6, 0)], [1, object(5, 1, { status: 3 })]), ['5/0', '6/0']);
  });
  await t.test('not by a reset', () => {
    assert.deepEqual(run(new Order(), [0, object(5, 0), object(6, 0)], [1, end(5, 0, true, false)], [400], [501]), ['5/0', '', '', '6/0!']);
  });
  await t.test('not while objects before the end are missing', () => {
    assert.deepEqual(run(new Order(), [0, object(5, 0), object(5, 2), object(6, 0), end(5, 2)], [1, object(5, 1)]), ['5/0', '5/1 5/2 6/0']);
  });
});

test('a stalled group is left at its edge, after the wait and not before', () => {
  const order = new Order({ stallMs: 500 });
  const got = run(order, [0, object(5, 0), object(5, 2)], [1000], [1001, object(6, 1)], [2000, object(6, 0)], [2499], [2500], [2501, object(5, 1)]);
  // A newer group without its first object is no way on.
  assert.deepEqual(got, ['5/0', '', '', '', '', '6/0! 6/1', '']);
  assert.equal(order.stats.skips, 1);
});

test('wakeAt tells when waiting ends', () => {
  const order = new Order({ stallMs: 500 });
  run(order, [0, object(5, 0)]);
  assert.equal(order.wakeAt, null);
  run(order, [100, object(6, 0)]);
  assert.equal(order.wakeAt, 600);
  run(order, [200, object(5, 1)]);
  assert.equal(order.wakeAt, 700, 'an object that came starts the wait anew');
});

test('group ids that jump are waited for, unless said not to exist', () => {
  assert.deepEqual(run(new Order(), [0, object(5, 0), end(5, 0), object(9, 0)], [499], [500]), ['5/0', '', '9/0!']);
  const gap = { properties: [{ type: 0x3c, value: 3 }] };
  assert.deepEqual(run(new Order(), [0, object(5, 0), end(5, 0), object(9, 0, gap)]), ['5/0 9/0']);
});

test('object ids that are said not to exist are stepped over', () => {
  const gap = (value) => ({ properties: [{ type: 0x3e, value }] });
  assert.deepEqual(run(new Order(), [0, object(5, 0), object(5, 3, gap(2))]), ['5/0 5/3']);
  assert.deepEqual(run(new Order(), [0, object(5, 0), object(5, 3, gap(1))]), ['5/0']);
});

test('audio goes on behind a hole in its group', () => {
  const order = new Order({ independent: true, stallMs: 500 });
  assert.deepEqual(run(order, [0, object(5, 0), object(5, 2)], [499], [500]), ['5/0', '', '5/2!']);
});

test('a head that will not come is not waited for', () => {
  const order = new Order();
  run(order, [0, object(5, 7)]);
  order.noHead();
  assert.deepEqual(run(order, [1, object(6, 0)]), ['6/0!']);
});

test('a new subscription goes on, jumps ahead or begins anew', () => {
  const order = new Order();
  run(order, [0, object(5, 0), object(5, 1)]);
  order.joinAt(5);
  assert.deepEqual(run(order, [1, object(5, 0), object(5, 1), object(5, 2)]), ['5/2']);
  order.joinAt(8);
  assert.deepEqual(run(order, [2, object(8, 0)]), ['8/0!']);
  order.joinAt(3);
  assert.deepEqual(run(order, [3, object(3, 0)]), ['3/0!']);
});

test('ids above 2^53 are in order too', () => {
  const g = 2n ** 60n;
  assert.deepEqual(run(new Order(), [0, object(g, 0), end(g, 0), object(g + 1n, 0)]), [`${g}/0 ${g + 1n}/0`]);
});

test('what is held is bounded', async (t) => {
  await t.test('by bytes: the older group goes', () => {
    const order = new Order({ maxBytes: 10_000 });
    run(order, [0, object(5, 0)]);
    for (let i = 2; i < 5; i++) order.push(object(5, i, { size: 3000 }));
    order.push(object(6, 0, { size: 1000 }));
    assert.ok(order.heldBytes <= 10_000);
    assert.deepEqual(run(order, [1]), ['6/0!']);
  });
  await t.test('by bytes: a single group that is too large is given up', () => {
    const order = new Order({ maxBytes: 10_000 });
    for (let i = 1; i < 5; i++) order.push(object(5, i, { size: 3000 }));
    assert.ok(order.heldBytes <= 10_000);
    assert.deepEqual(run(order, [1, object(6, 0)], [501]), ['6/0!', '']);
  });
  await t.test('by number: empty objects and groups cost too', () => {
    const order = new Order({ maxBytes: 1 << 20 });
    for (let i = 1; i < 20_000; i++) order.push(object(5, i, { size: 0 }));
    assert.ok(order.heldBytes <= 1 << 20);
    for (let g = 0; g < 20_000; g++) order.streamEnd(end(g + 10, 0));
    assert.deepEqual(run(order, [1]), ['']);
  });
});

test('any arrival order of complete groups comes out sorted', () => {
  // A small linear congruential generator, so that a failure can be repeated.
  for (let seed = 1; seed <= 50; seed++) {
    let state = seed;
    const random = (n) => ((state = (state * 1103515245 + 12345) % 2 ** 31), state % n);
    const all = [];
    for (let g = 0; g < 4; g++) for (let o = 0; o < 5; o++) all.push(object(g, o));
    for (let i = all.length - 1; i > 0; i--) {
      const j = random(i + 1);
      [all[i], all[j]] = [all[j], all[i]];
    }
    // The first object of all comes first: before it, nothing says where to start.
    all.unshift(object(0, 0));
    const order = new Order();
    const out = [];
    for (const o of all) {
      order.push(o);
      out.push(...order.take(0));
    }
    for (let g = 0; g < 4; g++) order.streamEnd(end(g, 4));
    out.push(...order.take(0));
    assert.equal(ids(out), Array.from({ length: 20 }, (_, i) => `${Math.floor(i / 5)}/${i % 5}`).join(' '), `seed ${seed}`);
  }
});
