// Requests of this client: each lives on a bidi stream of its own, from its
// first message to the end of the stream ("Request Cancellation and Rejection").

import { RequestCode, SessionCode, StreamCode } from './codes.js';
import { deferred } from './deferred.js';
import { RequestError, SessionError, StreamError, WireError } from './errors.js';
import { mandatoryProperty } from './messages.js';
import { Param } from './params.js';
import { streamError } from './source.js';

/** @import {Answer, FetchOk, PublishDone, RequestKind, SubscribeOk} from './messages.js' */
/** @import {MoqObject, SubgroupHeader} from './objects.js' */
/** @import {Location} from './params.js' */
/** @import {Source} from './source.js' */
/** @import {Vi64} from './varint.js' */

/** How long late streams of an ended subscription are still taken in, in ms. */
const LINGER_MS = 2000;
/** Most namespaces one watch keeps. */
const MAX_NAMESPACES = 10_000;

/**
 * @typedef {object} TrackSink where the objects of a subscription or fetch go
 * @property {(o: MoqObject) => void} object
 * @property {(end: StreamEnd) => void} [streamEnd] after the last object of a subgroup stream
 * @property {(end: Location, known: boolean) => void} [missing] on a fetch: no objects up to `end`
 */

/**
 * @typedef {object} StreamEnd
 * @property {Vi64} group
 * @property {Vi64 | null} last id of the last object that came; null if none did
 * @property {boolean} complete whether it ended with FIN, not a reset
 * @property {boolean} endOfGroup whether `last` is the last object of the group
 */

/** What every request has. Made by {@link Session}; `close` ends it from this side. */
export class Request {
  /** @type {ReturnType<typeof deferred<void>>} */
  #ended = deferred();
  /** @type {WritableStreamDefaultWriter<Uint8Array> | null} */
  #writer = null;
  /** @type {Source | null} */
  #source = null;
  #over = false;
  #closed = false;
  #answered = false;

  /**
   * @param {RequestKind} kind
   * @param {Vi64} id
   */
  constructor(kind, id) {
    this.kind = kind;
    this.id = id;
    /** Settles when nothing more will come; rejects with the reason if it is not a plain end. */
    this.ended = this.#ended.promise;
  }

  /** Whether the request has ended or was closed. */
  get over() {
    return this.#over;
  }

  /** Whether it was ended from this side. */
  get closed() {
    return this.#closed;
  }

