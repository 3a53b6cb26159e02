import assert from 'node:assert/strict';
import test from 'node:test';
import * as m from '../moqt/messages.js';
import { Param } from '../moqt/params.js';
import { hex } from './fake.js';

// Written from the message layouts of draft-18; the section is named.

test('requests are written as the draft lays them out', async (t) => {
  const vectors = [
    ['SETUP, "Setup Options" (MOQT IMPLEMENTATION 0x07)', m.setup('tributary-web'), 'af00 000f 07 0d 7472696275746172792d776562'],
    [
      'SUBSCRIBE, "Subscription Filters" (Largest Object) and SUBSCRIBER PRIORITY',
      m.subscribe(0, ['a', 'bc'], 'v', { filter: { kind: 'largest' }, priority: 64 }),
      '03 000f 00 02 01 61 02 6263 01 76 02 20 40 01 01 02',
    ],
    [
      'SUBSCRIBE, AbsoluteStart 300/0 and RENDEZVOUS TIMEOUT 5000',
      m.subscribe(2, ['a'], 'v', { filter: { kind: 'start', start: { group: 300, object: 0 } }, rendezvousMs: 5000 }),
      '03 0010 02 01 01 61 01 76 02 04 9388 1d 04 03 812c 00',
    ],
    ['SUBSCRIBE, unfiltered, empty namespace', m.subscribe(4, [], 'x', {}), '03 0005 04 00 01 78 00'],
    [
      'SUBSCRIBE, AbsoluteRange',
      m.subscribe(4, [], 'x', { filter: { kind: 'range', start: { group: 1, object: 2 }, endGroupDelta: 3 } }),
      '03 000b 04 00 01 78 01 21 04 04 01 02 03',
    ],
    ['SUBSCRIBE, Next Group Start', m.subscribe(4, [], 'x', { filter: { kind: 'next-group' } }), '03 0008 04 00 01 78 01 21 01 01'],
    ['FETCH, "Joining Fetches" (relative)', m.joiningFetch(6, 4, 0, {}), '16 0005 06 02 04 00 00'],
    ['FETCH, joining, priority 32', m.joiningFetch(6, 4, 1, { priority: 32 }), '16 0007 06 02 04 01 01 20 20'],
    [
      'FETCH, "Standalone Fetch"',
      m.standaloneFetch(8, ['a'], 'v', { group: 1, object: 0 }, { group: 2, object: 0 }, {}),
      '16 000c 08 01 01 01 61 01 76 01 00 02 00 00',
    ],
    ['REQUEST_UPDATE, FORWARD 0', m.requestUpdate(10, new Map([[Param.FORWARD, 0]])), '02 0004 0a 01 10 00'],
    ['SUBSCRIBE_NAMESPACE, empty prefix', m.subscribeNamespace(12, []), '50 0003 0c 00 00'],
    ['SUBSCRIBE_NAMESPACE, prefix', m.subscribeNamespace(12, ['live', 'é']), '50 000b 0c 02 04 6c697665 02 c3a9 00'],
    ['TRACK_STATUS, "Session-Level Tracks" (.session, empty name)', m.ping(14), '0d 000d 0e 01 08 2e73657373696f6e 00 00'],
    ['REQUEST_ERROR, UNINTERESTED', m.requestError(0x20, 'no'), '05 0005 20 00 02 6e6f'],
  ];
  for (const [name, got, want] of vectors) await t.test(name, () => assert.deepEqual(got, hex(want)));
});

