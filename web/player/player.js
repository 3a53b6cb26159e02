// The live player without its looks: from the address of a broadcast to moving
// pictures in a <video>, and back to them after whatever goes wrong.
//
//   run        dial the relay, again and again
//    session   wait for the broadcast, follow GOAWAY
//     broadcast  catalog → tracks → feeds → engine, until one of them ends
//
// The engine and the orders outlive sessions and broadcasts: where the same
// broadcast goes on, it goes on without a seam.

import { RequestCode, SessionCode } from '../moqt/codes.js';
import { deferred } from '../moqt/deferred.js';
import { RequestError, SessionError, StreamError } from '../moqt/errors.js';
import { TrackDone } from '../moqt/request.js';
import { PROTOCOL } from '../moqt/session.js';
import { certificateHashes, dial, parseAddress } from './address.js';
import { CatalogError, choose, mimeOf, namespaceOf, parseCatalog } from './catalog.js';
import { Feed } from './feed.js';
import { MseEngine, equal, mediaSourceClass } from './mse.js';
import { Order } from './order.js';
import { EVENT_TYPE, PathsFeed } from './paths.js';
import { STUCK_MS, Stuck } from './stuck.js';
import { missing } from './support.js';

/** @import {Session} from '../moqt/session.js' */
/** @import {Address} from './address.js' */
/** @import {Catalog, CatalogTrack} from './catalog.js' */
/** @import {EngineConfig, Kind} from './mse.js' */
/** @import {Ordered} from './order.js' */

/** @typedef {'idle' | 'connecting' | 'waiting' | 'live' | 'reconnecting' | 'unsupported' | 'refused'} State */

/**
 * What may follow what.
 * @type {Readonly<Record<State, readonly State[]>>}
 */
export const MOVES = Object.freeze({
  idle: ['connecting', 'unsupported'],
  connecting: ['waiting', 'live', 'unsupported', 'refused', 'idle'],
  waiting: ['connecting', 'live', 'reconnecting', 'unsupported', 'refused', 'idle'],
  live: ['waiting', 'reconnecting', 'unsupported', 'refused', 'idle'],
  reconnecting: ['waiting', 'live', 'unsupported', 'refused', 'idle'],
  unsupported: ['connecting', 'waiting', 'reconnecting', 'refused', 'idle'],
  refused: ['idle'],
});

/** @type {Readonly<Record<State, string>>} */
const WORDS = Object.freeze({
  idle: 'stopped',
  connecting: 'connecting',
  waiting: 'waiting for the broadcast',
  live: 'live',
  reconnecting: 'reconnecting',
  unsupported: 'unsupported',
  refused: 'refused',
});

const MIN_DIAL_MS = 250;
const MAX_DIAL_MS = 5000;
const MIN_ASK_MS = 250;
const MAX_ASK_MS = 2000;
/** How long a relay is asked to hold a subscription until there is a publisher. */
const RENDEZVOUS_MS = 10_000;
/** No answer to the catalog's subscription for this long means that it is held. */
const HELD_MS = 400;
/** Nothing for this long while live means that the publisher is gone or stuck. */
const SILENCE_MS = 2000;
/** A track that says nothing for this long while the catalog speaks is subscribed anew. */
const STALE_MS = 8000;

/**
 * Refusals that asking again does not change.
 * @type {ReadonlySet<number>}
 */
const FINAL = new Set([
  RequestCode.UNAUTHORIZED,
  RequestCode.MALFORMED_AUTH_TOKEN,
  RequestCode.EXPIRED_AUTH_TOKEN,
  RequestCode.UNSUPPORTED_EXTENSION,
]);

/** @typedef {{track: CatalogTrack, order: Order}} Lane */

/**
 * @typedef {object} PlayerOptions
 * @property {number} [targetSeconds] least buffer aimed at; default 0.15
 * @property {Uint8Array[]} [hashes] of certificates, in place of asking the relay
 * @property {typeof WebTransport} [WebTransport] default: the browser's
 */

/**
 * Plays one broadcast. Events: "state" whenever `state` or `detail` changes.
 */
export class Player extends EventTarget {
  #video;
  #address;
  #options;
  #abort = new AbortController();
  /** @type {State} */
  #state = 'idle';
  #detail = '';
  /** @type {MseEngine | null} */
  #engine = null;
  /** @type {EngineConfig | null} */
  #config = null;
  /** @type {Map<Kind, Lane>} */
  #lanes = new Map();
  /** @type {Session | null} */
  #session = null;
  #catalogOrder = new Order();
  /** @type {PathsFeed | null} */
  #paths = null;
  #pathsWanted = false;
  #wake = deferred();
  #wasLive = false;
  #heardAt = -Infinity;
  #startedAt = 0;
  /** @type {number | null} */
  #firstPictureMs = null;
  #reconnects = 0;
  #restarts = 0;
  #relay;

