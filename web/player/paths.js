// What a publisher that sends over several paths tells of them: an event timeline
// of MSF beside the media, one record a second. It comes from outside, so every
// field is looked at before it is used.

/** @import {Session} from '../moqt/session.js' */

/** The track's eventType in the catalog. */
export const EVENT_TYPE = 'live.tributary.paths.v1';

const MAX_PATHS = 16;
const MAX_SIZE = 64 << 10;
/** Records that are kept for the chart: a minute. */
const KEEP = 60;
/** After all media. */
const PRIORITY = 250;

/**
 * @typedef {object} Path
 * @property {string} name
 * @property {string} state
 * @property {string} cost
 * @property {number} rate bit/s that are sent
 * @property {number} rtt ms
 * @property {number} loss share of packets
 */

/** @typedef {{at: number, mode: string, demand: number, capacity: number, paths: Path[]}} PathsRecord at: ms since 1970; bit/s */

/**
 * Reads an object of the track.
 * @param {Uint8Array} payload
 * @returns {PathsRecord | null} null if there is nothing in it that is understood
 */
export function parsePaths(payload) {
  if (payload.length > MAX_SIZE) return null;
  let records;
  try {
    records = JSON.parse(new TextDecoder().decode(payload));
  } catch {
    return null;
  }
  const last = Array.isArray(records) ? records.at(-1) : null;
  const data = last?.data;
  if (!data || !Array.isArray(data.paths)) return null;
  return {
    at: number(last.T),
    mode: text(data.mode),
    demand: number(data.demand),
    capacity: number(data.capacity),
    paths: data.paths
      .filter((/** @type {any} */ p) => p && typeof p.path === 'string')
      .slice(0, MAX_PATHS)
      .map((/** @type {any} */ p) => ({
        name: text(p.path),
        state: text(p.state),
        cost: text(p.cost),
        rate: number(p.rate),
        rtt: number(p.rtt),
        loss: Math.min(1, number(p.loss)),
      })),
  };
}

/** The track of one session, as long as somebody looks at it. */
export class PathsFeed {
  /** @type {PathsRecord[]} oldest first */
  history = [];
  over = false;
  #subscription;

  /** @param {Session} session @param {readonly string[]} namespace @param {string} name */
  constructor(session, namespace, name) {
    const sink = {
      object: (/** @type {import('../moqt/objects.js').MoqObject} */ o) => {
        const record = parsePaths(o.payload);
        if (!record) return;
        this.history.push(record);
        if (this.history.length > KEEP) this.history.shift();
      },
      streamEnd() {},
    };
    this.#subscription = session.subscribe(namespace, name, sink, { filter: { kind: 'largest' }, priority: PRIORITY });
    this.#subscription.ended.then(
      () => (this.over = true),
      () => (this.over = true),
    );
  }

  close() {
    this.over = true;
    this.#subscription.close();
  }
}

/** @param {unknown} v */
function text(v) {
  return typeof v === 'string' ? v.slice(0, 64) : '';
}

/** @param {unknown} v */
function number(v) {
  return typeof v === 'number' && Number.isFinite(v) && v >= 0 ? v : 0;
}
