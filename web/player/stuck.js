// Tells when a playback stands still although there is something to play. Pure:
// snapshots go in, so every rule has a test.

/** Chunks that arrive for this long with no picture moving mean that no picture will. */
export const STUCK_MS = 5000;
/** A chunk this old is no sign that chunks arrive. */
const RECENT_MS = 1000;

/**
 * @typedef {object} Moment
 * @property {number} now ms on a steady clock
 * @property {number} heardAt when the newest chunk arrived; -Infinity if none has
 * @property {number} time the playhead, in seconds
 * @property {boolean} held whether the viewer or the browser keeps it paused
 */

/** Watches one player. */
export class Stuck {
  #time = NaN;
  #since = -Infinity;

  /**
   * To be called about twice a second.
   * @param {Moment} m
   * @returns {boolean} whether to begin anew; then the wait begins anew too
   */
  observe({ now, heardAt, time, held }) {
    if (held || time !== this.#time || now - heardAt > RECENT_MS) {
      this.#time = time;
      this.#since = now;
      return false;
    }
    if (now - this.#since < STUCK_MS) return false;
    this.#since = now;
    return true;
  }
}
