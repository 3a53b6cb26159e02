// The live player without its looks: from the address of a broadcast to moving
// pictures in a <video>, and back to them after whatever goes wrong.
//
//   run        dial the relay, again and again
//    serve     keep each camera, follow GOAWAY
//     broadcast  catalog → tracks → feeds → engine, until one of them ends
//    direct    have the media come that is wanted, cut from camera to camera
//
// Most have one camera, which is always shown. The engine and the orders outlive
// sessions and broadcasts: where the same broadcast goes on, it goes on without a
// seam.

import { RequestCode, SessionCode } from '../moqt/codes.js';
import { deferred } from '../moqt/deferred.js';
import { RequestError, SessionError, StreamError } from '../moqt/errors.js';
import { TrackDone } from '../moqt/request.js';
import { PROTOCOL } from '../moqt/session.js';
import { certificateHashes, dial, parseAddress } from './address.js';
import { Cast } from './cast.js';
import { CatalogError, choose, mimeOf, namespaceOf, parseCatalog } from './catalog.js';
import { Feed } from './feed.js';
import { MseEngine, equal, mediaSourceClass } from './mse.js';
import { Order } from './order.js';
import { EVENT_TYPE, PathsFeed } from './paths.js';
import { STUCK_MS, Stuck } from './stuck.js';
import { missing } from './support.js';

/** @import {Session} from '../moqt/session.js' */
/** @import {Address} from './address.js' */
/** @import {Camera} from './camera.js' */
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

/** How often it is looked what time alone has changed in the choice of the camera. */
const DIRECT_MS = 50;

/**
 * @typedef {object} PlayerOptions
 * @property {number} [targetSeconds] least buffer aimed at; default 0.15
 * @property {Uint8Array[]} [hashes] of certificates, in place of asking the relay
 * @property {typeof WebTransport} [WebTransport] default: the browser's
 */

