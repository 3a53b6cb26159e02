// A MOQT session of draft-18 over WebTransport, from the subscriber's side
// ("Sessions"). Streams are handled as they come:
//
//   ours    uni   SETUP                    theirs  uni   SETUP, then GOAWAY
//   ours    bidi  a request, its answers   theirs  bidi  a request, which is refused
//                                          theirs  uni   objects, by alias or Request ID
//
// Whatever the peer does wrong surfaces as a WireError in one of these handlers
// and ends in #fail, which closes the session with the draft's code.

import { SessionCode, StreamCode } from './codes.js';
import { deferred } from './deferred.js';
import { SessionError, StreamError, WireError } from './errors.js';
import * as messages from './messages.js';
import { FETCH_HEADER, PADDING_STREAM, isSubgroup, parseDatagram, readFetch, readSubgroup, readSubgroupHeader } from './objects.js';
import { Fetch, NamespaceWatch, Ping, Subscription } from './request.js';
import { Source, streamError } from './source.js';

/** @import {Goaway, SubscribeOptions} from './messages.js' */
/** @import {ObjectLimits} from './objects.js' */
/** @import {Location} from './params.js' */
/** @import {Request, TrackSink} from './request.js' */
/** @import {Vi64} from './varint.js' */

/** The draft this client speaks, as it is offered in WT-Available-Protocols. */
export const PROTOCOL = 'moqt-18';

const IMPLEMENTATION = 'tributary-web';
/** How long the news of a session's end may be behind the end of its control stream, in ms. */
const CLOSE_MS = 500;

/**
 * @typedef {object} Limits
 * @property {number} [maxObjectSize] bytes; default 32 MiB
 * @property {number} [maxWaiting] data streams that may wait for the answer with their alias; default 64
 * @property {number} [aliasWaitMs] how long they may; default 2000
 * @property {number} [setupMs] how long the peer may take for its SETUP; default 10000
 * @property {number} [silenceMs] after how long without a word the peer is asked whether it is there; default 5000
 * @property {number} [answerMs] how long it may take to answer that; default 3000
 */

/**
 * @typedef {object} ConnectOptions
 * @property {readonly Uint8Array[]} [hashes] SHA-256 of certificates to accept besides those the browser trusts
 * @property {number} [timeoutMs] default 10000
 * @property {AbortSignal} [signal] gives up, or closes what is there
 * @property {Limits} [limits]
 * @property {typeof WebTransport} [WebTransport] default: the browser's
 */

/** A session with one relay. */
export class Session {
  #wt;
  #limits;
  /** @type {ObjectLimits} */
  #objectLimits;
  #nextId = 0;
  #closing = false;
  /** @type {ReturnType<typeof deferred<SessionError>>} */
  #closed = deferred();
  /** @type {ReturnType<typeof deferred<Goaway>>} */
  #goaway = deferred();
  #goawaySeen = false;
  #setupSeen = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #setupTimer;
  /** @type {Map<Vi64, Request>} requests that have not ended, by id */
  #requests = new Map();
  /** @type {Map<Vi64, Subscription>} */
  #aliases = new Map();
  /** @type {Set<Vi64>} aliases that were in use: their late streams are dropped at once */
  #retired = new Set();
  /** @type {Set<(alias: Vi64) => void>} streams that wait for their alias */
  #waiting = new Set();
  /** @type {Set<Vi64>} */
  #peerIds = new Set();
  #heardAt = performance.now();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silenceTimer;

  /**
   * Connects and sends SETUP. Requests may be made at once; the peer's SETUP is
   * not waited for.
   * @param {string} url of the relay, https
   * @param {ConnectOptions} [options]
   * @returns {Promise<Session>}
   * @throws {SessionError} with words on why there is no session
   */
  static async connect(url, options = {}) {
    const Transport = options.WebTransport ?? globalThis.WebTransport;
    const host = new URL(url).host;
    /** @type {WebTransport} */
    let wt;
    try {
      wt = new Transport(url, {
        protocols: [PROTOCOL],
        congestionControl: 'low-latency',
        requireUnreliable: true,
        ...(options.hashes?.length && {
          serverCertificateHashes: options.hashes.map((value) => ({ algorithm: 'sha-256', value: /** @type {BufferSource} */ (value) })),
        }),
      });
    } catch (err) {
      throw new SessionError(SessionCode.INTERNAL_ERROR, `cannot connect to ${host}: ${/** @type {Error} */ (err).message}`, false);
    }
    wt.closed.catch(() => {});
    await ready(wt, host, options);
    const chosen = /** @type {{protocol?: string}} */ (wt).protocol;
    if (chosen !== PROTOCOL) {
      wt.close({ closeCode: SessionCode.VERSION_NEGOTIATION_FAILED, reason: `${PROTOCOL} wanted` });
      throw new SessionError(SessionCode.VERSION_NEGOTIATION_FAILED, `${host} does not speak ${PROTOCOL}`, false);
    }
    const session = new Session(wt, options);
    const { signal } = options;
    if (signal) {
      const abort = () => session.close();
      signal.addEventListener('abort', abort);
      void session.closed.then(() => signal.removeEventListener('abort', abort));
    }
    return session;
  }

