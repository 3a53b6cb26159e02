import assert from 'node:assert/strict';
import test from 'node:test';
import { lines } from '../player/chart.js';
import { EVENT_TYPE, PathsFeed, parsePaths } from '../player/paths.js';
import { Player } from '../player/player.js';
import { FakeRelay } from './fake.js';

const bytes = (/** @type {unknown} */ v) => new TextEncoder().encode(typeof v === 'string' ? v : JSON.stringify(v));
const record = (/** @type {number} */ T, /** @type {object[]} */ paths) => [{ T, data: { mode: 'hybrid', demand: 4e6, capacity: 9e6, paths } }];

test('a record is read, and what is wrong in it is left out', () => {
  const got = parsePaths(bytes(record(1000, [{ path: 'wlan0', state: 'good', cost: 'primary', rate: 2e6, rtt: 31, loss: 0.01 }, { path: 7 }, null, { path: 'x'.repeat(500), rate: -1, loss: 9 }])));
  assert.equal(got.mode, 'hybrid');
  assert.deepEqual(got.paths[0], { name: 'wlan0', state: 'good', cost: 'primary', rate: 2e6, rtt: 31, loss: 0.01 });
  assert.deepEqual(got.paths[1], { name: 'x'.repeat(64), state: '', cost: '', rate: 0, rtt: 0, loss: 1 });
  assert.equal(got.paths.length, 2);
});

test('what is no record is none', () => {
  for (const bad of ['', '{', '[]', '7', 'null', '[null]', '[{"T":1}]', '[{"T":1,"data":{"paths":7}}]', `[${' '.repeat(70_000)}]`]) {
    assert.equal(parsePaths(bytes(bad)), null, bad.slice(0, 20));
  }
  assert.equal(parsePaths(bytes(record(1, Array(50).fill({ path: 'a' })))).paths.length, 16);
});

test('the chart has a line for each path, newest to the right, the fastest at the top', () => {
  const history = [1000, 31_000, 61_000].map((T, i) => parsePaths(bytes(record(T, [{ path: 'a', rate: i * 1e6 }, ...(i < 2 ? [{ path: 'b', rate: 5e5 }] : [])]))));
  assert.deepEqual(
    lines(history).map(({ name, points }) => [name, points]),
    [
      ['a', '0.0,60.0 150.0,30.0 300.0,0.0'],
      ['b', '0.0,45.0 150.0,45.0 300.0,60.0'],
    ],
  );
  assert.deepEqual(lines([]), []);
});

test('a player follows the paths while somebody looks', async () => {
  const relay = new FakeRelay();
  const ns = ['live', 'cam'];
  const catalog = bytes({ version: 'draft-01', tracks: [{ name: 'paths', packaging: 'eventtimeline', eventType: EVENT_TYPE, mimeType: 'application/json' }] });
  const catalogs = relay.track(ns, 'catalog');
  catalogs.push(1, 0, catalog);
  const paths = relay.track(ns, 'paths');
  class Video extends EventTarget {
    requestVideoFrameCallback() {}
  }
  const player = new Player(/** @type {any} */ (new Video()), { relay: 'https://relay.test:4443/', namespace: ns, fingerprints: [] }, { WebTransport: relay.WebTransport });
  const until = async (/** @type {() => boolean} */ done) => {
    for (let i = 0; !done(); i++) {
      assert.ok(i < 500, 'it did not happen');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  player.start();
  await until(() => player.state === 'unsupported');
  assert.deepEqual(player.stats().paths, []);
  player.watchPaths(true);
  catalogs.push(2, 0, catalog);
  let group = 1;
  await until(() => {
    paths.push(group++, 0, bytes(record(1000, [{ path: 'wlan0', rate: 1 }])));
    return player.stats().paths.length > 0;
  });
  assert.equal(player.stats().paths[0].paths[0].name, 'wlan0');
  player.watchPaths(false);
  assert.deepEqual(player.stats().paths, []);
  player.stop();
});

test('a feed keeps a minute', () => {
  let sink;
  const session = /** @type {any} */ ({ subscribe: (_ns, _name, s) => ((sink = s), { ended: new Promise(() => {}), close() {} }) });
  const feed = new PathsFeed(session, [], 'paths');
  for (let i = 0; i < 100; i++) sink.object({ payload: bytes(record(i, [])) });
  assert.equal(feed.history.length, 60);
  assert.equal(feed.history[0].at, 40);
});
