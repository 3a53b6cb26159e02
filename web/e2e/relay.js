// In the page: puts a relay in memory in the place of the browser's WebTransport
// and publishes what the test server feeds, so that the whole player runs
// without a network. `relay` and `publish` are globals for tests.

import { Source } from '../moqt/source.js';
import { FakeRelay } from '../test/fake.js';

const relay = new FakeRelay();

/** Publishes /feed as a broadcast until it ends. */
async function publish(namespace, { catalogPeriod = 2000 } = {}) {
  const response = await fetch('/feed', { cache: 'no-store' });
  const source = new Source(response.body);
  const names = new Map();
  let catalog = null;
  let catalogGroup = Date.now();
  const announceCatalog = () => catalog && relay.track(namespace, 'catalog').push(catalogGroup++, 0, catalog);
  const timer = setInterval(announceCatalog, catalogPeriod);
  try {
    while (!(await source.ended())) {
      const lengths = new DataView((await source.bytes(8, 'lengths')).slice().buffer);
      const head = JSON.parse(new TextDecoder().decode(await source.bytes(lengths.getUint32(0), 'head')));
      const payload = await source.bytes(lengths.getUint32(4), 'payload');
      if (head.tracks) {
        for (const t of head.tracks) names.set(t.id, t.kind);
        catalog = new TextEncoder().encode(
          JSON.stringify({
            version: 'draft-01',
            tracks: head.tracks.map((t) => ({
              name: t.kind, packaging: 'cmaf', isLive: true, role: t.kind, codec: t.codec, renderGroup: 1, initRef: t.kind,
              ...(t.kind === 'video' && { width: 640, height: 360, framerate: 30 }),
            })),
            initDataList: head.tracks.map((t) => ({ id: t.kind, type: 'inline', data: t.init })),
          }),
        );
      } else {
        const track = relay.track(namespace, names.get(head.id));
        // The feed may begin inside a group: a publisher never does.
        if (track.largest === null && head.object !== 0) continue;
        track.push(head.group, head.object, payload.slice());
        if (names.get(head.id) === 'video' && !relay.namespaces.has(namespace.join('/'))) {
          announceCatalog();
          relay.announce(namespace);
        }
      }
    }
  } finally {
    clearInterval(timer);
    relay.drop(namespace);
  }
}

const Fake = relay.WebTransport;
Object.defineProperty(Fake.prototype, 'protocol', { value: '', writable: true }); // looked for by player/support.js
globalThis.WebTransport = Fake;
Object.assign(globalThis, { relay, publish });
