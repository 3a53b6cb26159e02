// What the player needs to know of fragmented MP4: when a chunk plays, how
// long, and whether it can be decoded by itself. The bytes go to the browser
// unchanged; a box that is not understood here is the browser's affair.

/**
 * @typedef {object} ChunkTiming
 * @property {number} start decode time of the first sample, in units of the timescale
 * @property {number} duration of all samples, in the same units; 0 if the chunk does not say
 * @property {number} samples
 * @property {boolean} key whether the first sample is a sync sample
 * @property {number | null} captureMs wall clock of the first sample by a prft box, ms since 1970
 */

/** @typedef {{timescale: number, defaultDuration: number, defaultFlags: number}} InitTiming of the first track */

const NON_SYNC = 0x10000; // sample_is_non_sync_sample of the sample flags
const NTP_EPOCH_MS = 2_208_988_800_000; // 1900 to 1970

/**
 * The boxes that lie next to each other in [from, to).
 * @param {DataView} view
 * @param {number} from
 * @param {number} to
 * @returns {Generator<{type: string, start: number, end: number}>} start is behind the box header
 */
function* boxes(view, from, to) {
  while (from + 8 <= to) {
    let size = view.getUint32(from);
    let header = 8;
    if (size === 1 && from + 16 <= to) {
      size = view.getUint32(from + 8) * 2 ** 32 + view.getUint32(from + 12);
      header = 16;
    } else if (size === 0) size = to - from;
    if (size < header || from + size > to) return;
    const type = String.fromCharCode(view.getUint8(from + 4), view.getUint8(from + 5), view.getUint8(from + 6), view.getUint8(from + 7));
    yield { type, start: from + header, end: from + size };
    from += size;
  }
}

/**
 * @param {DataView} view
 * @param {{start: number, end: number}} box
 * @param {string[]} path of types
 */
function find(view, box, ...path) {
  let found = box;
  for (const type of path) {
    let inner = null;
    for (const b of boxes(view, found.start, found.end)) {
      if (b.type === type) {
        inner = b;
        break;
      }
    }
    if (!inner) return null;
    found = inner;
  }
  return found;
}

/** @param {Uint8Array} bytes */
const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/**
 * Reads a CMAF header (ftyp, moov).
 * @param {Uint8Array} bytes
 * @returns {InitTiming | null} null if it is none
 */
export function parseInit(bytes) {
  const view = viewOf(bytes);
  const all = { start: 0, end: bytes.length };
  const mdhd = find(view, all, 'moov', 'trak', 'mdia', 'mdhd');
  try {
    if (!mdhd) return null;
    const timescale = view.getUint32(mdhd.start + (view.getUint8(mdhd.start) === 1 ? 20 : 12));
    if (timescale === 0) return null;
    const trex = find(view, all, 'moov', 'mvex', 'trex');
    return {
      timescale,
      defaultDuration: trex ? view.getUint32(trex.start + 12) : 0,
      defaultFlags: trex ? view.getUint32(trex.start + 20) : 0,
    };
  } catch (err) {
    if (err instanceof RangeError) return null; // a field beyond the end
    throw err;
  }
}

/**
 * Reads the timing of a chunk: one or more moof+mdat of one track.
 * @param {Uint8Array} bytes
 * @param {InitTiming} init
 * @returns {ChunkTiming | null} null if there is no moof with a decode time
 */
export function parseChunk(bytes, init) {
  const view = viewOf(bytes);
  /** @type {ChunkTiming | null} */
  let timing = null;
  /** @type {number | null} */
  let captureMs = null;
  try {
    for (const box of boxes(view, 0, bytes.length)) {
      if (box.type === 'prft') captureMs ??= readCapture(view, box.start);
      if (box.type !== 'moof') continue;
      const traf = find(view, box, 'traf');
      const fragment = traf && readFragment(view, traf, init);
      if (!fragment) continue;
      if (!timing) timing = { ...fragment, captureMs };
      else {
        timing.duration += fragment.duration;
        timing.samples += fragment.samples;
      }
    }
  } catch (err) {
    if (err instanceof RangeError) return null;
    throw err;
  }
  return timing;
}

/** @param {DataView} view @param {number} at Producer Reference Time Box: NTP time behind flags and track id */
function readCapture(view, at) {
  const seconds = view.getUint32(at + 8);
  const fraction = view.getUint32(at + 12) / 2 ** 32;
  return (seconds + fraction) * 1000 - NTP_EPOCH_MS;
}

/** @param {DataView} view @param {{start: number, end: number}} traf @param {InitTiming} init */
function readFragment(view, traf, init) {
  const tfdt = find(view, traf, 'tfdt');
  if (!tfdt) return null;
  const wide = view.getUint8(tfdt.start) === 1;
  const start = wide ? view.getUint32(tfdt.start + 4) * 2 ** 32 + view.getUint32(tfdt.start + 8) : view.getUint32(tfdt.start + 4);
  let { defaultDuration, defaultFlags } = init;
  const tfhd = find(view, traf, 'tfhd');
  if (tfhd) {
    const flags = view.getUint32(tfhd.start) & 0xffffff;
    let at = tfhd.start + 8;
    if (flags & 0x01) at += 8; // base_data_offset
    if (flags & 0x02) at += 4; // sample_description_index
    if (flags & 0x08) {
      defaultDuration = view.getUint32(at);
      at += 4;
    }
    if (flags & 0x10) at += 4; // default_sample_size
    if (flags & 0x20) defaultFlags = view.getUint32(at);
  }
  let duration = 0;
  let samples = 0;
  let firstFlags = defaultFlags;
  for (const box of boxes(view, traf.start, traf.end)) {
    if (box.type !== 'trun') continue;
    const run = readRun(view, box, defaultDuration, defaultFlags);
    if (samples === 0) firstFlags = run.firstFlags;
    duration += run.duration;
    samples += run.samples;
  }
  return { start, duration, samples, key: (firstFlags & NON_SYNC) === 0 };
}

/** @param {DataView} view @param {{start: number, end: number}} trun @param {number} defaultDuration @param {number} defaultFlags */
function readRun(view, trun, defaultDuration, defaultFlags) {
  const flags = view.getUint32(trun.start) & 0xffffff;
  const samples = view.getUint32(trun.start + 4);
  let at = trun.start + 8;
  if (flags & 0x01) at += 4; // data_offset
  let firstFlags = defaultFlags;
  if (flags & 0x04) {
    firstFlags = view.getUint32(at);
    at += 4;
  }
  const size = 4 * [0x100, 0x200, 0x400, 0x800].filter((bit) => flags & bit).length;
  if (samples * size > trun.end - at) throw new RangeError('trun: samples beyond its end');
  if (!(flags & 0x04) && flags & 0x400 && samples > 0) {
    firstFlags = view.getUint32(at + (flags & 0x100 ? 4 : 0) + (flags & 0x200 ? 4 : 0));
  }
  if (!(flags & 0x100)) return { samples, duration: samples * defaultDuration, firstFlags };
  let duration = 0;
  for (let i = 0; i < samples; i++) duration += view.getUint32(at + i * size);
  return { samples, duration, firstFlags };
}
