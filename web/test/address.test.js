import assert from 'node:assert/strict';
import test from 'node:test';
import { certificateHashes, parseAddress, parseAddresses, parseHashes } from '../player/address.js';
import { missing } from '../player/support.js';

test('addresses', async (t) => {
  const page = 'http://localhost:4443/?play=x';
  const vectors = [
    ['https://relay.example:4443/a/b/c', page, 'https://relay.example:4443/', ['a', 'b', 'c'], ['https://relay.example:4443/certificate.sha256']],
    ['https://relay.example/a', page, 'https://relay.example/', ['a'], ['https://relay.example/certificate.sha256']],
    ['moqt://relay.example:4443/a', page, 'https://relay.example:4443/', ['a'], ['https://relay.example:4443/certificate.sha256']],
    ['/live/cam', page, 'https://localhost:4443/', ['live', 'cam'], ['http://localhost:4443/certificate.sha256']],
    ['https://localhost:4443/live/', page, 'https://localhost:4443/', ['live'], ['http://localhost:4443/certificate.sha256']],
    ['https://localhost:4444/a', page, 'https://localhost:4444/', ['a'], ['http://localhost:4444/certificate.sha256', 'https://localhost:4444/certificate.sha256']],
    ['https://127.0.0.1:4444/a', page, 'https://127.0.0.1:4444/', ['a'], ['http://127.0.0.1:4444/certificate.sha256', 'https://127.0.0.1:4444/certificate.sha256']],
    ['/a%2Fb/%C3%A9', 'https://r.example/', 'https://r.example/', ['a/b', 'é'], ['https://r.example/certificate.sha256']],
    ['/', 'http://host/', 'https://host:80/', [], ['http://host/certificate.sha256']],
  ];
  for (const [src, base, relay, namespace, fingerprints] of vectors) {
    await t.test(src, () => assert.deepEqual(parseAddress(src, base), { relay, namespace, fingerprints }));
  }
  for (const bad of ['https://', 'ftp://x/a', 'javascript:alert(1)', 'https://x/%zz']) {
    await t.test(bad, () => assert.throws(() => parseAddress(bad, page), /is no URL of a broadcast/));
  }
});

test('hashes', () => {
  const hex = '00ff'.repeat(16);
  const colons = hex.match(/../g).join(':').toUpperCase();
  assert.equal(parseHashes(`${hex}\n`).length, 1);
  assert.deepEqual(parseHashes(colons)[0], parseHashes(hex)[0]);
  assert.deepEqual([...parseHashes(hex)[0].slice(0, 2)], [0, 255]);
  assert.equal(parseHashes(`${hex}\n${'ab'.repeat(32)}`).length, 2);
  for (const bad of ['', '<html>', hex.slice(1), hex + '00']) assert.deepEqual(parseHashes(bad), [], bad);
});

test('the first relay that answers tells the hash', async () => {
  const hex = 'ab'.repeat(32);
  const asked = [];
  const get = (answers) => async (url) => {
    asked.push(url);
    const a = answers.shift();
    if (!a) throw new TypeError('Failed to fetch');
    return { ok: a[0] === 200, status: a[0], text: async () => a[1] };
  };
  assert.equal((await certificateHashes(['a', 'b'], get([null, [200, hex]]))).length, 1);
  assert.deepEqual(asked, ['a', 'b']);
  assert.deepEqual(await certificateHashes(['a', 'b'], get([[404, '']])), [], 'a trusted certificate');
  assert.deepEqual(await certificateHashes(['a', 'b'], get([null, null])), []);
  assert.deepEqual(await certificateHashes([], get([])), []);
});

test('what a browser lacks is said in words', () => {
  class WT {
    get protocol() {
      return '';
    }
  }
  class OldWT {}
  const vectors = [
    [{ isSecureContext: true, WebTransport: WT, MediaSource: {} }, /^$/],
    [{ isSecureContext: true, WebTransport: WT, ManagedMediaSource: {} }, /^$/],
    [{ isSecureContext: false, WebTransport: WT, MediaSource: {} }, /not secure/],
    [{ isSecureContext: true, MediaSource: {} }, /no WebTransport/],
    [{ isSecureContext: true, WebTransport: OldWT, MediaSource: {} }, /cannot agree on a draft/],
    [{ isSecureContext: true, WebTransport: WT }, /no Media Source/],
  ];
  for (const [scope, want] of vectors) assert.match(missing(scope), want);
});

test('several cameras are at one relay', () => {
  const page = 'http://localhost:4443/?play=x';
  const of = (src) => {
    const { relay, namespace, spares } = parseAddresses(src, page);
    return [relay, namespace, spares];
  };
  assert.deepEqual(of('https://relay.example:4443/room/a'), ['https://relay.example:4443/', ['room', 'a'], []]);
  assert.deepEqual(of(' moqt://relay.example:4443/room/a  /room/b%20c\n/d '), ['https://relay.example:4443/', ['room', 'a'], [['room', 'b c'], ['d']]]);
  assert.deepEqual(of('/room/a https://localhost:4443/room/b'), ['https://localhost:4443/', ['room', 'a'], [['room', 'b']]]);
  assert.throws(() => of('https://relay.example:4443/a https://other.example:4443/b'), /not at the relay/);
  assert.throws(() => of('/a https://localhost:4443'), /names no broadcast/);
});
