// Reading and writing the fields of complete messages.

import { SessionCode } from './codes.js';
import { WireError } from './errors.js';
import * as varint from './varint.js';

/** @import {Vi64} from './varint.js' */

/** Longest Key-Value-Pair value in bytes ("Key-Value-Pair Structure"). */
const MAX_VALUE_SIZE = 0xffff;
/** Longest reason phrase in bytes ("Reason Phrase Structure"). */
export const MAX_REASON_SIZE = 1024;
/** Limits of "Track Naming". */
export const MAX_NAMESPACE_FIELDS = 32;
export const MAX_FULL_NAME_SIZE = 4096;

/** @typedef {{type: Vi64, value: Vi64 | Uint8Array}} KeyValue even types carry a number, odd ones bytes */

const utf8 = new TextEncoder();
const text = new TextDecoder();
const strictText = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Appends fields to bytes. */
export class Writer {
  /** @type {number[]} */
  #bytes = [];

  /** @param {number} v one byte */
  uint8(v) {
    this.#bytes.push(v & 0xff);
    return this;
  }

  /** @param {Vi64} v */
  varint(v) {
    return this.raw(varint.encode(v));
  }

  /** @param {Uint8Array} b */
  raw(b) {
    for (const byte of b) this.#bytes.push(byte);
    return this;
  }

  /** @param {Uint8Array | string} b bytes, or text as UTF-8, after their length */
  bytes(b) {
    const raw = typeof b === 'string' ? utf8.encode(b) : b;
    return this.varint(raw.length).raw(raw);
  }

  /** @param {readonly string[]} fields a Track Namespace */
  namespace(fields) {
    this.varint(fields.length);
    for (const field of fields) this.bytes(field);
    return this;
  }

  /** @param {{group: Vi64, object: Vi64}} location */
  location({ group, object }) {
    return this.varint(group).varint(object);
  }

  /** @param {readonly KeyValue[]} pairs in ascending order of type */
  keyValues(pairs) {
    /** @type {Vi64} */
    let last = 0;
    for (const { type, value } of pairs) {
      this.varint(varint.subtract(type, last));
      last = type;
      if (value instanceof Uint8Array) this.bytes(value);
      else this.varint(value);
    }
    return this;
  }

  finish() {
    return Uint8Array.from(this.#bytes);
  }
}

/** Takes fields off bytes; every read beyond the end is a PROTOCOL_VIOLATION. */
export class Reader {
  #bytes;
  #at = 0;

  /**
   * @param {Uint8Array} bytes kept, and handed out in parts; must not change
   * @param {string} what named in errors
   */
  constructor(bytes, what) {
    this.#bytes = bytes;
    this.what = what;
  }

  get left() {
    return this.#bytes.length - this.#at;
  }

  /** @param {number} n */
  #need(n) {
    if (n > this.left) throw new WireError(`${this.what}: ${n} bytes wanted, ${this.left} left`);
  }

  uint8() {
    this.#need(1);
    return this.#bytes[this.#at++];
  }

  varint() {
    this.#need(1);
    const size = varint.length(this.#bytes[this.#at]);
    this.#need(size);
    const v = varint.decode(this.#bytes, this.#at);
    this.#at += size;
    return v;
  }

  /** @param {number} limit @param {string} field a number that may not be above limit */
  small(limit, field) {
    const v = this.varint();
    if (typeof v === 'bigint' || v > limit) throw new WireError(`${this.what}: ${field} is ${v}, at most ${limit}`);
    return v;
  }

  /** @param {number} n */
  raw(n) {
    this.#need(n);
    const part = this.#bytes.subarray(this.#at, this.#at + n);
    this.#at += n;
    return part;
  }

  rest() {
    return this.raw(this.left);
  }

  /** @param {number} limit @param {string} field */
  bytes(limit, field) {
    return this.raw(this.small(limit, `length of ${field}`));
  }

  /** @param {number} limit @param {string} field UTF-8; what is not is replaced */
  text(limit, field) {
    return text.decode(this.bytes(limit, field));
  }

  /**
   * A Track Namespace. A field that is not UTF-8 cannot be asked for by this
   * player; it is shown as U+FFFD and its bytes in hex.
   */
  namespace() {
    const count = this.small(MAX_NAMESPACE_FIELDS, 'number of namespace fields');
    const fields = [];
    let size = 0;
    for (let i = 0; i < count; i++) {
      const field = this.bytes(MAX_FULL_NAME_SIZE, 'namespace field');
      if (field.length === 0) throw new WireError(`${this.what}: namespace field ${i} is empty`);
      size += field.length;
      fields.push(printable(field));
    }
    if (size > MAX_FULL_NAME_SIZE) throw new WireError(`${this.what}: namespace of ${size} bytes`);
    return { fields, size };
  }

  /** A Full Track Name. */
  trackName() {
    const { fields, size } = this.namespace();
    const name = this.bytes(MAX_FULL_NAME_SIZE, 'track name');
    if (size + name.length > MAX_FULL_NAME_SIZE) throw new WireError(`${this.what}: full track name of ${size + name.length} bytes`);
    return { namespace: fields, name: printable(name) };
  }

  location() {
    return { group: this.varint(), object: this.varint() };
  }

  reason() {
    return this.text(MAX_REASON_SIZE, 'reason');
  }

  /**
   * Key-Value-Pairs up to the end.
   * @returns {KeyValue[]}
   */
  keyValues() {
    const pairs = [];
    /** @type {Vi64} */
    let type = 0;
    while (this.left > 0) {
      type = varint.add(type, this.varint());
      const odd = typeof type === 'bigint' ? (type & 1n) === 1n : type % 2 === 1;
      pairs.push({ type, value: odd ? this.bytes(MAX_VALUE_SIZE, 'value') : this.varint() });
    }
    return pairs;
  }

  /** Everything must have been read. */
  end() {
    if (this.left > 0) throw new WireError(`${this.what}: ${this.left} bytes too many`);
  }

  /** @param {string} why a value of a known type that its definition does not allow */
  badValue(why) {
    return new WireError(`${this.what}: ${why}`, SessionCode.KEY_VALUE_FORMATTING_ERROR);
  }
}

/** @param {Uint8Array} b */
function printable(b) {
  try {
    return strictText.decode(b);
  } catch {
    return '\uFFFD' + Array.from(b, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
}
