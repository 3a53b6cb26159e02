// Puts the objects of one track in order. They come from several streams at
// once, the joining FETCH and one stream per group, and any of these may be
// late, cut short or doubled. Time comes from outside, so tests own the clock.

import { Status } from '../moqt/objects.js';
import { add } from '../moqt/varint.js';

/** @import {MoqObject} from '../moqt/objects.js' */
/** @import {StreamEnd} from '../moqt/request.js' */
/** @import {Vi64} from '../moqt/varint.js' */

/** Object properties that say how many ids before this one do not exist. */
const PRIOR_GROUP_ID_GAP = 0x3c;
const PRIOR_OBJECT_ID_GAP = 0x3e;

/** Most groups held; a live track has a few. */
const MAX_GROUPS = 1000;

/**
 * @typedef {object} OrderOptions
 * @property {number} [stallMs] how long a missing object is waited for while a newer group is there; default 500
 * @property {boolean} [independent] whether every object can be decoded by itself, as audio can
 * @property {number} [maxBytes] held; default 64 MiB
 */

/** @typedef {{group: Vi64, object: Vi64, payload: Uint8Array, skipped: boolean}} Ordered skipped: objects before it were given up */

/**
 * @typedef {object} Group
 * @property {Map<Vi64, MoqObject>} objects not yet taken
 * @property {Vi64 | null} end id behind the last object, where it is known
 * @property {Vi64 | null} streamEnd id behind the last object of a stream that ended well
 */

/** The reorder queue of a track. */
export class Order {
  #stallMs;
  #independent;
  #maxBytes;
  /** @type {Map<Vi64, Group>} */
  #groups = new Map();
  /** @type {Vi64 | null} the group objects are taken from; null before the first */
  #group = null;
  /** @type {Vi64} the object that is next in it */
  #next = 0;
  #started = false;
  #headless = false;
  #skipped = false;
  /** @type {number | null} since when a newer group waits for a missing object */
  #blockedSince = null;
  #bytes = 0;
  /** Objects that came twice or too late, and groups given up. */
  stats = { duplicates: 0, late: 0, skips: 0 };
  /** Whether the publisher marked the end of the track. */
  ended = false;

  /** @param {OrderOptions} [options] */
  constructor(options = {}) {
    this.#stallMs = options.stallMs ?? 500;
    this.#independent = options.independent ?? false;
    this.#maxBytes = options.maxBytes ?? 64 << 20;
  }

  /** Where the next object is taken; null before the first. */
  get position() {
    return this.#group === null || !this.#started ? null : { group: this.#group, object: this.#next };
  }

  /** Bytes that wait for their turn. */
  get heldBytes() {
    return this.#bytes;
  }