  /**
   * Use {@link Session.connect}.
   * @param {WebTransport} wt ready
   * @param {ConnectOptions} options
   */
  constructor(wt, options) {
    this.#wt = wt;
    this.#limits = { maxObjectSize: 32 << 20, maxWaiting: 64, aliasWaitMs: 2000, setupMs: 10_000, silenceMs: 5000, answerMs: 3000, ...options.limits };
    this.#objectLimits = { maxObjectSize: this.#limits.maxObjectSize, maxPropertiesSize: 0xffff };
    /** Resolves when the session is over, with the reason; never rejects. */
    this.closed = this.#closed.promise;
    /** Resolves when the relay asks to move elsewhere. */
    this.goaway = this.#goaway.promise;
    /** What the relay says it is. @type {string} */
    this.peer = '';
    /** Our control stream: it must stay open, so something must hold it. @type {WritableStreamDefaultWriter<Uint8Array> | null} */
    this.control = null;

    wt.closed.then(
      ({ closeCode, reason }) => this.#over(new SessionError(closeCode ?? 0, reason ?? '', true)),
      () => this.#over(new SessionError(SessionCode.INTERNAL_ERROR, 'the connection to the relay was lost', true)),
    );
    this.#setupTimer = setTimeout(
      () => this.#fail(new SessionError(SessionCode.CONTROL_MESSAGE_TIMEOUT, 'the relay sent no SETUP', false)),
      this.#limits.setupMs,
    );
    this.#listen();
    void this.#guard(this.#sendSetup());
    void this.#guard(this.#acceptUni());
    void this.#guard(this.#acceptBidi());
    void this.#guard(this.#readDatagrams());
  }

  /** Whether the session is over or being closed. */
  get over() {
    return this.#closing;
  }

  /**
   * Closes the session; every request ends.
   * @param {number} [code] a SessionCode
   * @param {string} [reason]
   */
  close(code = SessionCode.NO_ERROR, reason = '') {
    this.#fail(new SessionError(code, reason, false));
  }

  /**
   * Subscribes to a track. The sink's functions are called until the
   * subscription is closed, and for a while after the publisher ended it.
   * @param {readonly string[]} namespace
   * @param {string} name
   * @param {TrackSink} sink
   * @param {SubscribeOptions} [options]
   */
  subscribe(namespace, name, sink, options = {}) {
    const id = this.#takeId();
    const subscription = new Subscription(id, sink, this.#subscriptionOwner);
    this.#send(subscription, messages.subscribe(id, namespace, name, options));
    return subscription;
  }

  /**
   * Fetches what a subscription does not bring: from the start of the group that
   * was newest when it began, up to where it began. It may follow the SUBSCRIBE
   * at once; a relay that reads it first refuses it with INVALID_JOINING_REQUEST_ID.
   * @param {Subscription} subscription
   * @param {TrackSink} sink
   * @param {{groups?: number, priority?: number}} [options] groups: how many more groups before; default 0
   */
  fetchJoining(subscription, sink, options = {}) {
    const id = this.#takeId();
    const fetch = new Fetch(id, sink);
    this.#send(fetch, messages.joiningFetch(id, subscription.id, options.groups ?? 0, options));
    return fetch;
  }

  /**
   * Fetches a range of a track.
   * @param {readonly string[]} namespace
   * @param {string} name
   * @param {Location} start
   * @param {Location} end the last location plus one; object 0: the whole group
   * @param {TrackSink} sink
   * @param {{priority?: number}} [options]
   */
  fetch(namespace, name, start, end, sink, options = {}) {
    const id = this.#takeId();
    const fetch = new Fetch(id, sink);
    this.#send(fetch, messages.standaloneFetch(id, namespace, name, start, end, options));
    return fetch;
  }

  /**
   * Tells which namespaces under a prefix are there and when that changes. Two
   * watches of one session may not overlap.
   * @param {readonly string[]} prefix
   * @param {{added(namespace: string[]): void, removed(namespace: string[]): void}} sink
   */
  watchNamespaces(prefix, sink) {
    const id = this.#takeId();
    const watch = new NamespaceWatch(id, prefix, sink);
    this.#send(watch, messages.subscribeNamespace(id, prefix));
    return watch;
  }

  // A peer that vanished: the browser itself gives up only after half a minute.

  /** Asks the peer for a sign of life whenever it has been silent for too long. */
  #listen() {
    const { silenceMs } = this.#limits;
    this.#silenceTimer = setTimeout(
      async () => {
        if (performance.now() - this.#heardAt >= silenceMs && !(await this.#alive())) {
          this.#fail(new SessionError(SessionCode.CONTROL_MESSAGE_TIMEOUT, 'the relay does not answer any more', false));
        }
        if (!this.#closing) this.#listen();
      },
      Math.max(100, this.#heardAt + silenceMs - performance.now()),
    );
  }

  async #alive() {
    const asked = performance.now();
    const ping = new Ping(this.#takeId());
    this.#send(ping, messages.ping(ping.id));
    /** @type {ReturnType<typeof deferred<void>>} */
    const late = deferred();
    const timer = setTimeout(late.resolve, this.#limits.answerMs);
    await Promise.race([ping.ended.catch(() => {}), late.promise]);
    clearTimeout(timer);
    // Timers of a tab in the background run late: what has come meanwhile is
    // looked at before the verdict.
    if (this.#heardAt < asked) await new Promise((resolve) => setTimeout(resolve, 100));
    ping.close();
    return this.#heardAt >= asked;
  }

  // Ours: control stream and requests.

  async #sendSetup() {
    const writer = (await this.#wt.createUnidirectionalStream()).getWriter();
    this.control = writer;
    await writer.write(messages.setup(IMPLEMENTATION));
  }

  #takeId() {
    const id = this.#nextId;
    this.#nextId += 2;
    return id;
  }

  /** @param {Request} request @param {Uint8Array} message its first */
  #send(request, message) {
    this.#requests.set(request.id, request);
    void this.#guard(this.#runRequest(request, message));
  }

  /**
   * Opens a request's stream, writes the request and reads its answers.
   * @param {Request} request
   * @param {Uint8Array} message
   */
  async #runRequest(request, message) {
    try {
      if (this.#closing) throw new StreamError(StreamCode.SESSION_CLOSED);
      // Streams are made in the order of these calls, so a FETCH that joins is
      // behind its SUBSCRIBE.
      const { readable, writable } = await this.#wt.createBidirectionalStream();
      const writer = writable.getWriter();
      const source = new Source(readable);
      request.attach(writer, source);
      // A stopped stream makes the write fail; the answer says why, if there is one.
      writer.write(message).catch(() => {});
      while (!(await source.ended())) {
        const { type, payload } = await readMessage(source);
        this.#heardAt = performance.now();
        if (request.over) return;
        request.handle(messages.parseAnswer(type, payload, request.kind));
        if (request.over) break;
      }
      // The objects of a FETCH have their own stream, which ends it.
      if (request.kind !== 'FETCH') request.end(new StreamError(StreamCode.CANCELLED));
    } catch (err) {
      if (err instanceof WireError || err instanceof SessionError) throw err;
      request.end(err instanceof StreamError ? err : new StreamError(StreamCode.SESSION_CLOSED));
    } finally {
      if (request.over) this.#requests.delete(request.id);
      else request.ended.catch(() => {}).then(() => this.#requests.delete(request.id));
    }
  }

  #subscriptionOwner = {
    /** @param {Subscription} subscription @param {Vi64} alias */
    established: (subscription, alias) => {
      const user = this.#aliases.get(alias);
      if (user && !user.over) {
        throw new WireError(`track alias ${alias} is in use`, SessionCode.DUPLICATE_TRACK_ALIAS);
      }
      this.#retired.delete(alias);
      this.#aliases.set(alias, subscription);
      for (const wake of [...this.#waiting]) wake(alias);
    },
    /** @param {Subscription} subscription */
    retired: (subscription) => {
      const { alias } = subscription;
      if (alias === null || this.#aliases.get(alias) !== subscription) return;
      this.#aliases.delete(alias);
      this.#retired.add(alias);
      if (this.#retired.size > 1024) this.#retired.delete(/** @type {Vi64} */ (this.#retired.values().next().value));
    },
  };

  // Theirs.

  async #acceptUni() {
    for await (const stream of each(/** @type {ReadableStream<ReadableStream<Uint8Array>>} */ (this.#wt.incomingUnidirectionalStreams))) {
      void this.#guard(this.#handleUni(new Source(stream)));
    }
  }

  /** @param {Source} source */
  async #handleUni(source) {
    let control = false;
    try {
      const type = await source.varint('stream type');
      if (type === messages.Type.SETUP) {
        control = true;
        await this.#readControl(source);
      } else if (type === FETCH_HEADER) await this.#readFetchStream(source);
      else if (isSubgroup(type)) await this.#readSubgroupStream(source, Number(type));
      else if (type === PADDING_STREAM) await source.drain();
      else throw new WireError(`stream type 0x${type.toString(16)}`);
    } catch (err) {
      if (!(err instanceof StreamError)) throw err;
      if (control) await this.#controlEnded('reset');
    }
  }

  /** @param {Source} source behind the type of its first message */
  async #readControl(source) {
    if (this.#setupSeen) throw new WireError('second control stream');
    this.#setupSeen = true;
    const setup = messages.parseControl(messages.Type.SETUP, await readPayload(source), true);
    clearTimeout(this.#setupTimer);
    if (setup.type === 'SETUP') this.peer = setup.implementation;
    while (!(await source.ended())) {
      const { type, payload } = await readMessage(source);
      const message = messages.parseControl(type, payload, false);
      if (message.type !== 'GOAWAY') continue;
      if (this.#goawaySeen) throw new WireError('second GOAWAY');
      this.#goawaySeen = true;
      this.#goaway.resolve(message);
    }
    await this.#controlEnded('closed');
  }

  /**
   * The control stream ends with the session only. When the session ends, its
   * streams may tell so first.
   * @param {string} how
   */
  async #controlEnded(how) {
    await new Promise((resolve) => setTimeout(resolve, CLOSE_MS));
    if (!this.#closing) throw new SessionError(SessionCode.PROTOCOL_VIOLATION, `the relay ended the session: its control stream was ${how}`, false);
  }

  /** @param {Source} source */
  async #readFetchStream(source) {
    const id = await source.varint('FETCH_HEADER');
    const fetch = this.#requests.get(id);
    if (!(fetch instanceof Fetch) || fetch.over) {
      if (id >= this.#nextId) throw new WireError(`FETCH_HEADER for Request ID ${id}, which was never used`);
      source.cancel(StreamCode.CANCELLED);
      return;
    }
    fetch.streamOpened(source);
    try {
      await readFetch(source, this.#objectLimits, {
        object: (o) => {
          this.#heardAt = performance.now();
          if (!fetch.over) fetch.sink.object(o);
        },
        missing: (end, known) => fetch.over || fetch.sink.missing?.(end, known),
      });
      fetch.end(null);
    } catch (err) {
      if (err instanceof StreamError) fetch.end(err);
      throw err;
    }
  }

  /** @param {Source} source @param {number} type */
  async #readSubgroupStream(source, type) {
    const header = await readSubgroupHeader(source, type);
    const subscription = await this.#subscriptionOf(header.alias);
    if (!subscription) {
      source.cancel(StreamCode.CANCELLED);
      return;
    }
    subscription.streamOpened(source, header);
    /** @type {Vi64 | null} */
    let last = null;
    let complete = false;
    try {
      await readSubgroup(source, header, this.#objectLimits, (o) => {
        last = o.object;
        this.#heardAt = performance.now();
        if (!subscription.closed) subscription.sink.object(o);
      });
      complete = true;
    } finally {
      subscription.streamEnded(source, { group: header.group, last, complete, endOfGroup: complete && header.endOfGroup });
    }
  }

  /**
   * Finds the subscription of an alias. Objects may overtake the SUBSCRIBE_OK
   * that names it, so for a while it is waited for; the stream is not read then,
   * and flow control holds what the peer has to send.
   * @param {Vi64} alias
   * @returns {Promise<Subscription | null>}
   */
  async #subscriptionOf(alias) {
    const known = this.#aliases.get(alias);
    if (known) return known;
    if (this.#retired.has(alias) || this.#waiting.size >= this.#limits.maxWaiting) return null;
    const { promise, resolve } = /** @type {ReturnType<typeof deferred<void>>} */ (deferred());
    /** @param {Vi64} established */
    const wake = (established) => {
      if (established === alias) resolve();
    };
    this.#waiting.add(wake);
    const timer = setTimeout(resolve, this.#limits.aliasWaitMs);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(wake);
    return this.#aliases.get(alias) ?? null;
  }

  async #acceptBidi() {
    for await (const stream of each(/** @type {ReadableStream<WebTransportBidirectionalStream>} */ (this.#wt.incomingBidirectionalStreams))) {
      void this.#guard(this.#refuse(stream));
    }
  }

  /** @param {WebTransportBidirectionalStream} stream a request of the relay, which gets its answer and nothing else */
  async #refuse({ readable, writable }) {
    const source = new Source(readable);
    const writer = writable.getWriter();
    try {
      const { type, payload } = await readMessage(source);
      const { id, code, reason } = messages.parsePeerRequest(type, payload);
      if (BigInt(id) % 2n === 0n || this.#peerIds.has(id)) {
        throw new WireError(`Request ID ${id} from a server`, SessionCode.INVALID_REQUEST_ID);
      }
      if (this.#peerIds.size >= 10_000) throw new SessionError(SessionCode.INTERNAL_ERROR, 'the relay makes too many requests', false);
      this.#peerIds.add(id);
      await writer.write(messages.requestError(code, reason));
      await writer.close();
      source.cancel(StreamCode.CANCELLED);
    } catch (err) {
      if (err instanceof WireError || err instanceof SessionError) throw err;
      writer.abort(streamError(StreamCode.CANCELLED)).catch(() => {});
    }
  }

  async #readDatagrams() {
    for await (const bytes of each(/** @type {ReadableStream<Uint8Array>} */ (this.#wt.datagrams.readable))) {
      const datagram = parseDatagram(bytes);
      if (datagram) this.#aliases.get(datagram.alias)?.sink.object(datagram);
    }
  }

  // The end.

  /**
   * Waits for a handler and turns what it throws into the end of the session.
   * @param {Promise<void>} handler
   */
  async #guard(handler) {
    try {
      await handler;
    } catch (err) {
      if (this.#closing) return;
      if (err instanceof WireError) this.#fail(new SessionError(err.code, err.message, false));
      else if (err instanceof SessionError) this.#fail(err);
      // The browser's own stream errors come with the end of the connection,
      // which wt.closed reports. What is left is a fault of this program.
      else if (err instanceof TypeError || err instanceof RangeError) this.#fail(new SessionError(SessionCode.INTERNAL_ERROR, err.message, false));
    }
  }

  /** @param {SessionError} err */
  #fail(err) {
    if (this.#closing) return;
    this.#over(err);
    try {
      this.#wt.close({ closeCode: err.code, reason: err.reason.slice(0, 200) });
    } catch {
      // It was closed already, and is.
    }
  }

  /** @param {SessionError} err */
  #over(err) {
    if (this.#closing) return;
    this.#closing = true;
    clearTimeout(this.#setupTimer);
    clearTimeout(this.#silenceTimer);
    this.control = null;
    for (const request of [...this.#requests.values()]) request.end(err);
    this.#requests.clear();
    this.#closed.resolve(err);
  }
}

/**
 * Waits for the connection, and says in words why there is none. The browser
 * does not tell a page whether a relay is absent, UDP blocked or a certificate
 * wrong.
 * @param {WebTransport} wt
 * @param {string} host
 * @param {ConnectOptions} options
 */
async function ready(wt, host, options) {
  const given = /** @type {ReturnType<typeof deferred<void>>} */ (deferred());
  const timer = setTimeout(() => given.reject(new Error('timeout')), options.timeoutMs ?? 10_000);
  const abort = () => given.reject(new Error('aborted'));
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    if (options.signal?.aborted) abort();
    await Promise.race([wt.ready, given.promise]);
  } catch {
    wt.ready.catch(() => {});
    try {
      wt.close();
    } catch {
      // A connection that was never made cannot be closed in every browser.
    }
    if (options.signal?.aborted) throw new SessionError(SessionCode.NO_ERROR, 'stopped', false);
    throw new SessionError(
      SessionCode.INTERNAL_ERROR,
      `no relay answers over QUIC (UDP) at ${host}, or its certificate is not one this page trusts`,
      false,
    );
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', abort);
  }
}

/**
 * The values of a stream of the browser. (Not every browser can iterate one.)
 * @template T
 * @param {ReadableStream<T>} stream
 */
async function* each(stream) {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

/** @param {Source} source */
async function readMessage(source) {
  const type = await source.varint('message type');
  return { type, payload: await readPayload(source) };
}

/** @param {Source} source */
async function readPayload(source) {
  const length = await source.bytes(2, 'message length');
  return source.bytes((length[0] << 8) | length[1], 'message');
}
