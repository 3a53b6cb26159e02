// Control messages of draft-18 ("Control Messages") to bytes and back, as far
// as a subscriber needs them: it writes requests and reads their answers.

import { Reader, Writer } from './bytes.js';
import { RequestCode } from './codes.js';
import { WireError } from './errors.js';
import { Param, readParams, writeParams, encodeFilter } from './params.js';

/** @import {KeyValue} from './bytes.js' */
/** @import {Filter, Location, ParamValue, Params} from './params.js' */
/** @import {Vi64} from './varint.js' */

/** Types of control messages. */
export const Type = Object.freeze({
  REQUEST_UPDATE: 0x02,
  SUBSCRIBE: 0x03,
  SUBSCRIBE_OK: 0x04,
  REQUEST_ERROR: 0x05,
  PUBLISH_NAMESPACE: 0x06,
  REQUEST_OK: 0x07,
  NAMESPACE: 0x08,
  PUBLISH_DONE: 0x0b,
  TRACK_STATUS: 0x0d,
  NAMESPACE_DONE: 0x0e,
  PUBLISH_BLOCKED: 0x0f,
  GOAWAY: 0x10,
  FETCH: 0x16,
  FETCH_OK: 0x18,
  PUBLISH: 0x1d,
  SUBSCRIBE_NAMESPACE: 0x50,
  SUBSCRIBE_TRACKS: 0x51,
  SETUP: 0x2f00,
});

/** Longest New Session URI in bytes ("GOAWAY"). */
const MAX_URI_SIZE = 8192;

/** @typedef {{uri: string, namespace: string[], name: string}} Redirect */
/** @typedef {{type: 'SETUP', implementation: string}} Setup */
/** @typedef {{type: 'GOAWAY', uri: string, timeoutMs: Vi64}} Goaway */
/** @typedef {{type: 'SUBSCRIBE_OK', alias: Vi64, params: Params, properties: KeyValue[]}} SubscribeOk */
/** @typedef {{type: 'REQUEST_OK', params: Params}} RequestOk */
/** @typedef {{type: 'REQUEST_ERROR', code: Vi64, retryMs: number | null, reason: string, redirect: Redirect | null}} Refusal */
/** @typedef {{type: 'PUBLISH_DONE', code: Vi64, streams: Vi64, reason: string}} PublishDone */
/** @typedef {{type: 'FETCH_OK', endOfTrack: boolean, end: Location, params: Params, properties: KeyValue[]}} FetchOk */
/** @typedef {{type: 'NAMESPACE' | 'NAMESPACE_DONE', suffix: string[]}} NamespaceChange */
/** @typedef {SubscribeOk | RequestOk | Refusal | PublishDone | FetchOk | NamespaceChange | Goaway} Answer */
/** @typedef {'SUBSCRIBE' | 'FETCH' | 'SUBSCRIBE_NAMESPACE' | 'TRACK_STATUS'} RequestKind the requests this client makes */

/**
 * Frames a message: type, 16 bit length, payload.
 * @param {number} type
 * @param {Writer} payload
 * @throws {RangeError} where the payload is above 65535 bytes
 */
export function frame(type, payload) {
  const body = payload.finish();
  if (body.length > 0xffff) throw new RangeError(`control message of ${body.length} bytes`);
  return new Writer().varint(type).uint8(body.length >> 8).uint8(body.length).raw(body).finish();
}

/** @param {string} implementation name and version, sent as MOQT_IMPLEMENTATION */
export function setup(implementation) {
  const value = new TextEncoder().encode(implementation);
  return frame(Type.SETUP, new Writer().keyValues([{ type: 0x07, value }]));
}

/**
 * @typedef {object} SubscribeOptions
 * @property {Filter} [filter] none: every object from now on
 * @property {number} [priority] 0 to 255, lower is sent first; default 128
 * @property {number} [rendezvousMs] how long the relay may wait for a publisher; default 0
 */

/**
 * @param {Vi64} id
 * @param {readonly string[]} namespace
 * @param {string} name
 * @param {SubscribeOptions} options
 */
export function subscribe(id, namespace, name, options) {
  /** @type {Map<number, ParamValue>} */
  const params = new Map();
  if (options.rendezvousMs) params.set(Param.RENDEZVOUS_TIMEOUT, options.rendezvousMs);
  if (options.priority !== undefined) params.set(Param.SUBSCRIBER_PRIORITY, options.priority);
  if (options.filter) params.set(Param.SUBSCRIPTION_FILTER, encodeFilter(options.filter));
  const w = new Writer().varint(id).namespace(namespace).bytes(name);
  writeParams(w, params);
  return frame(Type.SUBSCRIBE, w);
}

