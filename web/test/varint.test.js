import assert from 'node:assert/strict';
import test from 'node:test';
import { add, decode, encode, length, subtract } from '../moqt/varint.js';
import { hex } from './fake.js';

// "Variable-Length Integers", table "Example Integer Encodings", and the edges
// of table "Summary of Integer Encodings".
const vectors = [
  ['25', 37],
  ['bbbd', 15293],
  ['ed7f3e7d', 226442877],
  ['faa1a0e403d8', 2893212287960],
  ['fc8998abc66bc0', 151288809941952],
  ['fefa318fa8e3ca11', 70423237261249041n],
  ['ffffffffffffffffff', 18446744073709551615n],
  ['00', 0],
  ['7f', 127],
  ['8080', 128],
  ['bfff', 16383],
  ['c04000', 16384],
  ['dfffff', 2097151],
  ['e0200000', 2097152],
  ['efffffff', 268435455],
  ['f010000000', 268435456],
  ['f7ffffffff', 34359738367],
  ['f80800000000', 34359738368],
  ['fbffffffffff', 4398046511103],
  ['fc040000000000', 4398046511104],
  ['fdffffffffffff', 562949953421311],
  ['fe02000000000000', 562949953421312],
  ['fe1fffffffffffff', Number.MAX_SAFE_INTEGER],
  ['fe20000000000000', 9007199254740992n],
  ['feffffffffffffff', 72057594037927935n],
  ['ff0100000000000000', 72057594037927936n],
];

for (const [text, value] of vectors) {
  test(`${text} is ${value}`, () => {
    const bytes = hex(text);
    assert.equal(length(bytes[0]), bytes.length);
    assert.strictEqual(decode(bytes, 0), value);
    assert.deepEqual(encode(value), bytes);
  });
}

test('longer encodings than needed are valid', () => {
  assert.strictEqual(decode(hex('8025'), 0), 37);
  assert.strictEqual(decode(hex('ff0000000000000025'), 0), 37);
  assert.strictEqual(decode(hex('00 e0000025'), 1), 37);
});

test('what is no vi64 is not encoded', () => {
  for (const v of [-1, 1.5, 2 ** 53, NaN, -1n, 1n << 64n]) assert.throws(() => encode(v), RangeError, String(v));
});

test('sums are exact and bounded', () => {
  assert.strictEqual(add(1, 2, 1), 4);
  assert.strictEqual(add(Number.MAX_SAFE_INTEGER, 1), 9007199254740992n);
  assert.strictEqual(add(18446744073709551614n, 0, 1), 18446744073709551615n);
  assert.throws(() => add(18446744073709551615n, 0, 1), { name: 'WireError', code: 3 });
  assert.strictEqual(subtract(9007199254740993n, 2), Number.MAX_SAFE_INTEGER);
  assert.throws(() => subtract(1, 1, 1), { name: 'WireError' });
});
