import assert from 'node:assert/strict';
import test from 'node:test';
import { choose, mimeOf, namespaceOf, parseCatalog } from '../player/catalog.js';

const bytes = (json) => new TextEncoder().encode(typeof json === 'string' ? json : JSON.stringify(json));
const track = (name, more = {}) => ({ name, packaging: 'cmaf', isLive: true, role: 'video', codec: 'avc1.42c01e', initRef: 'i', ...more });
const inits = [{ id: 'i', type: 'inline', data: btoa('init') }];
const all = () => true;

test('a catalog is read', () => {
  const catalog = parseCatalog(
    bytes({
      version: 'draft-01',
      tracks: [track('v', { width: 640, height: 360, framerate: 30, bitrate: 1e6, renderGroup: 1, targetLatency: 200 }), track('a', { role: 'audio', codec: 'mp4a.40.2', samplerate: 48000, channelConfig: '2' })],
      initDataList: inits,
    }),
    null,
  );
  assert.deepEqual(catalog.tracks.map((t) => [t.name, t.kind, t.width, t.targetLatencyMs, new TextDecoder().decode(t.init)]), [
    ['v', 'video', 640, 200, 'init'],
    ['a', 'audio', 0, 0, 'init'],
  ]);
  assert.equal(mimeOf(catalog.tracks[0]), 'video/mp4; codecs="avc1.42c01e"');
  assert.equal(mimeOf(catalog.tracks[1]), 'audio/mp4; codecs="mp4a.40.2"');
});

test('every version is taken, and initData of the track itself', () => {
  for (const version of ['draft-01', '1', 1, undefined]) {
    const catalog = parseCatalog(bytes({ version, tracks: [track('v', { initRef: undefined, initData: btoa('own') })] }), null);
    assert.equal(new TextDecoder().decode(catalog.tracks[0].init), 'own');
  }
});

test('updates are applied in order', () => {
  const before = parseCatalog(bytes({ tracks: [track('v', { bitrate: 5 }), track('old')], initDataList: inits }), null);
  const after = parseCatalog(
    bytes({
      deltaUpdate: [
        { op: 'add', tracks: [track('w')] },
        { op: 'clone', tracks: [{ parentName: 'v', name: 'v2', bitrate: 7 }] },
        { op: 'update', tracks: [{ parentName: 'v', bitrate: 6 }] },
        { op: 'remove', tracks: [{ name: 'old' }] },
        { op: 'what', tracks: [{ name: 'w' }] },
      ],
    }),
    before,
  );
  assert.deepEqual(after.tracks.map((t) => [t.name, t.bitrate]), [['v', 6], ['w', 0], ['v2', 7]]);
  assert.ok(after.tracks.every((t) => t.init));
});

test('what is no catalog is refused in words', async (t) => {
  const vectors = [
    ['nothing', '', /not JSON/],
    ['not JSON', 'x{', /not JSON/],
    ['a list', [], /not a JSON object/],
    ['no tracks', {}, /no tracks/],
    ['tracks are text', { tracks: 'v' }, /no tracks/],
    ['an update first', { deltaUpdate: [] }, /before the catalog/],
    ['too many tracks', { tracks: Array.from({ length: 501 }, (_, i) => track(`${i}`)) }, /501 tracks/],
    ['too long', 'x'.repeat((4 << 20) + 1), /bytes/],
  ];
  for (const [name, json, message] of vectors) await t.test(name, () => assert.throws(() => parseCatalog(bytes(json), null), { name: 'CatalogError', message }));
  await t.test('an update that grows without end', () => {
    const before = parseCatalog(bytes({ tracks: [track('v')] }), null);
    const tracks = Array.from({ length: 600 }, (_, i) => ({ parentName: 'v', name: `c${i}` }));
    assert.throws(() => parseCatalog(bytes({ deltaUpdate: [{ op: 'clone', tracks }] }), before), { name: 'CatalogError' });
  });
});

test('fields of wrong kinds are left out, not believed', () => {
  const catalog = parseCatalog(
    bytes({ tracks: [null, 7, {}, { name: 5 }, track('v', { width: 'wide', bitrate: -5, codec: 7, initRef: {}, initData: '!!', namespace: 3 })], initDataList: [null, { id: 'i', data: 5 }] }),
    null,
  );
  assert.equal(catalog.tracks.length, 1);
  assert.deepEqual({ ...catalog.tracks[0], kind: '' }, {
    name: 'v', namespace: null, packaging: 'cmaf', eventType: '', kind: '', codec: '', bitrate: 0, width: 0, height: 0, framerate: 0, samplerate: 0, renderGroup: 0, targetLatencyMs: 0, encrypted: false, init: null,
  });
});

test('a codec string cannot leave its quotes', () => {
  const [t] = parseCatalog(bytes({ tracks: [track('v', { codec: 'avc1"; x="' })] }), null).tracks;
  assert.equal(mimeOf(t), 'video/mp4; codecs="avc1; x="');
});

test('the best playable video is chosen, and the audio of its group', () => {
  const catalog = parseCatalog(
    bytes({
      initDataList: inits,
      tracks: [
        track('low', { bitrate: 1, renderGroup: 1 }),
        track('high', { bitrate: 3, renderGroup: 2 }),
        track('hevc', { bitrate: 9, codec: 'hvc1.1.6.L93.B0' }),
        track('other', { role: 'audio', codec: 'opus', bitrate: 9, renderGroup: 1 }),
        track('fits', { role: 'audio', codec: 'mp4a.40.2', bitrate: 1, renderGroup: 2 }),
        track('subs', { role: 'subtitle', bitrate: 99 }),
      ],
    }),
    null,
  );
  const { video, audio, why } = choose(catalog, (mime) => !mime.includes('hvc1'));
  assert.deepEqual([video.name, audio.name, why], ['high', 'fits', '']);
});

test('if nothing can be played, it says why', () => {
  const why = (tracks, supported = all) => choose(parseCatalog(bytes({ tracks, initDataList: inits }), null), supported).why;
  assert.match(why([track('v')], () => false), /does not decode avc1/);
  assert.match(why([track('v', { packaging: 'loc' })]), /packaging loc/);
  assert.match(why([track('v', { contentProtectionRefIDs: ['x'] })]), /encrypted/);
  assert.match(why([track('v', { initRef: 'nowhere' })]), /no initialization data/);
  assert.match(why([track('s', { role: 'subtitle' })]), /neither video nor audio/);
});

test('namespaces are inherited, also where they are spelt out', () => {
  const [own, same, other] = parseCatalog(bytes({ tracks: [track('a'), track('b', { namespace: 'x/y' }), track('c', { namespace: 'cmsf/clear' })] }), null).tracks;
  assert.deepEqual(namespaceOf(own, ['x', 'y']), ['x', 'y']);
  assert.deepEqual(namespaceOf(same, ['x', 'y']), ['x', 'y']);
  assert.deepEqual(namespaceOf(other, ['x', 'y']), ['cmsf/clear']);
});