/**
 * Plays one broadcast, or of several cameras the one that is there. Events:
 * "state" whenever `state` or `detail` changes, "cameras" whenever `cameras` does.
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
  /** @type {Session | null} */
  #session = null;
  #cast;
  /** @type {PathsFeed | null} */
  #paths = null;
  #pathsWanted = false;
  /** @type {Set<() => void>} called at the next reason to try again at once */
  #wakers = new Set();
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
    this.#cast = new Cast([address.namespace, ...(address.spares ?? [])], () => this.dispatchEvent(new Event('cameras')));
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
    this.#fire();
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

  /** The cameras in their order, if there are several. */
  get cameras() {
    return this.#cast.several ? this.#cast.states : [];
  }

  /** Shows a camera as long as it lives; null leaves it to their order. @param {number | null} index */
  choose(index) {
    this.#cast.choose(index);
  }

  /** Figures for an overlay or a test; plain JSON. */
  stats() {
    const lanes = [...this.#cast.onStage.lanes].map(([kind, { track, order }]) => {
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
      namespace: this.#cast.onStage.namespace,
      cameras: this.cameras,
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
    for (const { namespace } of this.#cast.cameras) session.watchNamespaces(namespace, { added: () => this.#fire(), removed() {} });
    const migration = this.#migrate(session);
    this.#cast.rewind();
    const timer = setInterval(() => this.#cast.direct(), DIRECT_MS);
    try {
      const refusals = await Promise.all(this.#cast.cameras.map((camera) => this.#keep(session, camera, migration)));
      if (refusals.every((err) => err)) throw refusals[0];
      if (!migration.next) throw await session.closed;
    } catch (err) {
      if (!migration.next || !(err instanceof SessionError)) {
        migration.cancel();
        throw err;
      }
    } finally {
      clearInterval(timer);
    }
    return migration.next;
  }

  /**
   * Has a camera's broadcast be played whenever it is there, until the session
   * ends or another takes its place.
   * @param {Session} session
   * @param {Camera} camera
   * @param {{next: Session | null}} migration
   * @returns {Promise<RequestError | null>} why asking for it again is no use
   */
  async #keep(session, camera, migration) {
    let wait = MIN_ASK_MS;
    while (!session.over && !migration.next) {
      const since = performance.now();
      try {
        await this.#broadcast(session, camera, () => migration.next !== null);
      } catch (err) {
        // A request whose stream was reset is made again like one that ended:
        // if the whole session is going, the next turn finds that out.
        if (!(err instanceof RequestError) && !(err instanceof TrackDone) && !(err instanceof StreamError)) throw err;
        if (migration.next) break;
        this.#cast.lost(camera);
        if (err instanceof RequestError && FINAL.has(Number(err.code))) return err;
        const pause = this.#explain(camera, err);
        if (performance.now() - since > MAX_ASK_MS) wait = MIN_ASK_MS;
        await Promise.race([this.#sleep(Math.max(wait, pause), true), session.closed]);
        wait = Math.min(MAX_ASK_MS, wait * 1.6);
      }
    }
    return null;
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
        this.#fire();
      } catch {
        // The relay closes the session when its patience ends, and it is
        // dialled anew then.
      }
    });
    return migration;
  }

  /** There is a reason to try again at once. */
  #fire() {
    for (const wake of [...this.#wakers]) wake();
  }

  /**
   * Shows why a broadcast ended or is not there.
   * @param {Camera} camera
   * @param {RequestError | TrackDone | StreamError} err
   * @returns {number} ms to wait at least
   */
  #explain(camera, err) {
    if (!this.#cast.speaks(camera)) return err instanceof RequestError ? Math.min(err.retryMs ?? 0, MAX_DIAL_MS) : 0;
    this.#heardAt = -Infinity;
    if (!(err instanceof RequestError)) {
      if (this.#wasLive) this.#move('reconnecting', 'the publisher has stopped');
      else this.#move('waiting');
      return 0;
    }
    if (err.code === RequestCode.DOES_NOT_EXIST || err.code === RequestCode.TIMEOUT || err.code === RequestCode.INVALID_RANGE) this.#move('waiting');
    else this.#move('waiting', err.words);
    return Math.min(err.retryMs ?? 0, MAX_DIAL_MS);
  }

  /**
   * Follows a camera's broadcast until its catalog or one of its tracks ends, or
   * `replaced` says so after a wake.
   * @param {Session} session
   * @param {Camera} camera
   * @param {() => boolean} replaced
   */
  async #broadcast(session, camera, replaced) {
    /** @type {ReturnType<typeof deferred<void>>} */
    const ended = deferred();
    const held = setTimeout(() => this.#cast.speaks(camera) && this.#move('waiting'), HELD_MS);
    /** @type {Catalog | null} */
    let catalog = null;
    const catalogFeed = new Feed(session, camera.namespace, 'catalog', new Order(), {
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
          if (catalog) this.#play(session, camera, catalog, ended.reject);
        } catch (err) {
          if (err instanceof CatalogError) this.#unplayable(camera, err.message);
          else ended.reject(/** @type {Error} */ (err));
        }
      },
    });
    const wake = () => replaced() && ended.resolve();
    this.#wakers.add(wake);
    catalogFeed.ended.catch(ended.reject);
    session.closed.then(ended.reject);
    try {
      await ended.promise;
    } finally {
      clearTimeout(held);
      this.#wakers.delete(wake);
      catalogFeed.close();
      camera.close();
      camera.stage = null;
      camera.problem = '';
      if (camera === this.#cast.onStage) this.#closePaths();
    }
  }

  /** A camera cannot be played. @param {Camera} camera @param {string} why */
  #unplayable(camera, why) {
    camera.problem = why;
    this.#cast.lost(camera);
    if (this.#cast.speaks(camera)) this.#move('unsupported', why);
  }

  /**
   * Brings what is subscribed and configured in line with a catalog. A catalog
   * that is repeated changes nothing.
   * @param {Session} session
   * @param {Camera} camera
   * @param {Catalog} catalog
   * @param {(err: Error) => void} onEnd
   */
  #play(session, camera, catalog, onEnd) {
    const told = catalog.tracks.find((t) => t.eventType === EVENT_TYPE);
    if (told && this.#pathsWanted && camera === this.#cast.onStage && (this.#paths?.over ?? true)) {
      this.#paths = new PathsFeed(session, namespaceOf(told, camera.namespace), told.name);
    }
    const { video, audio, why } = choose(catalog, (mime) => mediaSourceClass()?.isTypeSupported(mime) ?? false);
    if (why) {
      // The publisher may still change its mind, so the catalog is kept watched.
      camera.close();
      return this.#unplayable(camera, why);
    }
    if (this.#state === 'unsupported') this.#trying('');
    /** @type {[Kind, CatalogTrack][]} */
    const chosen = [];
    if (video) chosen.push(['video', video]);
    if (audio) chosen.push(['audio', audio]);
    /** @type {EngineConfig} */
    const config = {};
    for (const [kind, track] of chosen) config[kind] = { mime: mimeOf(track), init: /** @type {Uint8Array} */ (track.init) };

    const changed = !sameConfig(config, camera.config);
    if (changed) {
      camera.lanes.clear();
      camera.close();
    }
    camera.offer(chosen, config);
    camera.stage = {
      session,
      deliver: (kind, feed, objects) => this.#deliver(camera, kind, feed, objects),
      caughtUp: () => this.#cast.shows(camera) && this.#engine?.caughtUp(),
      onEnd,
    };
    if (this.#cast.shows(camera) && (!this.#engine || !sameConfig(config, this.#config))) {
      this.#config = config;
      this.#openEngine().configure(config);
    }
    if (camera.pulled) camera.subscribe();
    this.#cast.found(camera);
  }

  /**
   * @param {Camera} camera
   * @param {Kind} kind
   * @param {Feed} feed
   * @param {Ordered[]} objects
   */
  #deliver(camera, kind, feed, objects) {
    for (const o of objects) {
      this.#cast.hear(camera, kind, feed, o);
      if (this.#cast.shows(camera)) this.#show(kind, o);
      else if (this.#cast.audition(camera, kind, o)) this.#cut(camera);
    }
  }

  /** @param {Kind} kind @param {Ordered} o of the camera that is shown */
  #show(kind, o) {
    this.#heardAt = performance.now();
    if (o.skipped) this.#engine?.gap(kind);
    if (o.payload.length > 0) this.#engine?.append(kind, o.payload);
  }

  /** Shows another camera than before, from what it holds on. @param {Camera} camera */
  #cut(camera) {
    this.#closePaths();
    this.#config = /** @type {EngineConfig} */ (camera.config);
    const engine = this.#openEngine();
    engine.cut(this.#config);
    for (const { kind, object } of camera.release()) this.#show(kind, object);
    engine.caughtUp();
    this.#cast.direct();
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
    for (const camera of this.#cast.cameras) camera.lanes.clear();
    this.#restarts++;
    engine.destroy();
    this.#session?.close(SessionCode.INTERNAL_ERROR, why);
  }

  /** @param {number} ms @param {boolean} [light] whether a reason to try again wakes it */
  async #sleep(ms, light = false) {
    const { signal } = this.#abort;
    if (signal.aborted) return;
    await new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#wakers.delete(done);
        resolve(undefined);
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener('abort', done);
      if (light) this.#wakers.add(done);
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
