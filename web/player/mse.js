// The engine: chunks of fragmented MP4 into a <video> through MediaSource, one
// SourceBuffer per track, at the live edge.

import { LiveControl, intersect } from './live.js';
import { parseChunk, parseInit } from './chunk.js';
import { Timeline } from './timeline.js';

/** @import {InitTiming} from './chunk.js' */
/** @import {Range} from './live.js' */

/** @typedef {'video' | 'audio'} Kind */
/** @typedef {{mime: string, init: Uint8Array}} TrackConfig */
/** @typedef {{video?: TrackConfig, audio?: TrackConfig}} EngineConfig */

const TICK_MS = 50;
/** Seconds kept behind the playhead. */
const KEEP = 4;
/** Seconds that may wait ahead of a paused playhead. */
const MAX_AHEAD = 20;
/** Bytes one track may queue while its SourceBuffer is busy. */
const MAX_QUEUED = 64 << 20;
/** Chunks of one track that may wait for the MediaSource to open. */
const MAX_EARLY = 5000;
/** How long the first chunks are gathered before playback starts, in ms. */
const GATHER_MS = 120;

/** The browser's MediaSource, whichever it has. */
export function mediaSourceClass() {
  const scope = /** @type {{MediaSource?: typeof MediaSource, ManagedMediaSource?: typeof MediaSource}} */ (/** @type {unknown} */ (globalThis));
  return scope.MediaSource ?? scope.ManagedMediaSource ?? null;
}

/** One SourceBuffer and what waits for it. */
class Track {
  /** @type {({data: Uint8Array} | {change: string} | {remove: Range, flush?: boolean})[]} */
  #jobs = [];
  #queued = 0;
  /** Whether what is buffered is being dropped. */
  #flushing = false;

  /**
   * @param {Kind} kind
   * @param {SourceBuffer} buffer
   * @param {TrackConfig} config
   * @param {(err: Error) => void} onError
   * @param {() => void} onUpdate called after each change of what is buffered
   */
  constructor(kind, buffer, config, onError, onUpdate) {
    this.kind = kind;
    this.buffer = buffer;
    this.config = config;
    this.onError = onError;
    /** @type {InitTiming | null} */
    this.timing = parseInit(config.init);
    /** Whether a chunk that can be decoded by itself has come since the last flush. */
    this.keyed = false;
    buffer.addEventListener('updateend', () => {
      this.#flushing &&= this.#jobs.some((job) => 'flush' in job);
      this.#pump();
      onUpdate();
    });
    buffer.addEventListener('error', () => onError(new Error(`this browser cannot decode the ${kind}`)));
    this.append(config.init);
  }

