import assert from 'node:assert/strict';
import test from 'node:test';
import { Writer } from '../moqt/bytes.js';
import { Session } from '../moqt/session.js';
import { FakeRelay, ManualServer, frame, hex, readFrame, transport } from './fake.js';

async function connect(options = {}) {
  const server = new ManualServer();
  const session = await Session.connect('https://relay.test:4443/', { WebTransport: transport(server), ...options });
  return { server, session };
}

/** Subscribes and lets the server answer with alias 1. */
async function subscribed(options) {
  const { server, session } = await connect(options);
  server.setup();
  const objects = [];
  const ends = [];
  const subscription = session.subscribe(['a'], 'v', { object: (o) => objects.push(o), streamEnd: (e) => ends.push(e) });
  const request = await server.request(0);
  return { server, session, subscription, request, objects, ends };
}

const subscribeOk = (alias) => frame(0x04, new Writer().varint(alias).varint(0));
const done = (code, streams) => frame(0x0b, new Writer().varint(code).varint(streams).bytes(''));

/** Waits for a condition that other microtasks and streams bring about. */
async function until(condition) {
  for (let i = 0; i < 1000; i++) {
    if (condition()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.fail(`never: ${condition}`);
}

test('connecting offers the draft and the hashes, and sends SETUP first', async () => {
  const hash = new Uint8Array(32).fill(7);
  const { server, session } = await connect({ hashes: [hash] });
  assert.deepEqual(server.transport.options.protocols, ['moqt-18']);
  assert.deepEqual(server.transport.options.serverCertificateHashes, [{ algorithm: 'sha-256', value: hash }]);
  const control = await server.until(() => server.unis[0]);
  const { type } = await readFrame(control);
  assert.equal(type, 0x2f00);
  session.close();
  assert.deepEqual(server.closedInfo, { closeCode: 0, reason: '' });
});

test('a relay that chose no draft, or none at all, is told in words', async () => {
  const old = transport(new ManualServer());
  class Old extends old {
    protocol = '';
  }
  await assert.rejects(Session.connect('https://relay.test:4443/', { WebTransport: Old }), { code: 0x15, reason: 'relay.test:4443 does not speak moqt-18' });
  const server = new ManualServer();
  server.connected = () => Promise.reject(new Error('Opening handshake failed.'));
  await assert.rejects(Session.connect('https://relay.test:4443/', { WebTransport: transport(server) }), /no relay answers over QUIC \(UDP\) at relay\.test:4443/);
  const slow = new ManualServer();
  slow.connected = () => new Promise(() => {});
  await assert.rejects(Session.connect('https://relay.test:4443/', { WebTransport: transport(slow), timeoutMs: 5 }), /no relay answers/);
});

test('objects reach the sink of their alias, and streams their end', async () => {
  const { server, session, subscription, request, objects, ends } = await subscribed();
  assert.equal(request.first.type, 0x03);
  request.writer.write(frame(0x04, new Writer().varint(1).varint(1).varint(9).location({ group: 4, object: 2 })));
  assert.deepEqual(await subscription.ok, { alias: 1, largest: { group: 4, object: 2 } });
  const stream = server.openUni();
  stream.write(hex('78 01 05 00 01 61 00 01 62'));
  stream.close();
  await until(() => ends.length === 1);
  assert.deepEqual(objects.map((o) => [o.group, o.object]), [[5, 0], [5, 1]]);
  assert.deepEqual(ends, [{ group: 5, last: 1, complete: true, endOfGroup: true }]);
  session.close();
});

test('a stream that overtakes its SUBSCRIBE_OK waits for it', async () => {
  const { server, session, request, objects } = await subscribed();
  const stream = server.openUni();
  stream.write(hex('70 01 05 00 01 61'));
  await until(() => true);
  assert.equal(objects.length, 0);
  request.writer.write(subscribeOk(1));
  await until(() => objects.length === 1);
  session.close();
});

test('streams of unknown aliases are bounded in number and time, and stopped', async () => {
  const { server, session } = await connect({ limits: { maxWaiting: 1, aliasWaitMs: 20 } });
  server.setup();
  const first = server.openUni();
  first.write(hex('70 09 05 00 01 61'));
  await until(() => true);
  const second = server.openUni();
  second.write(hex('70 0a 05 00 01 61'));
  // The writer of a stopped stream learns it; that is STOP_SENDING here.
  await assert.rejects(second.closed, { code: 1 });
  await assert.rejects(first.closed, { code: 1 });
  assert.equal(session.over, false);
  session.close();
});

test('a reset stream ends itself and nothing else', async () => {
  const { server, session, request, objects, ends } = await subscribed();
  request.writer.write(subscribeOk(1));
  const stream = server.openUni();
  stream.write(hex('78 01 05 00 01 61'));
  await until(() => objects.length === 1);
  stream.abort(new Error('reset'));
  await until(() => ends.length === 1);
  assert.deepEqual(ends[0], { group: 5, last: 0, complete: false, endOfGroup: false });
  assert.equal(session.over, false);
  session.close();
});

test('a refusal has code, reason and time', async () => {
  const { session, subscription, request } = await subscribed();
  request.writer.write(frame(0x05, new Writer().varint(0x10).varint(501).bytes('gone')));
  await assert.rejects(subscription.ended, { name: 'RequestError', code: 0x10, retryMs: 500, reason: 'gone' });
  await assert.rejects(subscription.ok, { code: 0x10 });
  session.close();
});

test('PUBLISH_DONE ends the subscription, and late streams still count', async () => {
  const { server, session, subscription, request, objects } = await subscribed();
  request.writer.write(subscribeOk(1));
  request.writer.write(done(2, 1));
  await assert.rejects(subscription.ended, { name: 'TrackDone', code: 2 });
  const late = server.openUni();
  late.write(hex('70 01 05 00 01 61'));
  await until(() => objects.length === 1);
  late.close();
  // The count is reached: a further stream of the alias is stopped.
  await until(() => true);
  const more = server.openUni();
  more.write(hex('70 01 06 00 01 61'));
  await assert.rejects(more.closed, { code: 1 });
  session.close();
});

test('closing a subscription stops its request and its streams', async () => {
  const { server, session, subscription, request, objects } = await subscribed();
  request.writer.write(subscribeOk(1));
  await subscription.ok;
  const stream = server.openUni();
  stream.write(hex('70 01 05 00 01 61'));
  await until(() => objects.length === 1);
  subscription.close();
  await assert.rejects(stream.closed, { code: 1 });
  await assert.rejects(request.source.ended(), { name: 'StreamError', code: 1 });
  await subscription.ended;
  session.close();
});

test('streams of groups before a given one can be dropped', async () => {
  const { server, session, subscription, request, objects } = await subscribed();
  request.writer.write(subscribeOk(1));
  const old = server.openUni();
  old.write(hex('70 01 05 00 01 61'));
  const current = server.openUni();
  current.write(hex('70 01 06 00 01 61'));
  await until(() => objects.length === 2);
  subscription.dropBefore(6);
  await assert.rejects(old.closed, { code: 1 });
  current.write(hex('00 01 62'));
  await until(() => objects.length === 3);
  session.close();
});

test('a joining FETCH follows its SUBSCRIBE and brings its objects', async () => {
  const relay = new FakeRelay();
  const track = relay.track(['a'], 'v');
  track.push(7, 0, hex('61'));
  track.push(7, 1, hex('62'));
  const session = await Session.connect('https://relay.test/', { WebTransport: relay.WebTransport });
  const objects = [];
  const sink = { object: (o) => objects.push(o) };
  const subscription = session.subscribe(['a'], 'v', sink, { filter: { kind: 'largest' } });
  const fetch = session.fetchJoining(subscription, sink);
  await fetch.ended;
  track.push(7, 2, hex('63'));
  await until(() => objects.length === 3);
  assert.deepEqual(objects.map((o) => [o.group, o.object]), [[7, 0], [7, 1], [7, 2]]);
  assert.deepEqual(relay.log, ['SUBSCRIBE v', 'FETCH']);
  session.close();
});

test('namespaces come and go, and all go with the stream', async () => {
  const { server, session } = await connect();
  const events = [];
  const watch = session.watchNamespaces(['live'], { added: (n) => events.push('+' + n.join('/')), removed: (n) => events.push('-' + n.join('/')) });
  const request = await server.request(0);
  request.writer.write(frame(0x07, new Writer().varint(0)));
  await watch.ok;
  request.writer.write(frame(0x08, new Writer().namespace(['x'])));
  request.writer.write(frame(0x08, new Writer().namespace(['x'])));
  request.writer.write(frame(0x08, new Writer().namespace(['y', 'z'])));
  request.writer.write(frame(0x0e, new Writer().namespace(['x'])));
  request.writer.close();
  await assert.rejects(watch.ended, { name: 'StreamError' });
  assert.deepEqual(events, ['+live/x', '+live/y/z', '-live/x', '-live/y/z']);
  session.close();
});

test('a request of the relay is refused, politely', async () => {
  const { server, session } = await connect();
  const bidi = server.openBidi();
  bidi.writer.write(frame(0x1d, new Writer().varint(1).namespace(['a']).bytes('v').varint(5).varint(0)));
  const { type, body } = await readFrame(bidi.source);
  assert.equal(type, 0x05);
  assert.equal(body.varint(), 0x20);
  assert.equal(session.over, false);
  session.close();
});

test('GOAWAY is told, once', async () => {
  const { server, session } = await connect();
  const control = server.setup();
  control.write(frame(0x10, new Writer().bytes('https://other.test/').varint(500).varint(4)));
  assert.deepEqual(await session.goaway, { type: 'GOAWAY', uri: 'https://other.test/', timeoutMs: 500 });
  control.write(frame(0x10, new Writer().bytes('').varint(0)));
  assert.equal((await session.closed).code, 3);
});

test('the end of the session ends every request, with the reason', async (t) => {
  await t.test('closed by the relay', async () => {
    const { server, session, subscription } = await subscribed();
    server.transport.end(0x2, 'token expired');
    await assert.rejects(subscription.ended, { name: 'SessionError', code: 2, remote: true });
    assert.equal((await session.closed).words, 'token expired');
  });
  await t.test('connection lost', async () => {
    const { server, session, subscription } = await subscribed();
    server.transport.lose();
    await assert.rejects(subscription.ended, { name: 'SessionError' });
    assert.equal((await session.closed).words, 'the connection to the relay was lost');
  });
  await t.test('aborted', async () => {
    const abort = new AbortController();
    const { server, session } = await subscribed({ signal: abort.signal });
    abort.abort();
    await session.closed;
    assert.deepEqual(server.closedInfo, { closeCode: 0, reason: '' });
  });
});

test('what the draft forbids closes the session with its code', async (t) => {
  const uni = (text) => (server) => {
    const s = server.openUni();
    s.write(hex(text));
    s.close().catch(() => {});
  };
  const bidi = (bytes) => (server) => server.openBidi().writer.write(bytes);
  const vectors = [
    ['unknown stream type', 3, uni('06')],
    ['subgroup mode 3', 3, uni('16 01 00 00')],
    ['stream ends in its type', 3, uni('af')],
    ['empty stream', 3, uni('')],
    ['control stream closed', 3, uni('af00 0000')],
    ['SETUP with a PATH', 8, uni('af00 0002 01 00')],
    ['SUBSCRIBE on the control stream', 3, uni('af00 0000 03 0000')],
    ['second control stream', 3, (server) => (server.setup(), server.setup())],
    ['FETCH_HEADER of an id never used', 3, uni('05 20')],
    ['datagram type', 3, (server) => server.transport.datagramsIn.controller.enqueue(hex('40 00'))],
    ['request stream without a request', 3, bidi(hex('07 0001 00'))],
    ['even Request ID from the relay', 4, bidi(frame(0x1d, new Writer().varint(2)))],
    ['Request ID twice', 4, (server) => [0, 1].map(() => server.openBidi().writer.write(frame(0x1d, new Writer().varint(1))))],
    ['message of a publisher to a SUBSCRIBE', 3, (server, request) => request.writer.write(frame(0x18, new Writer().uint8(0)))],
    ['PUBLISH_DONE before SUBSCRIBE_OK', 3, (server, request) => request.writer.write(done(0, 0))],
    ['two SUBSCRIBE_OK', 3, (server, request) => [1, 2].map((a) => request.writer.write(subscribeOk(a)))],
    ['object stream that ends in an object', 3, (server, request) => (request.writer.write(subscribeOk(1)), uni('70 01 05 00 04 61')(server))],
  ];
  for (const [name, code, misbehave] of vectors) {
    await t.test(name, async () => {
      const server = new ManualServer();
      const session = await Session.connect('https://relay.test/', { WebTransport: transport(server) });
      session.subscribe(['a'], 'v', { object() {} });
      misbehave(server, await server.request(0));
      const err = await session.closed;
      assert.equal(err.code, code, err.message);
      assert.equal(server.closedInfo.closeCode, code);
    });
  }
  await t.test('alias of another track', async () => {
    const { server, session, request } = await subscribed();
    request.writer.write(subscribeOk(1));
    session.subscribe(['a'], 'w', { object() {} });
    (await server.request(1)).writer.write(subscribeOk(1));
    assert.equal((await session.closed).code, 5);
  });
  await t.test('no SETUP', async () => {
    const { session } = await connect({ limits: { setupMs: 5 } });
    assert.equal((await session.closed).code, 0x11);
  });
});

test('a track that needs an unknown extension is given up', async () => {
  const { session, subscription, request } = await subscribed();
  request.writer.write(frame(0x04, new Writer().varint(1).varint(0).varint(0x4002).varint(1)));
  await assert.rejects(subscription.ended, { name: 'RequestError', code: 0x33 });
  assert.equal(session.over, false);
  session.close();
});

test('a relay that vanished is noticed, one that is only silent is kept', async (t) => {
  await t.test('vanished', async () => {
    const { server, session, subscription } = await subscribed({ limits: { silenceMs: 5, answerMs: 5 } });
    assert.equal((await session.closed).words, 'the relay does not answer any more');
    assert.equal(server.closedInfo.closeCode, 0x11);
    await assert.rejects(subscription.ended, { code: 0x11 });
  });
  await t.test('silent', async () => {
    const { server, session } = await subscribed({ limits: { silenceMs: 5, answerMs: 2000 } });
    for (let i = 1; i <= 3; i++) {
      const ping = await server.request(i);
      assert.equal(ping.first.type, 0x0d);
      ping.writer.write(frame(0x05, new Writer().varint(0x10).varint(0).bytes('')));
    }
    assert.equal(session.over, false);
    session.close();
  });
});