  /**
   * @param {HTMLVideoElement} video
   * @param {Address} address
   * @param {PlayerOptions} [options]
   */
  constructor(video, address, options = {}) {
    super();
    this.#video = video;
    this.#address = address;
    this.#options = options;
    this.#relay = address.relay;
  }

  get state() {
    return this.#state;
  }

  /** Why it is in this state, in words; may be empty. */
  get detail() {
    return this.#detail;
  }

  /** State and detail as one line. */
  get words() {
    const words = WORDS[this.#state];
    return this.#detail ? `${words}: ${this.#detail}` : words;
  }

  /** Starts to play; a player starts once. */
  start() {
    this.#startedAt = performance.now();
    const why = missing();
    if (why && !this.#options.WebTransport) return this.#move('unsupported', why);
    if (this.#address.namespace.length === 0) {
      this.#move('connecting');
      return this.#move('refused', 'the URL names no broadcast');
    }
    this.#move('connecting');
    this.#watchPicture();
    void this.#run();
  }

  /** Stops and frees everything. */
  stop() {
    this.#finish('idle', '');
  }

  /** @param {State} state @param {string} detail */
  #finish(state, detail) {
    this.#abort.abort();
    this.#wake.resolve(undefined);
    this.#engine?.destroy();
    this.#engine = null;
    this.#move(state, detail);
  }

  /** @param {number} seconds least buffer aimed at */
  setTarget(seconds) {
    this.#options = { ...this.#options, targetSeconds: seconds };
    this.#engine?.setTarget(seconds);
  }

  /** Jumps to the live edge. */
  seekLive() {
    this.#engine?.seekLive();
  }

  /**
   * Follows what the publisher tells of its paths, if it does, as long as somebody
   * looks: from the next catalog on.
   * @param {boolean} on
   */
  watchPaths(on) {
    this.#pathsWanted = on;
    if (!on) this.#closePaths();
  }

  #closePaths() {
    this.#paths?.close();
    this.#paths = null;
  }