  /** @param {Uint8Array} data */
  append(data) {
    this.#jobs.push({ data });
    this.#queued += data.length;
    if (this.#queued > MAX_QUEUED) this.onError(new Error(`the ${this.kind} comes faster than this browser takes it`));
    else this.#pump();
  }

  /** @param {TrackConfig} config of what is appended from now on */
  change(config) {
    if (config.mime !== this.config.mime) this.#jobs.push({ change: config.mime });
    this.config = config;
    this.timing = parseInit(config.init);
    this.append(config.init);
  }

  /** @param {Range} range */
  remove(range) {
    this.#jobs.push({ remove: range });
    this.#pump();
  }

  /** Drops what waits and what is buffered. The header stays in force. */
  flush() {
    this.#jobs = this.#jobs.filter((job) => 'change' in job);
    this.#queued = 0;
    this.keyed = false;
    this.#flushing = true;
    this.#jobs.push({ remove: [0, Infinity], flush: true });
    this.append(this.config.init);
  }

  /** Does the next job if the SourceBuffer is free. */
  #pump() {
    if (this.buffer.updating) return;
    const job = this.#jobs.shift();
    if (!job) return;
    try {
      if ('remove' in job) this.buffer.remove(...job.remove);
      else if ('change' in job) {
        this.buffer.changeType(job.change);
        this.#pump();
      } else this.buffer.appendBuffer(/** @type {BufferSource} */ (this.#gather(job.data)));
    } catch (err) {
      if (/** @type {Error} */ (err).name === 'QuotaExceededError' && 'data' in job) {
        // The buffer is full because nothing is played: make room and try again.
        this.#jobs.unshift(job);
        this.#queued += job.data.length;
        this.#makeRoom();
      } else if (/** @type {Error} */ (err).name !== 'InvalidStateError') this.onError(/** @type {Error} */ (err));
      // InvalidStateError: the MediaSource was replaced; so is this track.
    }
  }

  /** Joins chunks that wait: fewer, larger appends. @param {Uint8Array} first */
  #gather(first) {
    const parts = [first];
    let size = first.length;
    for (let job = this.#jobs[0]; job && 'data' in job; job = this.#jobs[0]) {
      parts.push(job.data);
      size += job.data.length;
      this.#jobs.shift();
    }
    this.#queued -= size;
    if (parts.length === 1) return first;
    const all = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  #makeRoom() {
    const { buffered } = this.buffer;
    if (buffered.length === 0) return this.onError(new Error(`the ${this.kind} does not fit this browser's buffer`));
    this.buffer.remove(0, (buffered.start(0) + buffered.end(buffered.length - 1)) / 2);
  }

  /** @returns {Range[]} */
  get ranges() {
    if (this.#flushing) return [];
    try {
      const { buffered } = this.buffer;
      return Array.from({ length: buffered.length }, (_, i) => [buffered.start(i), buffered.end(i)]);
    } catch {
      return []; // the MediaSource was replaced
    }
  }
}

/**
 * Plays live chunks in a <video>. Chunks of each kind are given in decode
 * order. Events: "error" (detail: Error) when the browser gave up and the
 * engine must be made anew.
 */
export class MseEngine extends EventTarget {
  #video;
  /** @type {MediaSource | null} */
  #source = null;
  #url = '';
  /** @type {Map<Kind, Track>} */
  #tracks = new Map();
  /** @type {Map<Kind, Uint8Array[]>} chunks that came before the SourceBuffers */
  #early = new Map();
  #timeline = new Timeline();
  #control;
  #timer;
  #abort = new AbortController();
  /** @type {number | null} when the first chunk since the last flush was appended */
  #gatheringSince = null;
  #caughtUp = false;
  #started = false;
  #rate = 1;
  /** @type {number | null} wall clock at media time 0, in ms, by the publisher's word */
  #captureZero = null;
  /** Totals since the engine was made. */
  totals = { bytes: 0, chunks: 0, droppedChunks: 0, seeks: 0, stalls: 0, restarts: 0 };

  /**
   * @param {HTMLVideoElement} video is given a source until `destroy`
   * @param {{targetSeconds?: number}} [options] targetSeconds: least buffer aimed at; default 0.15
   */
  constructor(video, options = {}) {
    super();
    this.#video = video;
    this.#control = new LiveControl(options.targetSeconds ?? 0.15);
    const { signal } = this.#abort;
    video.addEventListener('waiting', () => this.#onWaiting(), { signal });
    video.addEventListener('error', () => this.#onVideoError(), { signal });
    video.addEventListener('ratechange', () => (this.#rate = video.playbackRate), { signal });
    this.#timer = setInterval(() => this.tick(performance.now()), TICK_MS);
  }

  /** @param {number} seconds the least buffer aimed at */
  setTarget(seconds) {
    this.#control.setBase(seconds);
  }

  /**
   * Says what the chunks to come are. Where the kinds of tracks stay the same,
   * the picture stays until the new one is there.
   * @param {EngineConfig} config
   */
  configure(config) {
    const kinds = /** @type {Kind[]} */ (['video', 'audio'].filter((kind) => kind in config));
    const same = this.#source && kinds.length === this.#tracks.size && kinds.every((kind) => this.#tracks.has(kind));
    if (!same) {
      this.#open(config, kinds);
      return;
    }
    for (const kind of kinds) {
      const next = /** @type {TrackConfig} */ (config[kind]);
      const track = /** @type {Track} */ (this.#tracks.get(kind));
      if (next.mime !== track.config.mime || !equal(next.init, track.config.init)) track.change(next);
    }
  }

  /**
   * Says what the chunks to come are, of another camera: nothing of the one before
   * is played any more, and times have nothing to do with those of before.
   * @param {EngineConfig} config
   */
  cut(config) {
    this.configure(config);
    this.#timeline = new Timeline();
    this.#flush();
  }

  /** @param {EngineConfig} config @param {Kind[]} kinds */
  #open(config, kinds) {
    const Source = mediaSourceClass();
    if (!Source) return this.#fail(new Error('this browser has no MediaSource'));
    this.#release();
    const source = new Source();
    this.#source = source;
    this.#tracks.clear();
    this.#early = new Map(kinds.map((kind) => [kind, []]));
    this.#restartControl();
    this.#timeline = new Timeline();
    source.addEventListener(
      'sourceopen',
      () => {
        if (this.#source !== source) return;
        URL.revokeObjectURL(this.#url);
        try {
          // No end: this makes the browser play as it does live streams, with
          // as few frames in its own queues as it can.
          source.duration = Infinity;
          for (const kind of kinds) {
            const c = /** @type {TrackConfig} */ (config[kind]);
            this.#tracks.set(kind, new Track(kind, source.addSourceBuffer(c.mime), c, (err) => this.#fail(err), () => this.#updated()));
          }
        } catch (err) {
          return this.#fail(/** @type {Error} */ (err));
        }
        const early = this.#early;
        this.#early = new Map();
        for (const [kind, chunks] of early) for (const chunk of chunks) this.append(kind, chunk);
      },
      { once: true },
    );
    this.#video.disableRemotePlayback = true; // a ManagedMediaSource opens only then
    this.#url = URL.createObjectURL(source);
    this.#video.src = this.#url;
  }

  /**
   * Appends a chunk of a configured track.
   * @param {Kind} kind
   * @param {Uint8Array} chunk whole moof+mdat pairs; not to be changed afterwards
   */
  append(kind, chunk) {
    this.totals.bytes += chunk.length;
    this.totals.chunks++;
    const early = this.#early.get(kind);
    if (early) {
      early.push(chunk);
      if (early.length > MAX_EARLY) this.#fail(new Error('this browser does not open its MediaSource'));
      return;
    }
    const track = this.#tracks.get(kind);
    if (!track) return;
    const now = performance.now();
    const timing = track.timing && parseChunk(chunk, track.timing);
    if (timing && track.timing) {
      const start = timing.start / track.timing.timescale;
      const placed = this.#timeline.place(kind, start, start + timing.duration / track.timing.timescale, now);
      if (placed === 'restart') this.#restart();
      if (placed === 'drop' || (!track.keyed && !timing.key)) {
        this.totals.droppedChunks++;
        return;
      }
      if (timing.captureMs !== null) this.#captureZero = timing.captureMs - start * 1000;
    }
    track.keyed = true;
    this.#gatheringSince ??= now;
    track.append(chunk);
  }

  /** What is published now has been appended: playback need not wait for more to start. */
  caughtUp() {
    this.#caughtUp = true;
    this.#updated();
  }

  #updated() {
    if (!this.#started) this.tick(performance.now());
  }

  /** Chunks of this kind are missing: only one that decodes by itself may come next. @param {Kind} kind */
  gap(kind) {
    const track = this.#tracks.get(kind);
    if (track) track.keyed = false;
  }

  /** The timestamps began anew. */
  #restart() {
    this.totals.restarts++;
    this.#flush();
  }

  #flush() {
    this.#captureZero = null;
    for (const track of this.#tracks.values()) track.flush();
    this.#restartControl();
  }

  #restartControl() {
    this.#control.restart();
    this.#gatheringSince = null;
    this.#caughtUp = false;
  }

  /** @returns {Range[]} what every track has */
  get ranges() {
    const [first, ...others] = [...this.#tracks.values()].map((track) => track.ranges);
    return others.reduce((all, ranges) => intersect(all, ranges), first ?? []);
  }

  /**
   * Steers the playhead and trims the buffers; called by a timer.
   * @param {number} now ms
   */
  tick(now) {
    const video = this.#video;
    if (!this.#source || this.#gatheringSince === null || video.error) return;
    const { ranges } = this;
    if (!this.#caughtUp && now - this.#gatheringSince < GATHER_MS) return;
    const { rate, seekTo } = this.#control.step({ now, time: video.currentTime, ranges, paused: video.paused && this.#started });
    if (seekTo !== null) {
      if (this.#started) this.totals.seeks++;
      this.#started = true;
      video.currentTime = seekTo;
    }
    if (rate !== this.#rate) video.playbackRate = this.#rate = rate;
    this.#trim();
  }

  #trim() {
    const time = this.#video.currentTime;
    for (const track of this.#tracks.values()) {
      if (track.buffer.updating) continue;
      const { ranges } = track;
      const first = ranges[0];
      const last = ranges.at(-1);
      if (!first || !last) continue;
      if (first[0] < time - 2 * KEEP) track.remove([0, time - KEEP]);
      // A viewer who pauses comes back to the live edge, not to what was missed.
      else if (this.#video.paused && last[1] - time > MAX_AHEAD) track.remove([0, last[1] - MAX_AHEAD / 2]);
    }
  }

  #onWaiting() {
    const video = this.#video;
    if (video.seeking || !this.#started) return;
    const end = this.ranges.at(-1)?.[1];
    if (end === undefined || end - video.currentTime > 0.1) return;
    this.totals.stalls++;
    this.#control.underrun(performance.now());
  }

  #onVideoError() {
    const { error } = this.#video;
    if (error && this.#source) this.#fail(new Error(`this browser cannot play it: ${error.message || `media error ${error.code}`}`));
  }

  /** @param {Error} err */
  #fail(err) {
    if (this.#abort.signal.aborted) return;
    this.#release();
    this.dispatchEvent(new CustomEvent('error', { detail: err }));
  }

  #release() {
    this.#source = null;
    this.#tracks.clear();
    this.#early.clear();
    this.#started = false;
    URL.revokeObjectURL(this.#url);
  }

  /** Moves the playhead to the live edge. */
  seekLive() {
    const last = this.ranges.at(-1);
    if (last) this.#video.currentTime = Math.max(last[0], last[1] - this.#control.target);
  }

  /** What is known about this playback, for an overlay. */
  get stats() {
    const last = this.ranges.at(-1);
    const video = this.#video;
    const quality = video.getVideoPlaybackQuality?.();
    return {
      ...this.totals,
      bufferMs: last ? Math.max(0, (last[1] - video.currentTime) * 1000) : 0,
      targetMs: this.#control.target * 1000,
      rate: video.playbackRate,
      decodedFrames: quality?.totalVideoFrames ?? 0,
      droppedFrames: quality?.droppedVideoFrames ?? 0,
      /** Age of the picture by the publisher's clock against this machine's; null if it did not say. */
      captureAgeMs: this.#captureZero === null ? null : Date.now() - this.#captureZero - video.currentTime * 1000,
    };
  }

  /** Ends playback and frees everything. */
  destroy() {
    this.#abort.abort();
    clearInterval(this.#timer);
    this.#release();
    this.#video.removeAttribute('src');
    this.#video.load();
  }
}

/** @param {Uint8Array} a @param {Uint8Array} b */
export function equal(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
