// Objects on data streams and in datagrams ("Data Streams and Datagrams").

import { Reader } from './bytes.js';
import { WireError } from './errors.js';
import * as varint from './varint.js';

/** @import {KeyValue} from './bytes.js' */
/** @import {Source} from './source.js' */
/** @import {Vi64} from './varint.js' */

/** Object Status. */
export const Status = Object.freeze({ NORMAL: 0, END_OF_GROUP: 3, END_OF_TRACK: 4 });

/** Type of a FETCH_HEADER stream, of a padding stream and of a padding datagram. */
export const FETCH_HEADER = 0x05;
export const PADDING_STREAM = 0x132b3e28;
export const PADDING_DATAGRAM = 0x132b3e29;

/** Serialization Flags that stand for a range without objects. */
const END_OF_NON_EXISTENT_RANGE = 0x8c;
const END_OF_UNKNOWN_RANGE = 0x10c;

const EMPTY = new Uint8Array(0);

/**
 * @typedef {object} MoqObject
 * @property {Vi64} group
 * @property {Vi64} object id
 * @property {number} status NORMAL, or END_OF_GROUP and END_OF_TRACK: nothing at or after this location
 * @property {KeyValue[]} properties
 * @property {Uint8Array} payload
 */

/**
 * @typedef {object} SubgroupHeader
 * @property {Vi64} alias
 * @property {Vi64} group
 * @property {Vi64 | null} subgroup null: the id of the first object
 * @property {boolean} properties whether every object has the field
 * @property {boolean} endOfGroup whether FIN ends the group too
 * @property {boolean} firstObject whether the stream starts with the subgroup's first object
 */

/** @typedef {{maxObjectSize: number, maxPropertiesSize: number}} ObjectLimits in bytes */

/** Whether a stream type is a SUBGROUP_HEADER's, valid or not. @param {Vi64} type */
export function isSubgroup(type) {
  return type <= 0x7f && (Number(type) & 0x10) !== 0;
}

/**
 * Reads the rest of a SUBGROUP_HEADER.
 * @param {Source} source
 * @param {number} type as read
 * @returns {Promise<SubgroupHeader>}
 */
export async function readSubgroupHeader(source, type) {
  const mode = (type & 0x06) >> 1;
  if (mode === 3) throw new WireError(`subgroup stream type 0x${type.toString(16)}`);
  const alias = await source.varint('SUBGROUP_HEADER');
  const group = await source.varint('SUBGROUP_HEADER');
  const subgroup = mode === 0 ? 0 : mode === 1 ? null : await source.varint('SUBGROUP_HEADER');
  // The publisher's priority orders what the relay sends; here all has come.
  if ((type & 0x20) === 0) await source.uint8('SUBGROUP_HEADER');
  return {
    alias,
    group,
    subgroup,
    properties: (type & 0x01) !== 0,
    endOfGroup: (type & 0x08) !== 0,
    firstObject: (type & 0x40) !== 0,
  };
}

/**
 * Reads the objects of a subgroup stream until it ends.
 * @param {Source} source behind its header
 * @param {SubgroupHeader} header
 * @param {ObjectLimits} limits
 * @param {(o: MoqObject) => void} emit called for each object once it is complete
 * @returns {Promise<Vi64 | null>} id of the last object; null if there was none
 */
export async function readSubgroup(source, header, limits, emit) {
  /** @type {Vi64 | null} */
  let last = null;
  while (!(await source.ended())) {
    const delta = await source.varint('object');
    /** @type {Vi64} */
    const object = last === null ? delta : varint.add(last, delta, 1);
    const properties = header.properties ? await readProperties(source, limits) : [];
    const size = await readSize(source, limits);
    /** @type {number} */
    let status = Status.NORMAL;
    if (size === 0) status = checkStatus(await source.varint('object status'), properties);
    const payload = size === 0 ? EMPTY : await source.bytes(size, 'object payload');
    emit({ group: header.group, object, status, properties, payload });
    last = object;
  }
  return last;
}

/**
 * Reads the objects of a FETCH stream until it ends.
 * @param {Source} source behind its header
 * @param {ObjectLimits} limits
 * @param {{object(o: MoqObject): void, missing?(end: {group: Vi64, object: Vi64}, known: boolean): void}} sink
 *   missing: nothing between the last object and `end`; `known`: because there is nothing
 */
