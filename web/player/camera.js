// One of the broadcasts that a player has to choose from: what is known of it,
// what is subscribed of it, and, until it is shown, what it would begin with.

import { RequestCode } from '../moqt/codes.js';
import { RequestError } from '../moqt/errors.js';
import { namespaceOf } from './catalog.js';
import { parseChunk, parseInit } from './chunk.js';
import { Feed } from './feed.js';
import { Order } from './order.js';

/** @import {Session} from '../moqt/session.js' */
/** @import {CatalogTrack} from './catalog.js' */
/** @import {InitTiming} from './chunk.js' */
/** @import {EngineConfig, Kind} from './mse.js' */
/** @import {Ordered} from './order.js' */

/** @typedef {{track: CatalogTrack, order: Order}} Lane */
/** @typedef {{kind: Kind, object: Ordered}} Held */

/** Bytes that a camera may hold which is not shown yet. */
const MAX_HELD = 32 << 20;
/** A track that says nothing for this long while the catalog speaks is subscribed anew. */
const STALE_MS = 8000;
/** A track that is not there yet is asked for again, each time after twice as long. */
const MIN_ASK_MS = 125;
const MAX_ASK_MS = 2000;
/** What is shown is sent first; media that is not for showing must not take its room. */
const PRIORITY = { audio: 64, video: 128 };
const WATCHED = { audio: 200, video: 220 };

/**
 * @typedef {object} Stage what a camera plays for, as long as its broadcast is there
 * @property {Session} session
 * @property {(kind: Kind, feed: Feed, objects: Ordered[]) => void} deliver
 * @property {() => void} caughtUp called when what was there when it subscribed is delivered, of all tracks
 * @property {(err: Error) => void} onEnd of a track
 */

/** What a player has of one camera. */
export class Camera {
  /** @type {Map<Kind, Lane>} outlive sessions, so that the same broadcast goes on without a seam */
  lanes = new Map();
  /** @type {Map<Kind, Feed>} of this session */
  feeds = new Map();
  /** @type {[Kind, CatalogTrack][]} the tracks that its catalog offers this browser */
  tracks = [];
  /** @type {EngineConfig | null} for these */
  config = null;
  /** Why what its catalog offers cannot be played, in words; empty if it can, or there is none. */
  problem = '';
  /** Whether its media is wanted. */
  pulled = false;
  /** Whether it is only to be seen how it fares. */
  watched = false;
  /** @type {Stage | null} null while its broadcast is not there */
  stage = null;
  /** @type {Held[]} */
  #held = [];
  #bytes = 0;
  /** @type {InitTiming | null} of the track that leads */
  #timing = null;

  /** @param {number} index @param {readonly string[]} namespace */
  constructor(index, namespace) {
    this.index = index;
    this.namespace = namespace;
  }

  /**
   * Takes what its newest catalog offers.
   * @param {[Kind, CatalogTrack][]} tracks
   * @param {EngineConfig} config
   */
  offer(tracks, config) {
    this.tracks = tracks;
    this.config = config;
    this.problem = '';
    const init = config[this.lead]?.init;
    this.#timing = init ? parseInit(init) : null;
  }

  /** The kind of track whose groups it begins with. @returns {Kind} */
  get lead() {
    return this.config && !this.config.video ? 'audio' : 'video';
  }