  /** Figures for an overlay or a test; plain JSON. */
  stats() {
    const lanes = [...this.#lanes].map(([kind, { track, order }]) => {
      const position = order.position;
      return [
        kind,
        {
          codec: track.codec,
          width: track.width,
          height: track.height,
          group: position ? String(position.group) : null,
          object: position ? String(position.object) : null,
          heldBytes: order.heldBytes,
          ...order.stats,
        },
      ];
    });
    return {
      state: this.#state,
      detail: this.#detail,
      relay: this.#relay,
      peer: this.#session?.peer ?? '',
      draft: PROTOCOL,
      namespace: this.#address.namespace,
      firstPictureMs: this.#firstPictureMs,
      reconnects: this.#reconnects,
      restarts: this.#restarts,
      tracks: Object.fromEntries(lanes),
      engine: this.#engine?.stats ?? null,
      paths: this.#paths?.history ?? [],
    };
  }

  /** @param {State} state @param {string} [detail] */
  #move(state, detail = '') {
    if (state === this.#state && detail === this.#detail) return;
    if (state !== this.#state && !MOVES[this.#state].includes(state)) throw new Error(`player: ${this.#state} to ${state}`);
    if (state === 'live') this.#wasLive = true;
    this.#state = state;
    this.#detail = detail;
    this.dispatchEvent(new Event('state'));
  }

  /** Connecting at first, reconnecting after there was a picture. @param {string} detail */
  #trying(detail) {
    this.#heardAt = -Infinity; // what is still shown is of before
    if (this.#wasLive) this.#move('reconnecting', detail);
    else this.#move('connecting', detail);
  }

  /** Says so when the first picture of each playback is there. */
  #watchPicture() {
    const { signal } = this.#abort;
    const shown = () => {
      if (signal.aborted) return;
      this.#firstPictureMs ??= performance.now() - this.#startedAt;
      if (this.#state === 'connecting' || this.#state === 'waiting' || this.#state === 'reconnecting') {
        if (performance.now() - this.#heardAt < SILENCE_MS) this.#move('live');
      }
    };
    const each = () => {
      shown();
      if (!signal.aborted) this.#video.requestVideoFrameCallback(each);
    };
    if ('requestVideoFrameCallback' in this.#video) this.#video.requestVideoFrameCallback(each);
    // Audio alone has no frames, and older browsers no callback for them.
    this.#video.addEventListener('timeupdate', () => (this.#video.readyState >= 3 ? shown() : undefined), { signal });
    // The events tell a pause that the viewer wants from one that a new source
    // brings with it.
    let held = false;
    this.#video.addEventListener('pause', () => (held = true), { signal });
    this.#video.addEventListener('play', () => (held = false), { signal });
    const stuck = new Stuck();
    const silence = setInterval(() => {
      const now = performance.now();
      if (this.#state === 'live' && now - this.#heardAt > SILENCE_MS) this.#move('waiting', 'the publisher is silent');
      const { currentTime: time, paused, readyState } = this.#video;
      const blocked = paused && readyState >= 3; // by the browser, which wants a gesture first
      if (this.#engine && stuck.observe({ now, heardAt: this.#heardAt, time, held: held || blocked })) {
        this.#discard(this.#engine, `no picture for ${Math.round(STUCK_MS / 1000)} s`);
      }
    }, 500);
    signal.addEventListener('abort', () => clearInterval(silence), { once: true });
  }

  /** Dials again and again; ends with the player. */
  async #run() {
    const { signal } = this.#abort;
    /** @type {Session | null} */
    let session = null;
    let wait = MIN_DIAL_MS;
    while (!signal.aborted) {
      const since = performance.now();
      try {
        session ??= await this.#dial(this.#relay);
        const next = await this.#serve(session);
        session.close();
        session = next;
        continue;
      } catch (err) {
        session?.close();
        session = null;
        if (signal.aborted) return;
        if (err instanceof RequestError) return this.#finish('refused', err.words);
        if (err instanceof SessionError && err.code === SessionCode.UNAUTHORIZED) return this.#finish('refused', err.words);
        // Whatever else went wrong, a player that begins anew serves its viewer
        // better than one that stands still.
        if (!(err instanceof SessionError)) console.error(err);
        this.#trying(err instanceof SessionError ? err.words : 'something went wrong in the player');
      }
      // A relay that sent us elsewhere may be the only one that is left.
      this.#relay = this.#address.relay;
      this.#reconnects++;
      if (performance.now() - since > MAX_DIAL_MS) wait = MIN_DIAL_MS;
      await this.#sleep(wait * (0.75 + Math.random() / 2));
      wait = Math.min(MAX_DIAL_MS, wait * 2);
    }
  }

  /** @param {string} relay */
  async #dial(relay) {
    const { signal } = this.#abort;
    // The relay may have a new certificate by now, so it is asked each time.
    const urls = relay === this.#address.relay ? this.#address.fingerprints : parseAddress(relay, this.#address.relay).fingerprints;
    const hashes = this.#options.hashes ?? (await certificateHashes(urls));
    return dial(relay, { hashes, signal, WebTransport: this.#options.WebTransport, limits: { silenceMs: 1500, answerMs: 2500 } });
  }

  /**
   * Plays on a session until it ends or another takes its place.
   * @param {Session} session
   * @returns {Promise<Session>} the session to go on with
   * @throws {SessionError | RequestError} why the session ended, or why asking again is no use
   */
  async #serve(session) {
    this.#session = session;
    session.watchNamespaces(this.#address.namespace, { added: () => this.#wake.resolve(undefined), removed() {} });
    const migration = this.#migrate(session);
    try {
      let wait = MIN_ASK_MS;
      while (!session.over && !migration.next) {
        const since = performance.now();
        try {
          await this.#broadcast(session, () => migration.next !== null);
        } catch (err) {
          // A request whose stream was reset is made again like one that ended:
          // if the whole session is going, the next turn finds that out.
          if (!(err instanceof RequestError) && !(err instanceof TrackDone) && !(err instanceof StreamError)) throw err;
          if (migration.next) break;
          const pause = this.#explain(err);
          if (performance.now() - since > MAX_ASK_MS) wait = MIN_ASK_MS;
          await Promise.race([this.#sleep(Math.max(wait, pause)), this.#woken(), session.closed]);
          wait = Math.min(MAX_ASK_MS, wait * 1.6);
        }
      }
      if (!migration.next) throw await session.closed;
    } catch (err) {
      if (!migration.next || !(err instanceof SessionError)) {
        migration.cancel();
        throw err;
      }
    }
    return migration.next;
  }

  /**
   * Follows a GOAWAY: the old session plays on while the new one is made.
   * @param {Session} session
   */
  #migrate(session) {
    let cancelled = false;
    const migration = {
      /** @type {Session | null} */
      next: null,
      cancel() {
        cancelled = true;
        migration.next?.close();
      },
    };
    void session.goaway.then(async ({ uri }) => {
      try {
        const relay = uri ? new URL('/', new URL(uri.replace(/^moqt:/, 'https:'), this.#relay)).href : this.#relay;
        const next = await this.#dial(relay);
        if (cancelled) return next.close();
        this.#relay = relay;
        migration.next = next;
        this.#wake.resolve(undefined);
      } catch {
        // The relay closes the session when its patience ends, and it is
        // dialled anew then.
      }
    });
    return migration;
  }

  /** Resolves at the next reason to try again at once. */
  #woken() {
    this.#wake = deferred();
    return this.#wake.promise;
  }

  /**
   * Shows why a broadcast ended or is not there.
   * @param {RequestError | TrackDone | StreamError} err
   * @returns {number} ms to wait at least
   */
  #explain(err) {
    this.#heardAt = -Infinity;
    if (!(err instanceof RequestError)) {
      if (this.#wasLive) this.#move('reconnecting', 'the publisher has stopped');
      else this.#move('waiting');
      return 0;
    }
    if (FINAL.has(Number(err.code))) throw err;
    if (err.code === RequestCode.DOES_NOT_EXIST || err.code === RequestCode.TIMEOUT || err.code === RequestCode.INVALID_RANGE) this.#move('waiting');
    else this.#move('waiting', err.words);
    return Math.min(err.retryMs ?? 0, MAX_DIAL_MS);
  }

  /**
   * Plays the broadcast until its catalog or one of its tracks ends, or
   * `replaced` says so after a wake.
   * @param {Session} session
   * @param {() => boolean} replaced
   */
  async #broadcast(session, replaced) {
    /** @type {ReturnType<typeof deferred<void>>} */
    const ended = deferred();
    /** @type {Map<Kind, Feed>} */
    const feeds = new Map();
    const held = setTimeout(() => this.#move('waiting'), HELD_MS);
    /** @type {Catalog | null} */
    let catalog = null;
    const catalogFeed = new Feed(session, this.#address.namespace, 'catalog', this.#catalogOrder, {
      priority: 0,
      rendezvousMs: RENDEZVOUS_MS,
      deliver: (objects) => {
        clearTimeout(held);
        if (this.#state === 'waiting' && !this.#wasLive) this.#move('connecting', 'buffering');
        try {
          for (const o of objects) {
            if (o.payload.length === 0) continue;
            // Only an independent catalog opens a group; updates need all before them.
            if (o.object === 0) catalog = parseCatalog(o.payload, null);
            else if (catalog) catalog = parseCatalog(o.payload, catalog);
          }
          if (catalog) this.#play(session, catalog, feeds, ended.reject);
        } catch (err) {
          if (err instanceof CatalogError) this.#move('unsupported', err.message);
          else ended.reject(/** @type {Error} */ (err));
        }
      },
    });
    const wake = () => {
      if (replaced()) ended.resolve();
      else void this.#woken().then(wake);
    };
    void this.#woken().then(wake);
    catalogFeed.ended.catch(ended.reject);
    session.closed.then(ended.reject);
    try {
      await ended.promise;
    } finally {
      clearTimeout(held);
      catalogFeed.close();
      for (const feed of feeds.values()) feed.close();
      feeds.clear();
      this.#closePaths();
    }
  }

  /**
   * Brings what is subscribed and configured in line with a catalog. A catalog
   * that is repeated changes nothing.
   * @param {Session} session
   * @param {Catalog} catalog
   * @param {Map<Kind, Feed>} feeds of this broadcast
   * @param {(err: Error) => void} onEnd
   */
  #play(session, catalog, feeds, onEnd) {
    const told = catalog.tracks.find((t) => t.eventType === EVENT_TYPE);
    if (told && this.#pathsWanted && (this.#paths?.over ?? true)) {
      this.#paths = new PathsFeed(session, namespaceOf(told, this.#address.namespace), told.name);
    }
    const { video, audio, why } = choose(catalog, (mime) => mediaSourceClass()?.isTypeSupported(mime) ?? false);
    if (why) {
      // The publisher may still change its mind, so the catalog is kept watched.
      for (const feed of feeds.values()) feed.close();
      feeds.clear();
      return this.#move('unsupported', why);
    }
    if (this.#state === 'unsupported') this.#trying('');
    /** @type {[Kind, CatalogTrack][]} */
    const chosen = [];
    if (video) chosen.push(['video', video]);
    if (audio) chosen.push(['audio', audio]);
    /** @type {EngineConfig} */
    const config = {};
    for (const [kind, track] of chosen) config[kind] = { mime: mimeOf(track), init: /** @type {Uint8Array} */ (track.init) };

    const changed = !sameConfig(config, this.#config);
    if (changed || !this.#engine) {
      this.#config = config;
      this.#openEngine().configure(config);
      if (changed) this.#lanes.clear();
    }
    const waitsFor = new Set(chosen.map(([kind]) => kind));
    for (const [kind, track] of chosen) {
      const lane = this.#lane(kind, track);
      const feed = feeds.get(kind);
      if (feed && !changed && performance.now() - feed.heardAt < STALE_MS) continue;
      feed?.close();
      this.#feed(session, kind, track, lane, feeds, onEnd, () => {
        waitsFor.delete(kind);
        if (waitsFor.size === 0) this.#engine?.caughtUp();
      });
    }
    for (const [kind, feed] of feeds) {
      if (chosen.some(([k]) => k === kind)) continue;
      feeds.delete(kind);
      feed.close();
    }
  }

  /**
   * Subscribes to a track. One that is not there yet, as when a publisher starts
   * its tracks one after the other, is asked for again for a while.
   * @param {Session} session
   * @param {Kind} kind
   * @param {CatalogTrack} track
   * @param {Lane} lane
   * @param {Map<Kind, Feed>} feeds
   * @param {(err: Error) => void} onEnd
   * @param {() => void} caughtUp
   * @param {number} [wait] ms until the next attempt
   */
  #feed(session, kind, track, lane, feeds, onEnd, caughtUp, wait = MIN_ASK_MS / 2) {
    const feed = new Feed(session, namespaceOf(track, this.#address.namespace), track.name, lane.order, {
      priority: kind === 'audio' ? 64 : 128,
      deliver: (objects) => this.#deliver(kind, objects),
      caughtUp,
    });
    feeds.set(kind, feed);
    feed.ended.catch(async (err) => {
      const absent = err instanceof RequestError && (err.code === RequestCode.DOES_NOT_EXIST || err.code === RequestCode.TIMEOUT);
      if (absent && wait <= MAX_ASK_MS) {
        await this.#sleep(wait);
        if (feeds.get(kind) !== feed || session.over) return;
        feed.close();
        this.#feed(session, kind, track, lane, feeds, onEnd, caughtUp, wait * 2);
      } else if (feeds.get(kind) === feed) onEnd(err);
    });
  }

  /** @param {Kind} kind @param {CatalogTrack} track @returns {Lane} */
  #lane(kind, track) {
    const lane = this.#lanes.get(kind);
    if (lane && lane.track.name === track.name) {
      lane.track = track;
      return lane;
    }
    const made = { track, order: new Order({ independent: kind === 'audio' }) };
    this.#lanes.set(kind, made);
    return made;
  }

  /** @param {Kind} kind @param {Ordered[]} objects */
  #deliver(kind, objects) {
    this.#heardAt = performance.now();
    for (const o of objects) {
      if (o.skipped) this.#engine?.gap(kind);
      if (o.payload.length > 0) this.#engine?.append(kind, o.payload);
    }
  }

  #openEngine() {
    if (this.#engine) return this.#engine;
    const engine = new MseEngine(this.#video, { targetSeconds: this.#options.targetSeconds });
    this.#engine = engine;
    engine.addEventListener('error', (event) => {
      if (this.#engine !== engine) return;
      this.#discard(engine, /** @type {CustomEvent<Error>} */ (event).detail.message);
    });
    return engine;
  }

  /**
   * Gives up an engine. What the browser could not take may have been one bad
   * chunk. Playing begins anew on a new session, so that every track starts with
   * a key.
   * @param {MseEngine} engine
   * @param {string} why
   */
  #discard(engine, why) {
    this.#engine = null;
    this.#config = null;
    this.#lanes.clear();
    this.#restarts++;
    engine.destroy();
    this.#session?.close(SessionCode.INTERNAL_ERROR, why);
  }

  /** @param {number} ms */
  async #sleep(ms) {
    const { signal } = this.#abort;
    if (signal.aborted) return;
    await new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve(undefined);
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done);
    });
  }
}

/** @param {EngineConfig} a @param {EngineConfig | null} b */
function sameConfig(a, b) {
  if (!b) return false;
  return /** @type {Kind[]} */ (['video', 'audio']).every((kind) => {
    const x = a[kind];
    const y = b[kind];
    return x && y ? x.mime === y.mime && equal(x.init, y.init) : x === y;
  });
}
