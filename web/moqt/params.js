// Message Parameters ("Message Parameters"). Every one has its own value form
// and its own set of messages; an unknown one cannot be skipped and closes the
// session, as does one in a message it is not defined for.

import { Reader, Writer } from './bytes.js';
import { WireError } from './errors.js';
import * as varint from './varint.js';

/** @import {Vi64} from './varint.js' */

export const Param = Object.freeze({
  OBJECT_DELIVERY_TIMEOUT: 0x02,
  AUTHORIZATION_TOKEN: 0x03,
  RENDEZVOUS_TIMEOUT: 0x04,
  SUBGROUP_DELIVERY_TIMEOUT: 0x06,
  EXPIRES: 0x08,
  LARGEST_OBJECT: 0x09,
  FILL_TIMEOUT: 0x0a,
  FORWARD: 0x10,
  SUBSCRIBER_PRIORITY: 0x20,
  SUBSCRIPTION_FILTER: 0x21,
  GROUP_ORDER: 0x22,
  NEW_GROUP_REQUEST: 0x32,
  TRACK_NAMESPACE_PREFIX: 0x34,
});

/** @typedef {'uint8' | 'varint' | 'location' | 'bytes' | 'namespace'} Form */
/** @typedef {{group: Vi64, object: Vi64}} Location */
/** @typedef {number | bigint | Location | Uint8Array | readonly string[]} ParamValue */
/** @typedef {Map<number, ParamValue>} Params by type; repeated tokens keep the last */

/**
 * Names of messages a parameter may be in; REQUEST_OK is named after what it answers.
 * @type {ReadonlyMap<number, {form: Form, messages: readonly string[], repeats?: true}>}
 */
const DEFINITIONS = new Map([
  [Param.OBJECT_DELIVERY_TIMEOUT, { form: 'varint', messages: ['SUBSCRIBE', 'REQUEST_UPDATE', 'PUBLISH_OK'] }],
  [
    Param.AUTHORIZATION_TOKEN,
    {
      form: 'bytes',
      repeats: true,
      messages: ['PUBLISH', 'SUBSCRIBE', 'REQUEST_UPDATE', 'SUBSCRIBE_NAMESPACE', 'SUBSCRIBE_TRACKS', 'PUBLISH_NAMESPACE', 'TRACK_STATUS', 'FETCH'],
    },
  ],
  [Param.RENDEZVOUS_TIMEOUT, { form: 'varint', messages: ['SUBSCRIBE'] }],
  [Param.SUBGROUP_DELIVERY_TIMEOUT, { form: 'varint', messages: ['SUBSCRIBE', 'REQUEST_UPDATE', 'PUBLISH_OK'] }],
  [Param.EXPIRES, { form: 'varint', messages: ['SUBSCRIBE_OK', 'PUBLISH', 'PUBLISH_OK', 'REQUEST_UPDATE_OK'] }],
  [Param.LARGEST_OBJECT, { form: 'location', messages: ['SUBSCRIBE_OK', 'PUBLISH', 'REQUEST_UPDATE_OK', 'TRACK_STATUS_OK'] }],
  [Param.FILL_TIMEOUT, { form: 'varint', messages: ['FETCH'] }],
  [Param.FORWARD, { form: 'uint8', messages: ['SUBSCRIBE', 'REQUEST_UPDATE', 'PUBLISH', 'PUBLISH_OK', 'SUBSCRIBE_TRACKS'] }],
  [Param.SUBSCRIBER_PRIORITY, { form: 'uint8', messages: ['SUBSCRIBE', 'FETCH', 'REQUEST_UPDATE', 'PUBLISH_OK'] }],
  [Param.SUBSCRIPTION_FILTER, { form: 'bytes', messages: ['SUBSCRIBE', 'REQUEST_UPDATE', 'PUBLISH_OK'] }],
  [Param.GROUP_ORDER, { form: 'uint8', messages: ['SUBSCRIBE', 'FETCH', 'PUBLISH_OK'] }],
  [Param.NEW_GROUP_REQUEST, { form: 'varint', messages: ['SUBSCRIBE', 'REQUEST_UPDATE', 'PUBLISH_OK'] }],
  [Param.TRACK_NAMESPACE_PREFIX, { form: 'namespace', messages: ['REQUEST_UPDATE'] }],
]);

