// A WebTransport in memory, and a relay of a few lines behind it. Both ends are
// plain web streams, so this runs in Node and in a browser alike. The relay's
// side is written with the field writer alone, not with the client's messages.

import { Reader, Writer } from '../moqt/bytes.js';
import { Source } from '../moqt/source.js';

/** One direction of a stream. Buffers are large, as a QUIC window is. */
function pipe() {
  return new TransformStream(undefined, { highWaterMark: 1 << 20 }, { highWaterMark: 1 << 20 });
}

function queue() {
  let controller;
  const readable = new ReadableStream({ start: (c) => (controller = c) });
  return { readable, controller };
}

/** The client's end: what `new WebTransport(url, options)` gives. */
export class FakeTransport {
  constructor(url, options, server) {
    this.url = url;
    this.options = options;
    this.protocol = 'moqt-18';
    this.uni = queue();
    this.bidi = queue();
    this.datagramsIn = queue();
    this.incomingUnidirectionalStreams = this.uni.readable;
    this.incomingBidirectionalStreams = this.bidi.readable;
    this.datagrams = { readable: this.datagramsIn.readable };
    this.closed = new Promise((resolve, reject) => Object.assign(this, { resolveClosed: resolve, rejectClosed: reject }));
    this.closed.catch(() => {});
    this.closedWith = null;
    this.server = server;
    this.ready = Promise.resolve().then(() => server.connected(this));
  }

  async createUnidirectionalStream() {
    const { readable, writable } = pipe();
    this.server.uni?.(readable);
    return writable;
  }

  async createBidirectionalStream() {
    const up = pipe();
    const down = pipe();
    this.server.bidi?.({ readable: up.readable, writable: down.writable });
    return { readable: down.readable, writable: up.writable };
  }

  close(info = { closeCode: 0, reason: '' }) {
    if (this.closedWith) return;
    this.closedWith = info;
    this.resolveClosed(info);
    this.server.closed?.(info);
  }

  /** The relay closes the session. */
  end(closeCode, reason) {
    this.closedWith = { closeCode, reason };
    this.resolveClosed(this.closedWith);
  }

  /** The network is gone. */
  lose() {
    this.closedWith = { closeCode: -1, reason: 'lost' };
    this.rejectClosed(new Error('connection lost'));
  }
}

/** A constructor to pass as `WebTransport`; `server` gets what the client does. */
export function transport(server) {
  return class extends FakeTransport {
    constructor(url, options) {
      super(url, options, server);
      server.transport = this;
    }
  };
}

/** A server that hands the test each stream and lets it write by hand. */
export class ManualServer {
  unis = [];
  bidis = [];
  waiters = [];

  connected() {}
  uni(readable) {
    this.unis.push(new Source(readable));
    this.wake();
  }
  bidi(stream) {
    this.bidis.push({ source: new Source(stream.readable), writer: stream.writable.getWriter() });
    this.wake();
  }
  closed(info) {
    this.closedInfo = info;
    this.wake();
  }
  wake() {
    for (const w of this.waiters.splice(0)) w();
  }
  /** Waits until `get` gives something. */
  async until(get) {
    for (;;) {
      const v = get();
      if (v) return v;
      await new Promise((resolve) => this.waiters.push(resolve));
    }
  }
  /** The n-th request stream with its first message. */
  async request(n) {
    const stream = await this.until(() => this.bidis[n]);
    stream.first ??= await readFrame(stream.source);
    return stream;
  }
  openUni() {
    const { readable, writable } = pipe();
    this.transport.uni.controller.enqueue(readable);
    return writable.getWriter();
  }
  openBidi() {
    const up = pipe();
    const down = pipe();
    this.transport.bidi.controller.enqueue({ readable: down.readable, writable: up.writable });
    return { source: new Source(up.readable), writer: down.writable.getWriter() };
  }
  setup() {
    const control = this.openUni();
    control.write(frame(0x2f00, new Writer()));
    return control;
  }
}

export function frame(type, w) {
  const body = w.finish();
  return new Writer().varint(type).uint8(body.length >> 8).uint8(body.length).raw(body).finish();
}