/**
 * A joining FETCH with a relative start ("Joining Fetches").
 * @param {Vi64} id
 * @param {Vi64} subscription Request ID of the SUBSCRIBE that is joined
 * @param {number} groups how many groups before the newest to start; 0: at the newest
 * @param {{priority?: number}} options
 */
export function joiningFetch(id, subscription, groups, options) {
  const w = new Writer().varint(id).varint(2).varint(subscription).varint(groups);
  writeParams(w, fetchParams(options));
  return frame(Type.FETCH, w);
}

/**
 * A standalone FETCH ("Standalone Fetch").
 * @param {Vi64} id
 * @param {readonly string[]} namespace
 * @param {string} name
 * @param {Location} start
 * @param {Location} end the last wanted object's location, plus one; object 0: the whole group
 * @param {{priority?: number}} options
 */
export function standaloneFetch(id, namespace, name, start, end, options) {
  const w = new Writer().varint(id).varint(1).namespace(namespace).bytes(name).location(start).location(end);
  writeParams(w, fetchParams(options));
  return frame(Type.FETCH, w);
}

/** @param {{priority?: number}} options @returns {Map<number, ParamValue>} */
function fetchParams(options) {
  return options.priority === undefined ? new Map() : new Map([[Param.SUBSCRIBER_PRIORITY, options.priority]]);
}

/**
 * @param {Vi64} id
 * @param {ReadonlyMap<number, ParamValue>} params only what is to change
 */
export function requestUpdate(id, params) {
  const w = new Writer().varint(id);
  writeParams(w, params);
  return frame(Type.REQUEST_UPDATE, w);
}

/**
 * A TRACK_STATUS for the empty name under `.session`, which by "Session-Level
 * Tracks and Namespaces" does not exist and is never asked for elsewhere: the
 * peer itself answers, and at once.
 * @param {Vi64} id
 */
export function ping(id) {
  const w = new Writer().varint(id).namespace(['.session']).bytes('');
  writeParams(w, new Map());
  return frame(Type.TRACK_STATUS, w);
}

/** @param {Vi64} id @param {readonly string[]} prefix */
export function subscribeNamespace(id, prefix) {
  const w = new Writer().varint(id).namespace(prefix);
  writeParams(w, new Map());
  return frame(Type.SUBSCRIBE_NAMESPACE, w);
}

/** @param {number} code a RequestCode other than REDIRECT @param {string} reason */
export function requestError(code, reason) {
  return frame(Type.REQUEST_ERROR, new Writer().varint(code).varint(0).bytes(reason));
}

/**
 * Reads a message of the peer's control stream.
 * @param {Vi64} type
 * @param {Uint8Array} payload
 * @param {boolean} first whether it opens the stream
 * @returns {Setup | Goaway}
 */
export function parseControl(type, payload, first) {
  if (first !== (type === Type.SETUP)) throw new WireError(`control stream: message type 0x${type.toString(16)}`);
  if (type === Type.SETUP) return parseSetup(payload);
  if (type === Type.GOAWAY) return parseGoaway(payload, true);
  throw new WireError(`control stream: message type 0x${type.toString(16)}`);
}

/** @param {Uint8Array} payload @returns {Setup} */
function parseSetup(payload) {
  const r = new Reader(payload, 'SETUP');
  let implementation = '';
  for (const { type, value } of r.keyValues()) {
    if (type === 0x01) throw new WireError('SETUP: PATH from a server', 0x8);
    if (type === 0x05) throw new WireError('SETUP: AUTHORITY from a server', 0x19);
    if (type === 0x07 && value instanceof Uint8Array) implementation = new TextDecoder().decode(value);
  }
  return { type: 'SETUP', implementation };
}

/** @param {Uint8Array} payload @param {boolean} onControl @returns {Goaway} */
function parseGoaway(payload, onControl) {
  const r = new Reader(payload, 'GOAWAY');
  const uri = r.text(MAX_URI_SIZE, 'URI');
  const timeoutMs = r.varint();
  // Draft-19 drops the Request ID, so a peer may leave it out by mistake.
  if (onControl && r.left > 0 && BigInt(r.varint()) % 2n !== 0n) throw new WireError('GOAWAY: odd Request ID', 0x4);
  r.end();
  return { type: 'GOAWAY', uri, timeoutMs };
}

/**
 * Reads an answer on the stream of one of our requests.
 * @param {Vi64} type
 * @param {Uint8Array} payload
 * @param {RequestKind} request what the stream began with
 * @returns {Answer}
 */
