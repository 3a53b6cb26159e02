import assert from 'node:assert/strict';
import test from 'node:test';
import { MOVES, Player } from '../player/player.js';
import { FakeRelay, hex } from './fake.js';

/** As much of a <video> as the player's logic touches; pictures are for the browser tests. */
class Video extends EventTarget {
  readyState = 0;
  currentTime = 0;
  paused = true;
  playbackRate = 1;
  requestVideoFrameCallback() {}
}

const ADDRESS = { relay: 'https://relay.test:4443/', namespace: ['live', 'cam'], fingerprints: [] };

function play(relay, address = ADDRESS) {
  const player = new Player(new Video(), address, { WebTransport: relay.WebTransport });
  const states = [];
  player.addEventListener('state', () => states.push(player.words));
  const reached = (words) =>
    new Promise((resolve) => {
      const check = () => states.some((s) => words.test(s)) && resolve(undefined);
      player.addEventListener('state', check);
      check();
    });
  player.start();
  return { player, states, reached };
}

const catalog = (tracks) => new TextEncoder().encode(JSON.stringify({ version: 'draft-01', tracks }));

test('it waits for a broadcast that is not there, and begins when it comes', async () => {
  const relay = new FakeRelay();
  const { player, states, reached } = play(relay);
  await reached(/^waiting for the broadcast$/);
  relay.track(['live', 'cam'], 'catalog').push(1, 0, catalog([{ name: 'v', role: 'video', packaging: 'loc' }]));
  relay.announce(['live', 'cam']);
  await reached(/^unsupported: packaging loc is not supported$/);
  player.stop();
  assert.equal(states.at(-1), 'stopped');
});

test('a catalog that is not one is shown, and the next one is looked at', async () => {
  const relay = new FakeRelay();
  const track = relay.track(['live', 'cam'], 'catalog');
  track.push(1, 0, hex('7b'));
  const { player, reached } = play(relay);
  await reached(/^unsupported: the catalog is not JSON$/);
  track.push(2, 0, catalog([]));
  await reached(/^unsupported: the broadcast has neither video nor audio$/);
  player.stop();
});

test('a relay that is not there is dialled again', async () => {
  const relay = new FakeRelay();
  relay.down = true;
  const { player, reached } = play(relay);
  await reached(/^connecting: no relay answers over QUIC \(UDP\) at relay\.test:4443/);
  relay.down = false;
  await reached(/^waiting for the broadcast$/);
  assert.equal(player.stats().reconnects > 0, true);
  player.stop();
});

test('a relay that goes is dialled again', async () => {
  const relay = new FakeRelay();
  const { player, reached } = play(relay);
  await reached(/^waiting/);
  relay.loseAll();
  await reached(/^connecting: the connection to the relay was lost$/);
  player.stop();
});

test('a subscription whose stream is reset is made again', async () => {
  const relay = new FakeRelay();
  const track = relay.track(['live', 'cam'], 'catalog');
  track.push(1, 0, hex('7b'));
  const { player, reached } = play(relay);
  await reached(/^unsupported: the catalog is not JSON$/);
  const before = relay.log.filter((l) => l === 'SUBSCRIBE catalog').length;
  relay.resetAll();
  await reached(/^waiting/);
  track.push(2, 0, catalog([]));
  await reached(/^unsupported: the broadcast has neither video nor audio$/);
  assert.ok(relay.log.filter((l) => l === 'SUBSCRIBE catalog').length > before);
  assert.equal(relay.sessions.size, 1, 'the session is the same');
  player.stop();
});

test('of several cameras, what becomes of one is told only if no other is there', async () => {
  const relay = new FakeRelay();
  const { player, states, reached } = play(relay, { ...ADDRESS, namespace: ['live', 'a'], spares: [['live', 'b']] });
  await reached(/^waiting for the broadcast$/);
  assert.deepEqual(player.cameras.map((c) => [c.name, c.there]), [['a', false], ['b', false]]);
  relay.track(['live', 'b'], 'catalog').push(1, 0, catalog([{ name: 'v', role: 'video', packaging: 'loc' }]));
  relay.announce(['live', 'b']);
  await reached(/^unsupported: packaging loc is not supported$/);
  relay.loseAll();
  await reached(/^reconnecting|^connecting: the connection/);
  const before = states.length;
  await new Promise((resolve) => {
    player.addEventListener('state', () => states.slice(before).some((s) => /^unsupported/.test(s)) && resolve(undefined));
  });
  player.choose(1); // not there: no choice
  assert.equal(player.cameras.some((c) => c.chosen), false);
  player.stop();
  assert.equal(relay.sessions.size, 0);
});

test('an address without a broadcast is refused', () => {
  const { player } = play(new FakeRelay(), { ...ADDRESS, namespace: [] });
  assert.equal(player.words, 'refused: the URL names no broadcast');
  player.stop();
  assert.equal(player.state, 'idle');
});

test('stopping closes the session', async () => {
  const relay = new FakeRelay();
  const { player, reached } = play(relay);
  await reached(/^waiting/);
  assert.equal(relay.sessions.size, 1);
  player.stop();
  assert.equal(relay.sessions.size, 0);
});

test('figures are plain JSON', async () => {
  const relay = new FakeRelay();
  const { player, reached } = play(relay);
  await reached(/^waiting/);
  const stats = player.stats();
  assert.deepEqual(JSON.parse(JSON.stringify(stats)), stats);
  assert.equal(stats.draft, 'moqt-18');
  player.stop();
});

test('every state can be stopped, and none leads out of the table', () => {
  for (const [state, next] of Object.entries(MOVES)) {
    for (const n of next) assert.ok(n in MOVES, `${state} to ${n}`);
    if (state !== 'idle') assert.ok(next.includes('idle'), state);
  }
});