/**
 * Appends the count and the parameters, in ascending order of type.
 * @param {Writer} w
 * @param {ReadonlyMap<number, ParamValue>} params
 */
export function writeParams(w, params) {
  w.varint(params.size);
  let last = 0;
  for (const [type, value] of [...params].sort(([a], [b]) => a - b)) {
    w.varint(type - last);
    last = type;
    switch (DEFINITIONS.get(type)?.form) {
      case 'uint8':
        w.uint8(/** @type {number} */ (value));
        break;
      case 'varint':
        w.varint(/** @type {Vi64} */ (value));
        break;
      case 'location':
        w.location(/** @type {Location} */ (value));
        break;
      case 'bytes':
        w.bytes(/** @type {Uint8Array} */ (value));
        break;
      case 'namespace':
        w.namespace(/** @type {readonly string[]} */ (value));
        break;
      default:
        throw new RangeError(`unknown parameter 0x${type.toString(16)}`);
    }
  }
}

/**
 * Reads the count and the parameters of a message.
 * @param {Reader} r
 * @param {string} message its name in the draft; "REQUEST_OK" allows what any of its uses may have
 * @returns {Params}
 */
export function readParams(r, message) {
  /** @type {Params} */
  const params = new Map();
  // Each parameter has at least two bytes, so a larger count cannot be true.
  const count = r.small(r.left >> 1, 'number of parameters');
  /** @type {Vi64} */
  let last = 0;
  for (let i = 0; i < count; i++) {
    const type = varint.add(last, r.varint());
    const definition = typeof type === 'number' ? DEFINITIONS.get(type) : undefined;
    if (typeof type !== 'number' || !definition) throw new WireError(`${message}: unknown parameter 0x${type.toString(16)}`);
    if (!definition.messages.some((name) => name === message || (message === 'REQUEST_OK' && name.endsWith('_OK')))) {
      throw new WireError(`${message}: parameter 0x${type.toString(16)} does not belong here`);
    }
    if (i > 0 && type === last && !definition.repeats) throw new WireError(`${message}: parameter 0x${type.toString(16)} twice`);
    last = type;
    params.set(type, readValue(r, type, definition.form));
  }
  return params;
}

/**
 * @param {Reader} r
 * @param {number} type
 * @param {Form} form
 * @returns {ParamValue}
 */
function readValue(r, type, form) {
  switch (form) {
    case 'varint':
      return r.varint();
    case 'location':
      return r.location();
    case 'bytes':
      return r.bytes(0xffff, 'parameter');
    case 'namespace':
      return r.namespace().fields;
    case 'uint8': {
      const v = r.uint8();
      if (type === Param.FORWARD && v > 1) throw new WireError(`${r.what}: FORWARD is ${v}`);
      if (type === Param.GROUP_ORDER && (v < 1 || v > 2)) throw new WireError(`${r.what}: GROUP_ORDER is ${v}`);
      return v;
    }
  }
}

/**
 * A Subscription Filter ("Subscription Filters"), in the draft-18 form.
 * @typedef {{kind: 'next-group'} | {kind: 'largest'} | {kind: 'start', start: Location} |
 *   {kind: 'range', start: Location, endGroupDelta: Vi64}} Filter
 */

/** @param {Filter} filter @returns {Uint8Array} */
export function encodeFilter(filter) {
  const w = new Writer();
  switch (filter.kind) {
    case 'next-group':
      return w.varint(1).finish();
    case 'largest':
      return w.varint(2).finish();
    case 'start':
      return w.varint(3).location(filter.start).finish();
    case 'range':
      return w.varint(4).location(filter.start).varint(filter.endGroupDelta).finish();
  }
}
