/** How far back a chunk's time must lie to mean that the publisher began anew, in seconds. */
const BACK = 1;
/** How long one track's jump waits for the other's, in ms. */
const PATIENCE_MS = 2000;

/**
 * Notices that the timestamps began anew, as after a restart of the publisher.
 * Audio and video cross that line at different moments; until the second one
 * has, its chunks still belong to the old time and must not be played.
 */
export class Timeline {
  #epoch = 0;
  #since = 0;
  /** @type {Map<string, {epoch: number, end: number}>} */
  #tracks = new Map();

  /**
   * @param {string} kind of track
   * @param {number} start of the chunk, in seconds
   * @param {number} end
   * @param {number} now ms on a steady clock
   * @returns {'play' | 'drop' | 'restart'} restart: drop all that is buffered, then play
   */
  place(kind, start, end, now) {
    let track = this.#tracks.get(kind);
    if (!track) this.#tracks.set(kind, (track = { epoch: this.#epoch, end: start }));
    const back = start < track.end - BACK;
    track.end = end;
    if (back) {
      track.epoch++;
      if (track.epoch <= this.#epoch) return 'play';
      this.#epoch = track.epoch;
      this.#since = now;
      return 'restart';
    }
    if (track.epoch === this.#epoch) return 'play';
    if (now - this.#since < PATIENCE_MS) return 'drop';
    // It did not jump at all, so there is one time only.
    track.epoch = this.#epoch;
    return 'play';
  }
}
