// Keeps the playhead near the live edge. Pure: a snapshot goes in, a rate and
// perhaps a place to seek to come out, so every rule has a test.

/** @typedef {readonly [number, number]} Range start and end in seconds */

/**
 * @typedef {object} Snapshot
 * @property {number} now ms on a steady clock
 * @property {number} time the playhead, in seconds
 * @property {readonly Range[]} ranges what can be played: buffered by every track, ascending
 * @property {boolean} paused by the viewer
 */

/** Longer holes than this are jumped over; the browser steps over shorter ones by itself. */
const HOLE = 0.1;
/** Further behind the target than this, playing faster takes too long, in seconds. */
const FAR = 1;
/** At the start the way to the edge is shorter than a viewer would notice. */
const FAR_AT_START = 0.3;
const START_MS = 2000;
const SEEK_PAUSE_MS = 1000;
const WINDOW_MS = 1000;
const MAX_TARGET = 1;
const CALM_MS = 15_000;

/** Decides rate and seeks for one playback. */
export class LiveControl {
  #base;
  #target;
  /** @type {{now: number, lead: number}[]} leads of the last second */
  #leads = [];
  #seekAt = -Infinity;
  #calmSince = 0;
  /** @type {number | null} */
  #startAt = null;
  #rate = 1;

  /** @param {number} targetSeconds least lead of the buffered end over the playhead that is aimed at */
  constructor(targetSeconds) {
    this.#base = targetSeconds;
    this.#target = targetSeconds;
  }

  /** The lead aimed at now, in seconds: larger than asked for after underruns. */
  get target() {
    return this.#target;
  }

  /** @param {number} seconds */
  setBase(seconds) {
    this.#base = seconds;
    this.#target = seconds;
  }

  /** What is buffered is gone; begin as at the first time. */
  restart() {
    this.#startAt = null;
    this.#leads = [];
    this.#seekAt = -Infinity;
    this.#rate = 1;
  }

  /** The playhead ran into the end of the buffer. @param {number} now */
  underrun(now) {
    // While the start is being sought, an empty buffer says nothing.
    if (this.#startAt === null || now - this.#startAt < 500) return;
    this.#target = Math.min(MAX_TARGET, this.#target * 1.4);
    this.#calmSince = now;
    this.#leads = [];
  }

  /**
   * @param {Snapshot} s
   * @returns {{rate: number, seekTo: number | null}}
   */
  step({ now, time, ranges, paused }) {
    const last = ranges.at(-1);
    if (!last || paused) return { rate: 1, seekTo: null };
    const edge = Math.max(last[0], last[1] - this.#target);
    if (this.#startAt === null) {
      this.#startAt = now;
      this.#calmSince = now;
      return this.#seek(now, edge);
    }
    const seekTo = this.#place(now, time, ranges, last, edge);
    if (seekTo !== null) return this.#seek(now, seekTo);
    this.#pace(now, last[1] - time);
    return { rate: this.#rate, seekTo: null };
  }

  /** @param {number} now @param {number} to */
  #seek(now, to) {
    this.#seekAt = now;
    this.#leads = [];
    this.#rate = 1;
    return { rate: 1, seekTo: to };
  }

  /**
   * Where to seek to, or null to stay.
   * @param {number} now
   * @param {number} time
   * @param {readonly Range[]} ranges
   * @param {Range} last
   * @param {number} edge
   */
  #place(now, time, ranges, last, edge) {
    // A seek takes its time, and while it does, the playhead is not to be trusted.
    if (now - this.#seekAt < 200) return null;
    if (time > last[1] + HOLE) return edge; // the timestamps began anew
    const next = ranges.find(([start]) => start > time);
    const here = ranges.find(([start, end]) => time >= start && time <= end);
    if (next && (!here || here[1] - time < 0.02)) return Math.max(next[0], Math.min(edge, next[1]));
    if (now - this.#seekAt < SEEK_PAUSE_MS && now - (this.#startAt ?? 0) > START_MS) return null;
    const far = now - (this.#startAt ?? 0) < START_MS ? FAR_AT_START : FAR;
    return last[1] - time > this.#target + far ? edge : null;
  }

  /**
   * Nudges the rate. The least lead of the last second counts: a single late
   * frame says more about what is needed than many early ones.
   * @param {number} now
   * @param {number} lead in seconds
   */
  #pace(now, lead) {
    this.#leads.push({ now, lead });
    while (this.#leads[0].now < now - WINDOW_MS) this.#leads.shift();
    const floor = Math.min(...this.#leads.map((l) => l.lead));
    if (now - this.#calmSince > CALM_MS && this.#target > this.#base) {
      this.#target = Math.max(this.#base, this.#target * 0.9);
      this.#calmSince = now;
    }
    const excess = floor - this.#target;
    if (excess > 0.04 || (this.#rate > 1 && excess > 0)) this.#rate = faster(excess);
    else if (floor < this.#target * 0.4 || (this.#rate < 1 && floor < this.#target * 0.7)) this.#rate = 0.95;
    else this.#rate = 1;
  }
}

/** How fast to play to lose a lead: in steps, as each change costs the browser some work. @param {number} excess in seconds */
function faster(excess) {
  if (excess > 0.2) return 1.1;
  return excess > 0.08 ? 1.05 : 1.02;
}

/**
 * What is in both lists.
 * @param {readonly Range[]} a
 * @param {readonly Range[]} b
 * @returns {Range[]}
 */
export function intersect(a, b) {
  /** @type {Range[]} */
  const out = [];
  for (const [as, ae] of a) {
    for (const [bs, be] of b) {
      const start = Math.max(as, bs);
      const end = Math.min(ae, be);
      if (start < end) out.push([start, end]);
    }
  }
  return out.sort(([x], [y]) => x - y);
}
