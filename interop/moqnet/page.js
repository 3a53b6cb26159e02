// In the page: what the tests do with @moq/net, which is MoQ by another project.

import { Broadcast, Connection, Group, Path } from '@moq/net';
import { certificateHashes, dial, parseAddress } from '/player/address.js';
import { Feed } from '/player/feed.js';
import { Order } from '/player/order.js';

/**
 * @param {string} page of a relay, http://…
 * @param {number} draft
 * @returns a session of @moq/net in this draft and no other
 */
export function connect(page, draft) {
  // Of http:// it asks the fingerprint of the certificate, as it does of its own relay.
  return Connection.connect(new URL(page), { webtransport: { protocols: [`moqt-${draft}`] }, websocket: { enabled: false } });
}

/** Waits until a broadcast is announced. */
export async function announced(session, path) {
  const list = session.announced();
  for (;;) {
    const entry = await list.next();
    if (!entry) throw new Error('the session ended');
    if (entry.active && entry.path === path) return list.close();
  }
}

/** The first catalog of a broadcast. */
export async function readCatalog(broadcast) {
  const track = broadcast.subscribe('catalog');
  const frame = await track.readFrame();
  track.close();
  return JSON.parse(new TextDecoder().decode(frame.payload));
}

/**
 * @returns the next groups of a track, each with the SHA-256 of its frames. The
 * running group is passed over: @moq/net drops a stream without FIRST_OBJECT, and
 * gives up a group that does not begin with object 0 where there is no such bit.
 */
export async function readGroups(broadcast, name, count) {
  const track = broadcast.subscribe(name);
  const groups = [];
  for (let first = true; groups.length < count; first = false) {
    const group = await track.recvGroup();
    if (!group) throw new Error(`the track ended after ${groups.length} groups`);
    try {
      groups.push({ group: group.sequence, hashes: await hashFrames(group) });
    } catch (err) {
      if (!first) throw err;
    }
  }
  track.close();
  return groups;
}

async function hashFrames(group) {
  const hashes = [];
  for (let frame = await group.readFrameSequence(); frame; frame = await group.readFrameSequence()) {
    if (frame.sequence !== hashes.length) throw new Error(`frame ${frame.sequence} after ${hashes.length} of group ${group.sequence}`);
    hashes.push(await sha256(frame.payload));
  }
  return hashes;
}

async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (b) => b.toString(16).padStart(2, '0')).join('');
}

/** Publishes tracks of a broadcast, as they come, under another name. */
export function republish(broadcast, names, to, path) {
  const producer = new Broadcast.Producer();
  for (const name of names) void copy(broadcast.subscribe(name), producer.createTrack(name));
  to.publish(Path.from(path), producer);
}

async function copy(source, sink) {
  for (let group = await source.recvGroup(); group; group = await source.recvGroup()) {
    const out = new Group.Producer(group.sequence);
    sink.writeGroup(out);
    void (async () => {
      for (let frame = await group.readFrame(); frame; frame = await group.readFrame()) out.writeFrame(frame);
      out.close();
    })();
  }
}

/** Publishes a group each 200 ms, of 5 lines that say where they are. */
export function publishLines(session, path, name) {
  const producer = new Broadcast.Producer();
  const track = producer.createTrack(name);
  session.publish(Path.from(path), producer);
  let group = null;
  let n = 0;
  return setInterval(() => {
    if (n % 5 === 0) {
      group?.close();
      group = track.appendGroup();
    }
    group.writeString(`${group.sequence}.${n++ % 5}`);
  }, 40);
}

/**
 * Reads a track with this project's own session, from the relay that served the
 * page. What the directory has announced may be a moment older than what the
 * table of origins knows, so the relay's word to ask again is heeded.
 */
export async function readOwn(namespace, name, count) {
  const { relay, fingerprints } = parseAddress('/', location.href);
  const session = await dial(relay, { hashes: await certificateHashes(fingerprints) });
  try {
    for (;;) {
      try {
        return await readFeed(session, namespace, name, count);
      } catch (err) {
        if (!(err.retryMs > 0)) throw err;
        await new Promise((again) => setTimeout(again, err.retryMs));
      }
    }
  } finally {
    session.close();
  }
}

async function readFeed(session, namespace, name, count) {
  const got = [];
  const began = performance.now();
  let subscribedMs = 0;
  await new Promise((resolve, reject) => {
    const feed = new Feed(session, namespace, name, new Order(), {
      deliver(objects) {
        for (const o of objects) got.push({ at: `${o.group}.${o.object}`, text: new TextDecoder().decode(o.payload), skipped: o.skipped });
        if (got.length >= count) resolve(undefined);
      },
    });
    feed.subscription.ok.then(() => (subscribedMs = performance.now() - began), reject);
    feed.ended.catch(reject);
  });
  return { got, subscribedMs };
}