  /** Subscribes to its tracks, as far as they are not or stand still. */
  subscribe() {
    const { stage } = this;
    if (!stage) return;
    const waitsFor = new Set(this.tracks.map(([kind]) => kind));
    for (const [kind, track] of this.tracks) {
      const lane = this.#lane(kind, track);
      const feed = this.feeds.get(kind);
      if (feed && performance.now() - feed.heardAt < STALE_MS) continue;
      feed?.close();
      this.#feed(stage, kind, lane, () => {
        waitsFor.delete(kind);
        if (waitsFor.size === 0) stage.caughtUp();
      });
    }
    for (const [kind, feed] of this.feeds) {
      if (this.tracks.some(([k]) => k === kind)) continue;
      this.feeds.delete(kind);
      feed.close();
    }
  }

  /**
   * Subscribes to a track. One that is not there yet, as when a publisher starts
   * its tracks one after the other, is asked for again for a while.
   * @param {Stage} stage
   * @param {Kind} kind
   * @param {Lane} lane
   * @param {() => void} caughtUp
   * @param {number} [wait] ms until the next attempt
   */
  #feed(stage, kind, lane, caughtUp, wait = MIN_ASK_MS) {
    const { track, order } = lane;
    const feed = new Feed(stage.session, namespaceOf(track, this.namespace), track.name, order, {
      priority: (this.watched ? WATCHED : PRIORITY)[kind],
      deliver: (objects) => stage.deliver(kind, feed, objects),
      caughtUp,
    });
    this.feeds.set(kind, feed);
    feed.ended.catch(async (err) => {
      const absent = err instanceof RequestError && (err.code === RequestCode.DOES_NOT_EXIST || err.code === RequestCode.TIMEOUT);
      if (absent && wait <= MAX_ASK_MS) {
        await new Promise((resolve) => setTimeout(resolve, wait));
        if (this.feeds.get(kind) !== feed || stage.session.over) return;
        feed.close();
        this.#feed(stage, kind, lane, caughtUp, wait * 2);
      } else if (this.feeds.get(kind) === feed) stage.onEnd(err);
    });
  }

  /** The lane of a track; a new one if it is another track than before. @param {Kind} kind @param {CatalogTrack} track @returns {Lane} */
  #lane(kind, track) {
    const lane = this.lanes.get(kind);
    if (lane && lane.track.name === track.name) {
      lane.track = track;
      return lane;
    }
    const made = { track, order: new Order({ independent: kind === 'audio' }) };
    this.lanes.set(kind, made);
    return made;
  }

  /** How long an object of the track that leads plays, in ms; 0 if it does not say. @param {Uint8Array} payload */
  lengthOf(payload) {
    const timing = this.#timing && parseChunk(payload, this.#timing);
    return timing && this.#timing ? (timing.duration / this.#timing.timescale) * 1000 : 0;
  }

  /** Whether what is held begins with a group. */
  get ready() {
    return this.#held.some(({ kind }) => kind === this.lead);
  }

  /**
   * Keeps an object: behind all that is held, or, if it begins a group and only
   * the newest is wanted, alone with the sound that belongs to it.
   * @param {Kind} kind
   * @param {Ordered} object
   * @param {boolean} all
   */
  hold(kind, object, all) {
    const begins = kind === this.lead && object.object === 0;
    if (begins && (!all || !this.ready || this.#bytes > MAX_HELD)) {
      this.#held = this.#held.filter((h) => h.kind !== kind && h.object.group >= object.group);
      this.#bytes = this.#held.reduce((sum, h) => sum + h.object.payload.length, 0);
    } else if (kind === this.lead && !this.ready) return;
    this.#held.push({ kind, object });
    this.#bytes += object.payload.length;
    if (this.#bytes > 2 * MAX_HELD) this.drop();
  }

  /** Forgets what is held. */
  drop() {
    this.#held = [];
    this.#bytes = 0;
  }

  /** Gives what is held, which is forgotten then. */
  release() {
    const held = this.#held;
    this.drop();
    return held;
  }

  /** Its media is not wanted any more: what comes the next time begins anew. */
  leave() {
    this.pulled = false;
    this.lanes.clear();
    this.close();
  }

  /** Ends its subscriptions of media. */
  close() {
    for (const feed of this.feeds.values()) feed.close();
    this.feeds.clear();
    this.drop();
  }
}

/**
 * What cameras are called: what their names do not have in common.
 * @param {readonly (readonly string[])[]} namespaces
 */
export function labels(namespaces) {
  const [first = []] = namespaces;
  let common = 0;
  while (common < first.length - 1 && namespaces.every((n) => n.length > common + 1 && n[common] === first[common])) common++;
  return namespaces.map((n) => n.slice(common).join('/'));
}