test('answers are read', async (t) => {
  const vectors = [
    ['SUBSCRIBE_OK', 0x04, 'SUBSCRIBE', '07 01 09 812c 05', { type: 'SUBSCRIBE_OK', alias: 7, params: new Map([[9, { group: 300, object: 5 }]]), properties: [] }],
    [
      'SUBSCRIBE_OK with EXPIRES and track properties',
      0x04,
      'SUBSCRIBE',
      '07 02 08 64 01 01 00 0e 40 14 01',
      { type: 'SUBSCRIBE_OK', alias: 7, params: new Map([[8, 100], [9, { group: 1, object: 0 }]]), properties: [{ type: 14, value: 64 }, { type: 34, value: 1 }] },
    ],
    ['REQUEST_OK', 0x07, 'SUBSCRIBE_NAMESPACE', '00', { type: 'REQUEST_OK', params: new Map() }],
    ['REQUEST_ERROR', 0x05, 'SUBSCRIBE', '10 01 02 6e6f', { type: 'REQUEST_ERROR', code: 16, retryMs: 0, reason: 'no', redirect: null }],
    ['REQUEST_ERROR, never again', 0x05, 'FETCH', '11 00 00', { type: 'REQUEST_ERROR', code: 17, retryMs: null, reason: '', redirect: null }],
    [
      'REQUEST_ERROR, "Redirect Structure"',
      0x05,
      'SUBSCRIBE',
      '34 8065 00 01 75 01 01 61 01 62',
      { type: 'REQUEST_ERROR', code: 0x34, retryMs: 100, reason: '', redirect: { uri: 'u', namespace: ['a'], name: 'b' } },
    ],
    ['PUBLISH_DONE', 0x0b, 'SUBSCRIBE', '02 05 00', { type: 'PUBLISH_DONE', code: 2, streams: 5, reason: '' }],
    ['PUBLISH_DONE, count unknown', 0x0b, 'SUBSCRIBE', '02 ff3fffffffffffffff 00', { type: 'PUBLISH_DONE', code: 2, streams: (1n << 62n) - 1n, reason: '' }],
    ['FETCH_OK', 0x18, 'FETCH', '00 05 03 00', { type: 'FETCH_OK', endOfTrack: false, end: { group: 5, object: 3 }, params: new Map(), properties: [] }],
    ['NAMESPACE', 0x08, 'SUBSCRIBE_NAMESPACE', '01 01 61', { type: 'NAMESPACE', suffix: ['a'] }],
    ['NAMESPACE_DONE', 0x0e, 'SUBSCRIBE_NAMESPACE', '00', { type: 'NAMESPACE_DONE', suffix: [] }],
    ['NAMESPACE, not UTF-8', 0x08, 'SUBSCRIBE_NAMESPACE', '01 02 ff00', { type: 'NAMESPACE', suffix: ['\uFFFDff00'] }],
    ['GOAWAY on a request', 0x10, 'SUBSCRIBE', '01 75 64', { type: 'GOAWAY', uri: 'u', timeoutMs: 100 }],
  ];
  for (const [name, type, request, body, want] of vectors) {
    await t.test(name, () => assert.deepEqual(m.parseAnswer(type, hex(body), request), want));
  }
});

test('the control stream is read', () => {
  assert.deepEqual(m.parseControl(0x2f00, hex('04 8400 03 04 6d6f7174'), true), { type: 'SETUP', implementation: 'moqt' });
  assert.deepEqual(m.parseControl(0x10, hex('00 87d0 04'), false), { type: 'GOAWAY', uri: '', timeoutMs: 2000 });
  assert.deepEqual(m.parseControl(0x10, hex('00 00'), false), { type: 'GOAWAY', uri: '', timeoutMs: 0 });
});