export async function readFrame(source) {
  const type = await source.varint('type');
  const size = await source.bytes(2, 'length');
  return { type, body: new Reader(await source.bytes((size[0] << 8) | size[1], 'body'), 'body') };
}

export function hex(text) {
  return Uint8Array.from(text.replaceAll(/[^0-9a-f]/gi, '').match(/../g) ?? [], (h) => parseInt(h, 16));
}

const REQUEST_ERROR = 0x05;

/**
 * A relay with tracks in memory: SUBSCRIBE, joining FETCH and
 * SUBSCRIBE_NAMESPACE, any number of sessions.
 */
export class FakeRelay {
  tracks = new Map(); // "ns/name" → FakeTrack
  sessions = new Set();
  namespaces = new Map(); // joined → fields
  log = [];
  refuseJoining = 0; // how many joining FETCHes to refuse as if read before their SUBSCRIBE
  down = false;

  /** A constructor to pass as `WebTransport`. */
  get WebTransport() {
    const relay = this;
    return class extends FakeTransport {
      constructor(url, options) {
        super(url, options, new RelaySession(relay));
        this.server.transport = this;
      }
    };
  }

  announce(fields) {
    this.namespaces.set(fields.join('/'), fields);
    for (const s of this.sessions) s.announce(fields);
  }

  withdraw(fields) {
    this.namespaces.delete(fields.join('/'));
    for (const s of this.sessions) s.withdraw(fields);
  }

  track(fields, name) {
    const key = [...fields, name].join('/');
    let t = this.tracks.get(key);
    if (!t) this.tracks.set(key, (t = new FakeTrack(this)));
    return t;
  }

  /** Ends every track of a namespace, as a relay does that lost the publisher. */
  drop(fields, code = 2) {
    for (const [key, t] of this.tracks) {
      if (!key.startsWith(fields.join('/') + '/')) continue;
      for (const sub of t.subs) sub.done(code);
      this.tracks.delete(key);
    }
    this.withdraw(fields);
  }

  /** Resets the request streams of all subscriptions, as a relay may that is going down. */
  resetAll() {
    for (const t of this.tracks.values()) {
      for (const sub of t.subs) sub.writer.abort(new Error('reset')).catch(() => {});
      t.subs.clear();
    }
  }

  loseAll() {
    for (const s of this.sessions) s.transport.lose();
    this.sessions.clear();
    for (const t of this.tracks.values()) t.subs.clear();
  }
}

export class FakeTrack {
  groups = new Map(); // id → {objects: Uint8Array[], ended}
  subs = new Set();
  largest = null;

  constructor(relay) {
    this.relay = relay;
  }

  /** Publishes one object; object 0 opens its group and ends the one before. */
  push(group, object, payload) {
    if (object === 0) {
      for (const [id, g] of this.groups) {
        if (!g.ended) {
          g.ended = true;
          for (const sub of this.subs) sub.endGroup(id);
        }
      }
      this.groups.set(group, { objects: [], ended: false });
      for (const id of [...this.groups.keys()].slice(0, -3)) this.groups.delete(id);
    }
    this.groups.get(group).objects[object] = payload;
    this.largest = { group, object };
    for (const sub of this.subs) sub.object(group, object, payload);
  }
}

class RelaySession {
  nextAlias = 1;
  watches = [];
  subscriptions = new Map(); // request id → RelaySubscription

  constructor(relay) {
    this.relay = relay;
  }

  connected() {
    if (this.relay.down) throw new Error('refused');
    this.relay.sessions.add(this);
    const control = this.openUni();
    control.write(frame(0x2f00, new Writer().keyValues([{ type: 0x07, value: new TextEncoder().encode('fake') }])));
    this.control = control;
  }

  closed() {
    this.relay.sessions.delete(this);
    for (const sub of this.subscriptions.values()) sub.track.subs.delete(sub);
  }

  openUni() {
    const { readable, writable } = pipe();
    this.transport.uni.controller.enqueue(readable);
    return writable.getWriter();
  }