  /**
   * @param {WritableStreamDefaultWriter<Uint8Array>} writer
   * @param {Source} source
   */
  attach(writer, source) {
    this.#writer = writer;
    this.#source = source;
    if (this.#over) this.#abandon(StreamCode.CANCELLED);
  }

  /** Cancels the request. Objects that still arrive are dropped. */
  close() {
    this.#closed = true;
    if (this.#over) return;
    this.#abandon(StreamCode.CANCELLED);
    this.end(null);
  }

  /** @param {number} code */
  #abandon(code) {
    this.#source?.cancel(code);
    this.#writer?.abort(streamError(code)).catch(() => {});
  }

  /**
   * The one way out: after this no answer is taken.
   * @param {Error | null} reason null for a plain end
   */
  end(reason) {
    if (this.#over) return;
    this.#over = true;
    this.onEnd(reason ?? new StreamError(StreamCode.CANCELLED));
    if (reason) this.#ended.reject(reason);
    else this.#ended.resolve();
  }

  /** @param {Answer} message @throws {WireError} where it must not come now */
  handle(message) {
    switch (message.type) {
      case 'REQUEST_ERROR':
        if (this.#answered) throw new WireError(`REQUEST_ERROR after the answer to ${this.kind}`);
        this.#answered = true;
        this.end(new RequestError(message.code, message.reason, message.retryMs, message.redirect));
        return;
      case 'GOAWAY':
        this.#abandon(StreamCode.GOING_AWAY);
        this.end(new RequestError(RequestCode.GOING_AWAY, '', 0, { uri: message.uri, namespace: [], name: '' }));
        return;
    }
    this.onAnswer(message, !this.#answered);
    this.#answered = true;
  }

  /** @param {Answer} message @param {boolean} first */
  onAnswer(message, first) {
    throw new WireError(`${message.type} in answer to ${this.kind}, first: ${first}`);
  }

  /** @param {Error} _reason */
  onEnd(_reason) {}

  /** @param {Vi64} type of a property that this client would have to know */
  unsupported(type) {
    this.#abandon(StreamCode.CANCELLED);
    this.end(new RequestError(RequestCode.UNSUPPORTED_EXTENSION, `track property 0x${type.toString(16)}`, null));
  }
}

/**
 * A subscription. `ok` settles with the answer, `ended` with its end: a
 * {@link TrackDone} if the publisher ended it.
 */
export class Subscription extends Request {
  /** @type {ReturnType<typeof deferred<{alias: Vi64, largest: Location | null}>>} */
  #ok = deferred();
  /** @type {Map<Source, Vi64>} open streams and their groups */
  #streams = new Map();
  #seen = 0;
  /** @type {Vi64} streams the publisher says it opened */
  #expected = Infinity;

  /**
   * @param {Vi64} id
   * @param {TrackSink} sink
   * @param {{established(s: Subscription, alias: Vi64): void, retired(s: Subscription): void}} owner
   */
  constructor(id, sink, owner) {
    super('SUBSCRIBE', id);
    this.sink = sink;
    this.owner = owner;
    this.ok = this.#ok.promise;
    /** @type {Vi64 | null} */
    this.alias = null;
  }

  /** @override @param {Answer} message @param {boolean} first */
  onAnswer(message, first) {
    if (message.type === 'SUBSCRIBE_OK' && first) this.#established(message);
    else if (message.type === 'PUBLISH_DONE' && !first) this.#done(message);
    else super.onAnswer(message, first);
  }

  /** @param {SubscribeOk} message */
  #established(message) {
    const unknown = mandatoryProperty(message.properties);
    if (unknown !== undefined) return this.unsupported(unknown);
    this.alias = message.alias;
    this.owner.established(this, message.alias);
    const largest = /** @type {Location | undefined} */ (message.params.get(Param.LARGEST_OBJECT));
    this.#ok.resolve({ alias: message.alias, largest: largest ?? null });
  }

  /** @param {PublishDone} message */
  #done(message) {
    this.#expected = message.streams;
    this.end(new TrackDone(message.code, message.reason));
  }

  /** @override @param {Error} reason */
  onEnd(reason) {
    this.#ok.reject(reason);
    if (!(reason instanceof TrackDone)) {
      for (const source of this.#streams.keys()) source.cancel(StreamCode.CANCELLED);
      this.owner.retired(this);
      return;
    }
    if (this.#drained()) this.owner.retired(this);
    else setTimeout(() => this.owner.retired(this), LINGER_MS);
  }

  #drained() {
    return this.#streams.size === 0 && this.#seen >= this.#expected;
  }

  /** @param {Source} source @param {SubgroupHeader} header */
  streamOpened(source, header) {
    this.#seen++;
    this.#streams.set(source, header.group);
  }

  /** @param {Source} source @param {StreamEnd} end */
  streamEnded(source, end) {
    this.#streams.delete(source);
    if (!this.closed) this.sink.streamEnd?.(end);
    if (this.over && this.#drained()) this.owner.retired(this);
  }

  /** Stops the streams of groups below `group`, which nobody will look at. @param {Vi64} group */
  dropBefore(group) {
    for (const [source, of] of this.#streams) if (of < group) source.cancel(StreamCode.CANCELLED);
  }
}

/** The publisher ended the subscription (PUBLISH_DONE). */
export class TrackDone extends Error {
  /** @param {Vi64} code a DoneCode @param {string} reason */
  constructor(code, reason) {
    super(`subscription ended with code ${code}${reason && `: ${reason}`}`);
    this.name = 'TrackDone';
    this.code = code;
    this.reason = reason;
  }
}

/** A FETCH. `ended` settles when its stream has ended, or the peer refused it. */
export class Fetch extends Request {
  /** @type {Source | null} */
  #data = null;

  /** @param {Vi64} id @param {TrackSink} sink */
  constructor(id, sink) {
    super('FETCH', id);
    this.sink = sink;
  }

  /** @override @param {Answer} message @param {boolean} first */
  onAnswer(message, first) {
    if (message.type !== 'FETCH_OK' || !first) return super.onAnswer(message, first);
    const unknown = mandatoryProperty(/** @type {FetchOk} */ (message).properties);
    if (unknown !== undefined) this.unsupported(unknown);
  }

  /** @param {Source} source @throws {WireError} where it is the second one */
  streamOpened(source) {
    if (this.#data) throw new WireError(`second stream for FETCH ${this.id}`);
    this.#data = source;
  }

  /** @override */
  onEnd() {
    this.#data?.cancel(StreamCode.CANCELLED);
  }
}

/** A question whose answer does not matter, only that there is one; `ended` settles with it. */
export class Ping extends Request {
  /** @param {Vi64} id */
  constructor(id) {
    super('TRACK_STATUS', id);
  }

  /** @override @param {Answer} message @param {boolean} first */
  onAnswer(message, first) {
    if (message.type !== 'REQUEST_OK' || !first) return super.onAnswer(message, first);
    this.close();
  }
}

/** A SUBSCRIBE_NAMESPACE. `ok` settles with the answer; `live` is what is there now. */
export class NamespaceWatch extends Request {
  /** @type {ReturnType<typeof deferred<void>>} */
  #ok = deferred();
  /** @type {Map<string, string[]>} */
  #live = new Map();

  /**
   * @param {Vi64} id
   * @param {readonly string[]} prefix
   * @param {{added(namespace: string[]): void, removed(namespace: string[]): void}} sink
   */
  constructor(id, prefix, sink) {
    super('SUBSCRIBE_NAMESPACE', id);
    this.prefix = prefix;
    this.sink = sink;
    this.ok = this.#ok.promise;
  }

  /** @override @param {Answer} message @param {boolean} first */
  onAnswer(message, first) {
    if (message.type === 'REQUEST_OK' && first) return this.#ok.resolve();
    if (first || (message.type !== 'NAMESPACE' && message.type !== 'NAMESPACE_DONE')) return super.onAnswer(message, first);
    const namespace = [...this.prefix, ...message.suffix];
    const key = JSON.stringify(namespace);
    if (message.type === 'NAMESPACE') {
      if (this.#live.has(key)) return;
      if (this.#live.size >= MAX_NAMESPACES) throw new SessionError(SessionCode.INTERNAL_ERROR, 'too many namespaces', false);
      this.#live.set(key, namespace);
      this.sink.added(namespace);
    } else {
      if (!this.#live.delete(key)) throw new WireError('NAMESPACE_DONE without NAMESPACE');
      this.sink.removed(namespace);
    }
  }

  /** @override @param {Error} reason */
  onEnd(reason) {
    this.#ok.reject(reason);
    // The end of the stream counts as a NAMESPACE_DONE of each.
    for (const namespace of this.#live.values()) this.sink.removed(namespace);
    this.#live.clear();
  }
}