test('malformed messages name the session code', async (t) => {
  const longName = '01' + '9000' + '61'.repeat(4096); // a field of 4096 bytes
  const vectors = [
    ['SUBSCRIBE_OK ends early', 0x04, 'SUBSCRIBE', '07 01', 3],
    ['SUBSCRIBE_OK without parameters', 0x04, 'SUBSCRIBE', '07', 3],
    ['more parameters than bytes', 0x04, 'SUBSCRIBE', '07 bfff 09 01 02', 3],
    ['unknown parameter', 0x04, 'SUBSCRIBE', '07 01 0b 01', 3],
    ['parameter of another message', 0x04, 'SUBSCRIBE', '07 01 10 01', 3],
    ['parameter twice', 0x04, 'SUBSCRIBE', '07 02 08 01 00 02', 3],
    ['parameter type above 2^64-1', 0x04, 'SUBSCRIBE', '07 02 08 01 ffffffffffffffffff 00', 3],
    ['property longer than the message', 0x04, 'SUBSCRIBE', '07 00 05 7f 00', 3],
    ['property longer than 65535', 0x04, 'SUBSCRIBE', '07 00 05 c10000', 3],
    ['reason longer than 1024', 0x05, 'SUBSCRIBE', '10 00 8401' + '61'.repeat(1025), 3],
    ['reason longer than the message', 0x05, 'SUBSCRIBE', '10 00 05 61', 3],
    ['bytes behind a message', 0x05, 'SUBSCRIBE', '10 00 00 00', 3],
    ['redirect of a namespace with a track name', 0x05, 'SUBSCRIBE_NAMESPACE', '34 00 00 00 00 01 62', 3],
    ['End Of Track 2', 0x18, 'FETCH', '02 05 03 00', 3],
    ['FETCH_OK to a SUBSCRIBE', 0x18, 'SUBSCRIBE', '00 05 03 00', 3],
    ['SUBSCRIBE_OK to a FETCH', 0x04, 'FETCH', '07 00', 3],
    ['track properties in SUBSCRIBE_NAMESPACE_OK', 0x07, 'SUBSCRIBE_NAMESPACE', '00 0e 40', 3],
    ['33 namespace fields', 0x08, 'SUBSCRIBE_NAMESPACE', '21' + '0161'.repeat(33), 3],
    ['empty namespace field', 0x08, 'SUBSCRIBE_NAMESPACE', '01 00', 3],
    ['namespace of 4097 bytes', 0x08, 'SUBSCRIBE_NAMESPACE', '02' + longName.slice(2) + '0161', 3],
    ['message of another draft', 0x1a, 'SUBSCRIBE', '', 3],
    ['empty payload', 0x0b, 'SUBSCRIBE', '', 3],
  ];
  for (const [name, type, request, body, code] of vectors) {
    await t.test(name, () => assert.throws(() => m.parseAnswer(type, hex(body), request), { name: 'WireError', code }));
  }
  await t.test('PATH from a server', () => assert.throws(() => m.parseControl(0x2f00, hex('01 00'), true), { code: 8 }));
  await t.test('AUTHORITY from a server', () => assert.throws(() => m.parseControl(0x2f00, hex('05 00'), true), { code: 0x19 }));
  await t.test('control stream without SETUP', () => assert.throws(() => m.parseControl(0x10, hex('00 00'), true), { code: 3 }));
  await t.test('second SETUP', () => assert.throws(() => m.parseControl(0x2f00, hex(''), false), { code: 3 }));
  await t.test('GOAWAY with an odd Request ID', () => assert.throws(() => m.parseControl(0x10, hex('00 00 03'), false), { code: 4 }));
});

test('every cut of every answer is refused, not misread', () => {
  const whole = [
    [0x04, 'SUBSCRIBE', '07 02 08 64 01 01 00 0e 40'],
    [0x05, 'SUBSCRIBE', '34 8065 00 01 75 01 01 61 01 62'],
    [0x0b, 'SUBSCRIBE', '02 05 02 6161'],
    [0x18, 'FETCH', '00 05 03 00 0e 40'],
    [0x08, 'SUBSCRIBE_NAMESPACE', '02 01 61 01 62'],
  ];
  for (const [type, request, text] of whole) {
    const bytes = hex(text);
    const properties = type === 0x04 || type === 0x18 ? 2 : 0; // a cut before these is a whole message
    for (let n = 0; n < bytes.length; n++) {
      if (n === bytes.length - properties) continue;
      assert.throws(() => m.parseAnswer(type, bytes.subarray(0, n), request), { name: 'WireError' }, `${text} cut at ${n}`);
    }
  }
});

test('a mandatory track property is found', () => {
  assert.equal(m.mandatoryProperty([{ type: 14, value: 1 }]), undefined);
  assert.equal(m.mandatoryProperty([{ type: 14, value: 1 }, { type: 0x4001, value: new Uint8Array() }]), 0x4001);
});

test('requests of the relay are refused by kind', () => {
  assert.deepEqual(m.parsePeerRequest(0x1d, hex('01 00')).code, 0x20);
  assert.deepEqual(m.parsePeerRequest(0x03, hex('03')).code, 0x10);
  assert.deepEqual(m.parsePeerRequest(0x50, hex('05')).id, 5);
  assert.throws(() => m.parsePeerRequest(0x04, hex('01')), { name: 'WireError', code: 3 });
});