export function parseAnswer(type, payload, request) {
  switch (type) {
    case Type.REQUEST_ERROR:
      return parseRefusal(payload, request);
    case Type.GOAWAY:
      return parseGoaway(payload, false);
    case Type.SUBSCRIBE_OK:
      if (request === 'SUBSCRIBE') return parseSubscribeOk(payload);
      break;
    case Type.PUBLISH_DONE:
      if (request === 'SUBSCRIBE') return parsePublishDone(payload);
      break;
    case Type.FETCH_OK:
      if (request === 'FETCH') return parseFetchOk(payload);
      break;
    case Type.REQUEST_OK:
      return parseRequestOk(payload, request);
    case Type.NAMESPACE:
    case Type.NAMESPACE_DONE:
      if (request === 'SUBSCRIBE_NAMESPACE') {
        const r = new Reader(payload, 'NAMESPACE');
        const { fields } = r.namespace();
        r.end();
        return { type: type === Type.NAMESPACE ? 'NAMESPACE' : 'NAMESPACE_DONE', suffix: fields };
      }
      break;
  }
  throw new WireError(`message type 0x${type.toString(16)} in answer to ${request}`);
}

/** @param {Uint8Array} payload @param {RequestKind} request @returns {RequestOk} */
function parseRequestOk(payload, request) {
  const r = new Reader(payload, 'REQUEST_OK');
  // To a SUBSCRIBE or FETCH it can only be the answer to a REQUEST_UPDATE.
  const params = readParams(r, request === 'SUBSCRIBE' || request === 'FETCH' ? 'REQUEST_UPDATE_OK' : `${request}_OK`);
  if (request === 'TRACK_STATUS') r.keyValues();
  r.end();
  return { type: 'REQUEST_OK', params };
}

/** @param {Uint8Array} payload @param {RequestKind} request @returns {Refusal} */
function parseRefusal(payload, request) {
  const r = new Reader(payload, 'REQUEST_ERROR');
  const code = r.varint();
  const interval = r.varint();
  const reason = r.reason();
  let redirect = null;
  if (code === RequestCode.REDIRECT) {
    const uri = r.text(MAX_URI_SIZE, 'URI');
    redirect = { uri, ...r.trackName() };
    if (request === 'SUBSCRIBE_NAMESPACE' && redirect.name) throw new WireError('REQUEST_ERROR: track name in the redirect of a namespace');
  }
  r.end();
  const retryMs = interval === 0 ? null : Number(interval) - 1;
  return { type: 'REQUEST_ERROR', code, retryMs, reason, redirect };
}

/** @param {Uint8Array} payload @returns {SubscribeOk} */
function parseSubscribeOk(payload) {
  const r = new Reader(payload, 'SUBSCRIBE_OK');
  return { type: 'SUBSCRIBE_OK', alias: r.varint(), params: readParams(r, 'SUBSCRIBE_OK'), properties: r.keyValues() };
}

/** @param {Uint8Array} payload @returns {PublishDone} */
function parsePublishDone(payload) {
  const r = new Reader(payload, 'PUBLISH_DONE');
  /** @type {PublishDone} */
  const done = { type: 'PUBLISH_DONE', code: r.varint(), streams: r.varint(), reason: r.reason() };
  r.end();
  return done;
}

/** @param {Uint8Array} payload @returns {FetchOk} */
function parseFetchOk(payload) {
  const r = new Reader(payload, 'FETCH_OK');
  const endOfTrack = r.uint8();
  if (endOfTrack > 1) throw new WireError(`FETCH_OK: End Of Track is ${endOfTrack}`);
  return {
    type: 'FETCH_OK',
    endOfTrack: endOfTrack === 1,
    end: r.location(),
    params: readParams(r, 'FETCH_OK'),
    properties: r.keyValues(),
  };
}

/**
 * Reads the first message of a request stream that the relay opened. This
 * client answers all of them with a refusal, so only the Request ID counts.
 * @param {Vi64} type
 * @param {Uint8Array} payload
 * @returns {{id: Vi64, code: number, reason: string}} the refusal
 */
export function parsePeerRequest(type, payload) {
  const id = new Reader(payload, 'request').varint();
  switch (type) {
    case Type.PUBLISH:
    case Type.PUBLISH_NAMESPACE:
      return { id, code: RequestCode.UNINTERESTED, reason: 'this player subscribes by itself' };
    case Type.SUBSCRIBE:
    case Type.FETCH:
    case Type.TRACK_STATUS:
      return { id, code: RequestCode.DOES_NOT_EXIST, reason: 'this player publishes nothing' };
    case Type.SUBSCRIBE_NAMESPACE:
    case Type.SUBSCRIBE_TRACKS:
      return { id, code: RequestCode.NOT_SUPPORTED, reason: 'this player publishes nothing' };
  }
  throw new WireError(`request stream begins with message type 0x${type.toString(16)}`);
}

/** Whether Track Properties hold a Mandatory Track Property, none of which this client knows. @param {readonly KeyValue[]} properties */
export function mandatoryProperty(properties) {
  return properties.find(({ type }) => type >= 0x4000 && type <= 0x7fff)?.type;
}
