import assert from 'node:assert/strict';
import test from 'node:test';
import { parseDatagram, readFetch, readSubgroup, readSubgroupHeader } from '../moqt/objects.js';
import { Source } from '../moqt/source.js';
import { hex } from './fake.js';

const limits = { maxObjectSize: 1000, maxPropertiesSize: 100 };

/** A stream of the bytes in chunks of `size`. */
function source(text, size = Infinity) {
  const bytes = hex(text);
  return new Source(
    new ReadableStream({
      start(c) {
        for (let i = 0; i < bytes.length; i += size) c.enqueue(bytes.slice(i, Math.min(bytes.length, i + size)));
        c.close();
      },
    }),
  );
}

async function subgroup(text, size) {
  const s = source(text, size);
  const header = await readSubgroupHeader(s, Number(await s.varint('type')));
  const objects = [];
  const last = await readSubgroup(s, header, limits, (o) => objects.push(o));
  return { header, objects, last };
}

async function fetched(text, size) {
  const s = source(text, size);
  await s.varint('type');
  await s.varint('id');
  const out = [];
  await readFetch(s, limits, { object: (o) => out.push(o), missing: (end, known) => out.push({ ...end, known }) });
  return out;
}

const abcd = hex('61626364');
const efgh = hex('65666768');

test('subgroup streams', async (t) => {
  // The first example of "Examples", and its variants by the bits of the type.
  const plain = [
    { group: 0, object: 0, status: 0, properties: [], payload: abcd },
    { group: 0, object: 1, status: 0, properties: [], payload: efgh },
  ];
  await t.test('example: subgroup id and priority present', async () => {
    const got = await subgroup('14 02 00 00 00 00 04 61626364 00 04 65666768');
    assert.deepEqual(got.objects, plain);
    assert.deepEqual(got.header, { alias: 2, group: 0, subgroup: 0, properties: false, endOfGroup: false, firstObject: false });
    assert.equal(got.last, 1);
  });
  await t.test('default priority, end of group, first object, byte by byte', async () => {
    const got = await subgroup('78 02 00 00 04 61626364 00 04 65666768', 1);
    assert.deepEqual(got.objects, plain);
    assert.deepEqual(got.header, { alias: 2, group: 0, subgroup: 0, properties: false, endOfGroup: true, firstObject: true });
  });
  await t.test('subgroup id is the first object id', async () => {
    const got = await subgroup('12 02 00 80 05 00 00 00 01 61');
    assert.equal(got.header.subgroup, null);
    assert.deepEqual(got.objects.map((o) => o.object), [5, 6]);
  });
  await t.test('example: properties', async () => {
    // The second example of "Examples": type 4, then 77 (delta 73) with 14 bytes.
    const text = '35 02 00 00 00 16 04 f082584393 49 0e 747261636549443a313233343536 04 61626364 00 00 04 65666768';
    const got = await subgroup(text);
    assert.equal(got.objects[0].properties[0].value, 2186822547);
    assert.equal(new TextDecoder().decode(got.objects[0].properties[1].value), 'traceID:123456');
    assert.deepEqual(got.objects[1].properties, []);
  });
  await t.test('object ids above 2^53 are exact', async () => {
    const got = await subgroup('70 02 00 fe1fffffffffffff 01 61 00 01 62');
    assert.deepEqual(got.objects.map((o) => o.object), [Number.MAX_SAFE_INTEGER, 9007199254740992n]);
  });
  await t.test('end of group and empty object', async () => {
    const got = await subgroup('70 02 07 00 00 00 00 00 03');
    assert.deepEqual(got.objects.map((o) => [o.object, o.status]), [[0, 0], [1, 3]]);
  });
});

test('malformed subgroup streams', async (t) => {
  const vectors = [
    ['subgroup mode 3', '16 02 00 00'],
    ['ends in the header', '14 02 00'],
    ['ends in an object', '70 02 00 00 04 6162'],
    ['ends before the length', '70 02 00 00'],
    ['object above the limit', '70 02 00 00 c0ffff'],
    ['object of 2^64-1 bytes', '70 02 00 00 ffffffffffffffffff'],
    ['properties above the limit', '71 02 00 00 ffffffffffffffffff'],
    ['status 1', '70 02 00 00 00 01'],
    ['properties on end of group', '71 02 00 00 02 0e 01 00 03'],
    ['object id above 2^64-1', '70 02 00 ffffffffffffffffff 01 61 00 01 61'],
    ['property ends early', '71 02 00 00 01 0e 01 61'],
  ];
  for (const [name, text] of vectors) await t.test(name, () => assert.rejects(subgroup(text), { name: 'WireError', code: 3 }));
});