  /**
   * A subscription has begun whose head is `group`: nothing before will come.
   * Where the track went on from the position, it is played on without a seam.
   * @param {Vi64} group
   */
  joinAt(group) {
    this.#headless = false;
    if (!this.#started || this.#group === null || group === this.#group) return;
    if (group < this.#group) this.reset(); // ids began anew
    else this.#enter(group);
    this.#skipped = true;
  }

  /** The head of the current group will not come: the next group need not wait for it. */
  noHead() {
    this.#headless = true;
  }

  /** Forgets everything: what comes next begins anew. */
  reset() {
    this.#groups.clear();
    this.#group = null;
    this.#next = 0;
    this.#started = false;
    this.#blockedSince = null;
    this.#bytes = 0;
    this.ended = false;
  }

  /** @param {MoqObject} o */
  push(o) {
    if (this.#started && this.#group !== null && (o.group < this.#group || (o.group === this.#group && o.object < this.#next))) {
      this.stats.late++;
      return;
    }
    const group = this.#groupOf(o.group);
    if (o.status === Status.NORMAL) {
      if (group.objects.has(o.object)) {
        this.stats.duplicates++;
        return;
      }
      group.objects.set(o.object, o);
      this.#bytes += cost(o);
      this.#enforceBound();
    } else {
      group.end = o.object;
      if (o.status === Status.END_OF_TRACK) this.ended = true;
    }
  }

  /** @param {StreamEnd} end */
  streamEnd(end) {
    if (!end.complete || end.last === null || (this.#started && this.#group !== null && end.group < this.#group)) return;
    const group = this.#groupOf(end.group);
    const behind = add(end.last, 1);
    if (end.endOfGroup) group.end = behind;
    if (group.streamEnd === null || behind > group.streamEnd) group.streamEnd = behind;
  }

  /** @param {Vi64} id */
  #groupOf(id) {
    let group = this.#groups.get(id);
    if (!group && this.#groups.size >= MAX_GROUPS) this.reset();
    if (!group) this.#groups.set(id, (group = { objects: new Map(), end: null, streamEnd: null }));
    return group;
  }

  /**
   * Takes all objects whose turn it is.
   * @param {number} now ms on any steady clock
   * @returns {Ordered[]}
   */
  take(now) {
    /** @type {Ordered[]} */
    const out = [];
    for (;;) {
      if (!this.#started) this.#group = smallest(this.#groups.keys());
      if (this.#group === null) return out;
      const group = this.#groupOf(this.#group);
      this.#takeRun(group, out);
      if (this.#skipGap(group) || this.#leaveFinished(group)) continue;
      if (!this.#giveUp(group, now)) return out;
    }
  }

  /** When `take` is worth calling even if nothing comes: ms on the same clock, or null. */
  get wakeAt() {
    return this.#blockedSince === null ? null : this.#blockedSince + this.#stallMs;
  }

  /** @param {Group} group @param {Ordered[]} out */
  #takeRun(group, out) {
    for (;;) {
      const o = group.objects.get(this.#next);
      if (!o) return;
      group.objects.delete(this.#next);
      this.#bytes -= cost(o);
      out.push({ group: o.group, object: o.object, payload: o.payload, skipped: this.#skipped });
      this.#started = true;
      this.#skipped = false;
      this.#blockedSince = null;
      this.#next = add(o.object, 1);
    }
  }

  /** Steps over ids that do not exist, by the word of the object behind them. @param {Group} group */
  #skipGap(group) {
    const id = smallest(group.objects.keys());
    if (id === null || id <= this.#next) return false;
    const gap = property(group.objects.get(id), PRIOR_OBJECT_ID_GAP);
    if (gap === null || BigInt(id) - BigInt(gap) > BigInt(this.#next)) return false;
    this.#next = id;
    return true;
  }

  /** Goes on to the next group where this one is known to be over. @param {Group} group */
  #leaveFinished(group) {
    const newer = this.#newer();
    if (newer === null) return false;
    // A stream that ended well, and a newer group: no publisher leaves a group
    // half way and comes back to it on another stream.
    const end = group.end ?? group.streamEnd;
    if (end === null || this.#next < end || !this.#started) return false;
    const first = this.#groups.get(newer)?.objects.get(0);
    const gap = property(first, PRIOR_GROUP_ID_GAP);
    const adjacent = BigInt(newer) - BigInt(this.#group ?? 0) - 1n <= BigInt(gap ?? 0);
    if (!adjacent) return false;
    this.#enter(newer);
    return true;
  }

  /** Gives up what is missing, once it has been waited for long enough. @param {Group} group @param {number} now */
  #giveUp(group, now) {
    const later = this.#independent ? smallest(group.objects.keys()) : null;
    const newer = this.#newer();
    if (later === null && newer === null) {
      this.#blockedSince = null;
      return false;
    }
    this.#blockedSince ??= this.#headless && !this.#started ? -Infinity : now;
    if (now - this.#blockedSince < this.#stallMs) return false;
    this.stats.skips++;
    this.#skipped = true;
    this.#started = true;
    this.#blockedSince = null;
    if (later !== null) this.#next = later;
    else if (newer !== null) this.#enter(newer);
    return true;
  }

  /** The next group that could be played: one whose first object is here. */
  #newer() {
    /** @type {Vi64 | null} */
    let best = null;
    for (const [id, group] of this.#groups) {
      if (this.#group !== null && id <= this.#group) continue;
      if (!group.objects.has(0) && !(this.#independent && group.objects.size > 0)) continue;
      if (best === null || id < best) best = id;
    }
    return best;
  }

  /** @param {Vi64} id */
  #enter(id) {
    for (const [other, group] of this.#groups) {
      if (other >= id) continue;
      for (const o of group.objects.values()) this.#bytes -= cost(o);
      this.#groups.delete(other);
    }
    this.#group = id;
    this.#next = 0;
    this.#blockedSince = null;
  }

  #enforceBound() {
    while (this.#bytes > this.#maxBytes) {
      const newer = this.#newer();
      if (newer === null) {
        // One group alone is too large: it cannot be played.
        this.reset();
        this.#skipped = true;
        this.stats.skips++;
        return;
      }
      this.stats.skips++;
      this.#skipped = true;
      this.#started = true;
      this.#enter(newer);
    }
  }
}

/** What an object counts: empty ones need memory too. @param {MoqObject} o */
function cost(o) {
  return o.payload.length + 256;
}

/** @param {Iterable<Vi64>} ids @returns {Vi64 | null} */
function smallest(ids) {
  /** @type {Vi64 | null} */
  let min = null;
  for (const id of ids) if (min === null || id < min) min = id;
  return min;
}

/** @param {MoqObject | undefined} o @param {number} type @returns {Vi64 | null} */
function property(o, type) {
  const value = o?.properties.find((p) => p.type === type)?.value;
  return value === undefined || value instanceof Uint8Array ? null : value;
}