export async function readFetch(source, limits, sink) {
  /** @type {{group: Vi64, object: Vi64} | null} */
  let prior = null;
  let priorSubgroup = false;
  let priorPriority = false;
  while (!(await source.ended())) {
    const flags = await source.varint('serialization flags');
    if (flags === END_OF_NON_EXISTENT_RANGE || flags === END_OF_UNKNOWN_RANGE) {
      // These carry both ids, coded as an object's would be with both present.
      prior = locate(prior, await source.varint('range'), await source.varint('range'));
      // The grammar puts an Object Payload Length of 0 here; some peers leave
      // it out. A 0 that follows is taken for it.
      await source.skipZero();
      sink.missing?.(prior, flags === END_OF_NON_EXISTENT_RANGE);
      continue;
    }
    if (typeof flags === 'bigint' || flags > 0x7f) throw new WireError(`fetch stream: serialization flags 0x${flags.toString(16)}`);
    const datagram = (flags & 0x40) !== 0;
    const subgroupMode = datagram ? 0 : flags & 0x03;
    if (prior === null && (flags & 0x0c) !== 0x0c) throw new WireError('fetch stream: the first object leaves ids out');
    if (!priorSubgroup && (subgroupMode === 1 || subgroupMode === 2)) throw new WireError('fetch stream: no prior subgroup');
    if (!priorPriority && (flags & 0x10) === 0) throw new WireError('fetch stream: no prior priority');
    const group = (flags & 0x08) !== 0 ? await source.varint('group') : null;
    if (subgroupMode === 3) await source.varint('subgroup');
    const object = (flags & 0x04) !== 0 ? await source.varint('object') : null;
    if ((flags & 0x10) !== 0) await source.uint8('priority');
    const properties = (flags & 0x20) !== 0 ? await readProperties(source, limits) : [];
    const size = await readSize(source, limits);
    const payload = size === 0 ? EMPTY : await source.bytes(size, 'object payload');
    prior = locate(prior, group, object);
    priorSubgroup ||= !datagram;
    priorPriority = true;
    sink.object({ ...prior, status: Status.NORMAL, properties, payload });
  }
}

/**
 * Works out an object's location on an ascending FETCH stream ("Flags").
 * @param {{group: Vi64, object: Vi64} | null} prior
 * @param {Vi64 | null} groupDelta
 * @param {Vi64 | null} objectDelta
 */
function locate(prior, groupDelta, objectDelta) {
  if (prior === null) return { group: groupDelta ?? 0, object: objectDelta ?? 0 };
  const group = groupDelta === null ? prior.group : varint.add(prior.group, groupDelta, 1);
  if (objectDelta === null) return { group, object: varint.add(prior.object, 1) };
  return { group, object: groupDelta === null ? varint.add(prior.object, objectDelta) : objectDelta };
}

/** @param {Source} source @param {ObjectLimits} limits */
async function readProperties(source, limits) {
  const size = await source.varint('properties length');
  if (size > limits.maxPropertiesSize) throw new WireError(`object properties of ${size} bytes`);
  return new Reader(await source.bytes(Number(size), 'properties'), 'object properties').keyValues();
}

/** @param {Source} source @param {ObjectLimits} limits */
async function readSize(source, limits) {
  const size = await source.varint('payload length');
  if (size > limits.maxObjectSize) throw new WireError(`object of ${size} bytes, at most ${limits.maxObjectSize}`);
  return Number(size);
}

/** @param {Vi64} status @param {KeyValue[]} properties */
function checkStatus(status, properties) {
  if (status !== Status.NORMAL && status !== Status.END_OF_GROUP && status !== Status.END_OF_TRACK) {
    throw new WireError(`object status ${status}`);
  }
  if (status !== Status.NORMAL && properties.length > 0) throw new WireError(`properties on an object of status ${status}`);
  return status;
}

/**
 * Reads a datagram ("Object Datagram").
 * @param {Uint8Array} bytes
 * @returns {(MoqObject & {alias: Vi64}) | null} null for padding
 */
export function parseDatagram(bytes) {
  const r = new Reader(bytes, 'datagram');
  const type = r.varint();
  if (type === PADDING_DATAGRAM) return null;
  if (typeof type === 'bigint' || (type & ~0x2f) !== 0 || (type & 0x22) === 0x22) {
    throw new WireError(`datagram type 0x${type.toString(16)}`);
  }
  const alias = r.varint();
  const group = r.varint();
  const object = (type & 0x04) !== 0 ? 0 : r.varint();
  if ((type & 0x08) === 0) r.uint8();
  /** @type {KeyValue[]} */
  let properties = [];
  if ((type & 0x01) !== 0) {
    const raw = r.bytes(bytes.length, 'properties');
    if (raw.length === 0) throw new WireError('datagram: properties of length 0');
    properties = new Reader(raw, 'object properties').keyValues();
  }
  if ((type & 0x20) !== 0) {
    const status = checkStatus(r.varint(), properties);
    r.end();
    return { alias, group, object, status, properties, payload: EMPTY };
  }
  return { alias, group, object, status: Status.NORMAL, properties, payload: r.rest() };
}