test('fetch streams', async (t) => {
  // "Fetch Header": flags 1c are first object's group, object and priority.
  const ids = (out) => out.map((o) => [o.group, o.object, o.known]);
  const vectors = [
    ['single', '05 04 1c 00 00 80 04 deadbeef', [[0, 0, undefined]]],
    ['next object', '05 04 1c 00 00 80 04 deadbeef 00 02 cafe', [[0, 0, undefined], [0, 1, undefined]]],
    ['next group', '05 04 1c 05 00 80 01 aa 0c 00 00 01 bb', [[5, 0, undefined], [6, 0, undefined]]],
    ['object delta in a group', '05 04 1c 03 00 80 01 aa 04 04 01 bb', [[3, 0, undefined], [3, 4, undefined]]],
    ['object id goes on into a new group', '05 04 1c 00 07 80 01 aa 08 00 01 bb', [[0, 7, undefined], [1, 8, undefined]]],
    ['subgroup present, prior, prior plus one', '05 04 1f 00 09 00 80 01 aa 01 01 bb 02 01 cc', [[0, 0, undefined], [0, 1, undefined], [0, 2, undefined]]],
    ['datagram, properties, priority', '05 04 7c 00 00 80 02 0e 01 01 aa 50 40 01 bb', [[0, 0, undefined], [0, 1, undefined]]],
    ['nothing there', '05 04 808c 05 0a 00', [[5, 10, true]]],
    ['unknown range without length', '05 04 810c 05 0a', [[5, 10, false]]],
    ['object after a range', '05 04 1c 05 00 80 01 aa 808c 00 09 00 00 01 bb', [[5, 0, undefined], [6, 9, true], [6, 10, undefined]]],
    ['empty', '05 04', []],
  ];
  for (const [name, text, want] of vectors) {
    await t.test(name, async () => assert.deepEqual(ids(await fetched(text)), want));
    await t.test(`${name}, byte by byte`, async () => assert.deepEqual(ids(await fetched(text, 1)), want));
  }
});

test('malformed fetch streams', async (t) => {
  const vectors = [
    ['first object without group', '05 04 14 00 80 01 aa'],
    ['first object without priority', '05 04 0c 00 00 01 aa'],
    ['first object with prior subgroup', '05 04 1d 00 00 80 01 aa'],
    ['flags 0x80', '05 04 8080 00 00'],
    ['priority of no object before', '05 04 808c 00 00 00 04 00 01 aa'],
    ['group above 2^64-1', '05 04 1c ffffffffffffffffff 00 80 01 aa 08 00 01 bb'],
    ['ends in the payload', '05 04 1c 00 00 80 04 de'],
  ];
  for (const [name, text] of vectors) await t.test(name, () => assert.rejects(fetched(text), { name: 'WireError', code: 3 }));
});

test('datagrams', async (t) => {
  const vectors = [
    ['plain', '00 02 07 03 80 6162', { alias: 2, group: 7, object: 3, status: 0, properties: [], payload: hex('6162') }],
    ['object 0, default priority', '0c 02 07 6162', { alias: 2, group: 7, object: 0, status: 0, properties: [], payload: hex('6162') }],
    ['properties', '0d 02 07 02 0e 05 61', { alias: 2, group: 7, object: 0, status: 0, properties: [{ type: 14, value: 5 }], payload: hex('61') }],
    ['status', '28 02 07 03 03', { alias: 2, group: 7, object: 3, status: 3, properties: [], payload: new Uint8Array() }],
    ['padding', 'f0132b3e29 0000', null],
  ];
  for (const [name, text, want] of vectors) await t.test(name, () => assert.deepEqual(parseDatagram(hex(text)), want));
  for (const [name, text] of [
    ['status and end of group', '22 02 07 03 80 00'],
    ['bit 4', '10 02 07 03 80'],
    ['unknown type', '40 02 07'],
    ['properties of length 0', '0d 02 07 00 61'],
    ['ends in the header', '00 02'],
    ['bytes behind a status', '28 02 07 03 03 61'],
  ]) {
    await t.test(name, () => assert.throws(() => parseDatagram(hex(text)), { name: 'WireError', code: 3 }));
  }
});
