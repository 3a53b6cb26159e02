// vi64, the variable-length integer of the draft ("Variable-Length Integers"):
// the count of leading 1 bits of the first byte is the count of bytes that
// follow. All 64 bits can be used, more than a Number holds exactly, so a value
// is a Number up to 2^53-1 and a BigInt above. Each value has exactly one of
// the two forms, so `===`, `<` and Map keys work on mixed values.

import { WireError } from './errors.js';

/** @typedef {number | bigint} Vi64 an integer 0 to 2^64-1; BigInt only above 2^53-1 */

const MAX = (1n << 64n) - 1n;

/**
 * The one form of v.
 * @param {Vi64} v
 * @returns {Vi64}
 */
export function canonical(v) {
  return typeof v === 'bigint' && v <= Number.MAX_SAFE_INTEGER ? Number(v) : v;
}

/**
 * a + b + c, exact.
 * @param {Vi64} a
 * @param {Vi64} b
 * @param {number} [c]
 * @returns {Vi64}
 * @throws {WireError} where the sum is above 2^64-1
 */
export function add(a, b, c = 0) {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b + c;
    if (Number.isSafeInteger(sum)) return sum;
  }
  const sum = BigInt(a) + BigInt(b) + BigInt(c);
  if (sum > MAX) throw new WireError(`number above 2^64-1: ${a} + ${b} + ${c}`);
  return canonical(sum);
}

/**
 * a - b - c, exact.
 * @param {Vi64} a
 * @param {Vi64} b
 * @param {number} [c]
 * @returns {Vi64}
 * @throws {WireError} where the difference is negative
 */
export function subtract(a, b, c = 0) {
  const difference = BigInt(a) - BigInt(b) - BigInt(c);
  if (difference < 0n) throw new WireError(`number below 0: ${a} - ${b} - ${c}`);
  return canonical(difference);
}

/**
 * How many bytes a vi64 has whose first byte is `first`.
 * @param {number} first
 */
export function length(first) {
  return Math.clz32(~(first << 24)) + 1;
}

/**
 * Reads the vi64 that starts at `at`; all its bytes must be there.
 * @param {Uint8Array} bytes
 * @param {number} at
 * @returns {Vi64}
 */
export function decode(bytes, at) {
  const first = bytes[at];
  const extra = length(first) - 1;
  let high = extra >= 7 ? 0 : first & (0x7f >> extra);
  if (extra <= 5) {
    for (let i = 1; i <= extra; i++) high = high * 256 + bytes[at + i];
    return high;
  }
  let value = BigInt(high);
  for (let i = 1; i <= extra; i++) value = (value << 8n) | BigInt(bytes[at + i]);
  return canonical(value);
}

/**
 * The shortest encoding of v.
 * @param {Vi64} v
 * @returns {Uint8Array}
 * @throws {RangeError} where v is no integer from 0 to 2^64-1
 */
export function encode(v) {
  if (typeof v === 'number' && !Number.isSafeInteger(v)) throw new RangeError(`not an exact integer: ${v}`);
  let rest = BigInt(v);
  if (rest < 0n || rest > MAX) throw new RangeError(`not a vi64: ${v}`);
  let size = 1;
  while (size < 9 && rest >> BigInt(7 * size) > 0n) size++;
  const bytes = new Uint8Array(size);
  for (let i = size - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  bytes[0] |= (0xff00 >> (size - 1)) & 0xff;
  return bytes;
}