  async bidi({ readable, writable }) {
    const source = new Source(readable);
    const writer = writable.getWriter();
    try {
      const { type, body } = await readFrame(source);
      const id = body.varint();
      if (type === 0x03) await this.subscribe(id, body, source, writer);
      else if (type === 0x16) this.fetch(id, body, writer);
      else if (type === 0x50) await this.watch(id, body, source, writer);
      else writer.write(refusal(0x3, 'not supported'));
    } catch {
      // The client cancelled.
    }
  }

  async subscribe(id, body, source, writer) {
    const { namespace, name } = body.trackName();
    const track = this.relay.tracks.get([...namespace, name].join('/'));
    this.relay.log.push(`SUBSCRIBE ${name}`);
    if (!track || track.largest === null) {
      writer.write(refusal(0x10, '', 1));
      writer.close();
      return;
    }
    const sub = new RelaySubscription(this, track, this.nextAlias++, writer);
    this.subscriptions.set(id, sub);
    track.subs.add(sub);
    const w = new Writer().varint(sub.alias).varint(1).varint(0x09).location(track.largest);
    writer.write(frame(0x04, w));
    try {
      await source.drain();
    } finally {
      track.subs.delete(sub);
    }
  }

  fetch(id, body, writer) {
    const type = body.varint();
    const sub = this.subscriptions.get(body.varint());
    this.relay.log.push('FETCH');
    if (type !== 2 || !sub || this.relay.refuseJoining-- > 0) {
      writer.write(refusal(0x32, ''));
      return;
    }
    const { group, object } = sub.joined;
    writer.write(frame(0x18, new Writer().uint8(0).location({ group, object: object + 1 }).varint(0)));
    const w = this.openUni();
    w.write(new Writer().varint(0x05).varint(id).finish());
    sub.track.groups.get(group).objects.slice(0, object + 1).forEach((payload, i) => {
      const head = new Writer();
      if (i === 0) head.varint(0x1c).varint(group).varint(0).uint8(128);
      else head.varint(0x00);
      w.write(head.varint(payload.length).raw(payload).finish());
    });
    w.close();
  }

  async watch(id, body, source, writer) {
    const prefix = body.namespace().fields;
    this.watches.push({ prefix, writer });
    writer.write(frame(0x07, new Writer().varint(0)));
    for (const fields of this.relay.namespaces.values()) this.announce(fields);
    await source.drain();
  }

  announce(fields) {
    this.tell(0x08, fields);
  }
  withdraw(fields) {
    this.tell(0x0e, fields);
  }
  tell(type, fields) {
    for (const { prefix, writer } of this.watches) {
      if (prefix.every((f, i) => f === fields[i])) writer.write(frame(type, new Writer().namespace(fields.slice(prefix.length)))).catch(() => {});
    }
  }
}

class RelaySubscription {
  streams = new Map(); // group → writer
  opened = 0;

  constructor(session, track, alias, writer) {
    this.session = session;
    this.track = track;
    this.alias = alias;
    this.writer = writer;
    this.joined = { ...track.largest };
  }

  object(group, object, payload) {
    let w = this.streams.get(group);
    if (!w) {
      this.opened++;
      w = this.session.openUni();
      this.streams.set(group, w);
      // Subgroup 0, default priority, end of group, first object where it is.
      const type = 0x10 | 0x08 | 0x20 | (object === 0 ? 0x40 : 0);
      w.write(new Writer().varint(type).varint(this.alias).varint(group).finish()).catch(() => {});
      this.last = undefined;
    }
    const delta = this.last === undefined ? object : object - this.last - 1;
    this.last = object;
    w.write(new Writer().varint(delta).varint(payload.length).raw(payload).finish()).catch(() => {});
  }

  endGroup(group) {
    this.streams.get(group)?.close().catch(() => {});
    this.streams.delete(group);
  }

  done(code) {
    for (const group of [...this.streams.keys()]) this.endGroup(group);
    this.track.subs.delete(this);
    this.writer.write(frame(0x0b, new Writer().varint(code).varint(this.opened).bytes(''))).catch(() => {});
    this.writer.close().catch(() => {});
  }
}

function refusal(code, reason, interval = 0) {
  return frame(REQUEST_ERROR, new Writer().varint(code).varint(interval).bytes(reason));
}
