import assert from 'node:assert/strict';
import test from 'node:test';
import { Session } from '../moqt/session.js';
import { Feed } from '../player/feed.js';
import { Order } from '../player/order.js';
import { FakeRelay, hex } from './fake.js';

/** A track with a group of three objects, and a feed of it. */
async function feed(prepare = (_relay) => {}) {
  const relay = new FakeRelay();
  const track = relay.track(['a'], 'v');
  prepare(relay);
  if (!relay.empty) for (let i = 0; i < 3; i++) track.push(7, i, hex(`6${i}`));
  const session = await Session.connect('https://relay.test/', { WebTransport: relay.WebTransport });
  const got = [];
  const order = new Order({ stallMs: 20 });
  let wake = () => {};
  const start = () =>
    new Feed(session, ['a'], 'v', order, {
      deliver: (objects) => {
        for (const o of objects) got.push(`${o.group}/${o.object}`);
        wake();
      },
      caughtUp: () => {
        got.push('caught up');
        wake();
      },
    });
  const until = async (condition) => {
    while (!condition()) await new Promise((resolve) => (wake = resolve));
  };
  return { relay, track, session, got, start, until, order };
}

test('the running group comes from its head, then what is published', async () => {
  const { track, session, got, start, until } = await feed();
  const f = start();
  await until(() => got.includes('caught up'));
  track.push(7, 3, hex('63'));
  track.push(8, 0, hex('64'));
  await until(() => got.includes('8/0'));
  assert.deepEqual(got, ['7/0', '7/1', '7/2', 'caught up', '7/3', '8/0']);
  f.close();
  session.close();
});

test('a FETCH that overtook its SUBSCRIBE is made again', async () => {
  const { relay, session, got, start, until } = await feed((r) => (r.refuseJoining = 1));
  const f = start();
  await until(() => got.includes('caught up'));
  assert.deepEqual(got, ['7/0', '7/1', '7/2', 'caught up']);
  assert.deepEqual(relay.log, ['SUBSCRIBE v', 'FETCH', 'FETCH']);
  f.close();
  session.close();
});

test('without a head it begins at the next group', async () => {
  const { track, session, got, start, until } = await feed((r) => (r.refuseJoining = 2));
  const f = start();
  await f.subscription.ok;
  track.push(7, 3, hex('63'));
  track.push(8, 0, hex('64'));
  await until(() => got.includes('caught up'));
  assert.deepEqual(got, ['8/0', 'caught up']);
  f.close();
  session.close();
});

test('the next feed goes on where this one stopped, once each', async () => {
  const { track, session, got, start, until } = await feed();
  const first = start();
  await until(() => got.includes('caught up'));
  first.close();
  track.push(7, 3, hex('63'));
  const second = start();
  await until(() => got.filter((g) => g === 'caught up').length === 2);
  assert.deepEqual(got, ['7/0', '7/1', '7/2', 'caught up', '7/3', 'caught up']);
  second.close();
  session.close();
});
