// The catalog of a broadcast: MSF and CMSF, draft-01. It comes from outside, so
// every field is looked at before it is used, and what is not understood is
// left out: a player shows what it can.

/**
 * @typedef {object} CatalogTrack
 * @property {string} name
 * @property {string | null} namespace null: that of the catalog
 * @property {string} packaging
 * @property {string} eventType of an event timeline
 * @property {'video' | 'audio' | 'other'} kind
 * @property {string} codec
 * @property {number} bitrate bit/s; 0 if not given
 * @property {number} width
 * @property {number} height
 * @property {number} framerate
 * @property {number} samplerate
 * @property {number} renderGroup tracks of one group are played together
 * @property {number} targetLatencyMs 0 if not given
 * @property {boolean} encrypted
 * @property {Uint8Array | null} init the CMAF header
 */

/** @typedef {{tracks: CatalogTrack[], complete: boolean, raw: RawCatalog}} Catalog complete: no track will ever change again */
/** @typedef {Record<string, unknown>} Raw */
/** @typedef {{tracks: Raw[], initDataList: Raw[], isComplete: boolean}} RawCatalog */

const MAX_SIZE = 4 << 20;
const MAX_TRACKS = 500;
const MAX_INIT_SIZE = 1 << 20;

/** The catalog is not one; the message says why. */
export class CatalogError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'CatalogError';
  }
}

/**
 * Reads an object of the catalog track.
 * @param {Uint8Array} payload UTF-8 JSON
 * @param {Catalog | null} before what a delta update is applied to
 * @returns {Catalog}
 * @throws {CatalogError}
 */
export function parseCatalog(payload, before) {
  if (payload.length > MAX_SIZE) throw new CatalogError(`catalog of ${payload.length} bytes`);
  let json;
  try {
    json = JSON.parse(new TextDecoder().decode(payload));
  } catch {
    throw new CatalogError('the catalog is not JSON');
  }
  const root = asRecord(json);
  if (!root) throw new CatalogError('the catalog is not a JSON object');
  const raw = root.deltaUpdate === undefined ? independent(root) : update(root, before);
  if (raw.tracks.length > MAX_TRACKS) throw new CatalogError(`catalog of ${raw.tracks.length} tracks`);
  const inits = initData(raw.initDataList);
  const tracks = [];
  for (const t of raw.tracks) {
    const track = readTrack(t, inits);
    if (track) tracks.push(track);
  }
  return { tracks, complete: raw.isComplete, raw };
}

/** @param {Raw} root @returns {RawCatalog} */
function independent(root) {
  if (!Array.isArray(root.tracks)) throw new CatalogError('the catalog has no tracks');
  return { tracks: records(root.tracks), initDataList: records(root.initDataList), isComplete: root.isComplete === true };
}

/** @param {Raw} root @param {Catalog | null} before @returns {RawCatalog} */
function update(root, before) {
  if (!before) throw new CatalogError('a catalog update came before the catalog');
  if (!Array.isArray(root.deltaUpdate)) throw new CatalogError('deltaUpdate is not a list');
  let { tracks } = before.raw;
  for (const step of records(root.deltaUpdate)) {
    for (const t of records(step.tracks)) {
      const same = (/** @type {Raw} */ other) => other.name === t.name && other.namespace === t.namespace;
      const parent = (/** @type {Raw} */ other) => other.name === t.parentName && other.namespace === t.parentNamespace;
      switch (step.op) {
        case 'add':
          tracks = [...tracks.filter((o) => !same(o)), t];
          break;
        case 'remove':
          tracks = tracks.filter((o) => !same(o));
          break;
        case 'update':
          tracks = tracks.map((o) => ((t.parentName === undefined ? same(o) : parent(o)) ? { ...o, ...t } : o));
          break;
        case 'clone': {
          const original = tracks.find(parent);
          if (original) tracks = [...tracks.filter((o) => !same(o)), { ...original, ...t }];
          break;
        }
      }
      // Checked at every step: a short update may double the list many times.
      if (tracks.length > MAX_TRACKS) throw new CatalogError(`catalog of ${tracks.length} tracks`);
    }
  }
  return {
    tracks,
    initDataList: [...before.raw.initDataList, ...records(root.initDataList)].slice(-MAX_TRACKS),
    isComplete: before.raw.isComplete || root.isComplete === true,
  };
}

/** @param {Raw[]} list @returns {Map<string, Uint8Array>} */
function initData(list) {
  const inits = new Map();
  for (const { id, type, data } of list) {
    if (typeof id !== 'string' || (type !== undefined && type !== 'inline')) continue;
    const bytes = base64(data);
    if (bytes) inits.set(id, bytes);
  }
  return inits;
}

/** @param {Raw} raw @param {Map<string, Uint8Array>} inits @returns {CatalogTrack | null} */
function readTrack(raw, inits) {
  const { name } = raw;
  if (typeof name !== 'string') return null;
  const codec = string(raw.codec);
  const mime = string(raw.mimeType);
  return {
    name,
    namespace: typeof raw.namespace === 'string' ? raw.namespace : null,
    packaging: string(raw.packaging),
    eventType: string(raw.eventType),
    kind: kindOf(string(raw.role), mime, codec),
    codec,
    bitrate: number(raw.bitrate),
    width: number(raw.width),
    height: number(raw.height),
    framerate: number(raw.framerate),
    samplerate: number(raw.samplerate),
    renderGroup: number(raw.renderGroup),
    targetLatencyMs: number(raw.targetLatency) || number(asRecord(raw.buffers)?.target),
    encrypted: Array.isArray(raw.contentProtectionRefIDs) || raw.encryptionScheme !== undefined,
    init: inits.get(string(raw.initRef)) ?? base64(raw.initData),
  };
}

/** @param {string} role @param {string} mime @param {string} codec @returns {CatalogTrack['kind']} */
function kindOf(role, mime, codec) {
  if (role === 'video' || role === 'audio') return role;
  if (role) return 'other';
  if (mime.startsWith('video/')) return 'video';
  if (mime.startsWith('audio/')) return 'audio';
  if (/^(avc|hvc|hev|vp0|av01)/.test(codec)) return 'video';
  return /^(mp4a|opus|ac-3|ec-3|flac)/i.test(codec) ? 'audio' : 'other';
}

/** The type MediaSource is asked for. @param {CatalogTrack} track */
export function mimeOf(track) {
  return `${track.kind === 'audio' ? 'audio' : 'video'}/mp4; codecs="${track.codec.replaceAll('"', '')}"`;
}

/**
 * Chooses what to play: the best video this browser decodes, and the audio that
 * belongs to it.
 * @param {Catalog} catalog
 * @param {(mime: string) => boolean} supported
 * @returns {{video: CatalogTrack | null, audio: CatalogTrack | null, why: string}} why: in words, if both are null
 */
export function choose(catalog, supported) {
  /** @type {string[]} */
  const problems = [];
  const playable = catalog.tracks.filter((track) => {
    if (track.kind === 'other') return false;
    const problem = problemOf(track, supported);
    if (problem) problems.push(problem);
    return !problem;
  });
  const best = (/** @type {CatalogTrack['kind']} */ kind, /** @type {number} */ group) =>
    playable
      .filter((t) => t.kind === kind)
      .sort((a, b) => Number(b.renderGroup === group) - Number(a.renderGroup === group) || b.bitrate - a.bitrate)[0] ?? null;
  const video = best('video', 0);
  const audio = best('audio', video?.renderGroup ?? 0);
  const why = [...new Set(problems)].slice(0, 3).join('; ') || 'the broadcast has neither video nor audio';
  return { video, audio, why: video || audio ? '' : why };
}

/** @param {CatalogTrack} track @param {(mime: string) => boolean} supported */
function problemOf(track, supported) {
  if (track.packaging !== 'cmaf' && track.packaging !== 'chunk-per-object') return `packaging ${track.packaging || 'unknown'} is not supported`;
  if (track.encrypted) return 'the broadcast is encrypted';
  if (!track.init) return `track ${track.name} has no initialization data`;
  if (!track.codec) return `track ${track.name} names no codec`;
  if (!supported(mimeOf(track))) return `this browser does not decode ${track.codec}`;
  return '';
}

/**
 * The namespace of a track. The field is one string where a namespace is a
 * list; most publishers that fill it in join the fields with "/".
 * @param {CatalogTrack} track
 * @param {readonly string[]} catalogNamespace
 * @returns {readonly string[]}
 */
export function namespaceOf(track, catalogNamespace) {
  if (track.namespace === null || track.namespace === catalogNamespace.join('/')) return catalogNamespace;
  return [track.namespace];
}

/** @param {unknown} v @returns {Raw | null} */
function asRecord(v) {
  return typeof v === 'object' && v !== null && !Array.isArray(v) ? /** @type {Raw} */ (v) : null;
}

/** @param {unknown} v @returns {Raw[]} */
function records(v) {
  if (!Array.isArray(v)) return [];
  return v.map(asRecord).filter((r) => r !== null);
}

/** @param {unknown} v */
function string(v) {
  return typeof v === 'string' ? v : '';
}

/** @param {unknown} v a finite number that is not negative, also as text; otherwise 0 */
function number(v) {
  const n = typeof v === 'string' && v.trim() ? Number(v) : v;
  return typeof n === 'number' && Number.isFinite(n) && n >= 0 ? n : 0;
}

/** @param {unknown} v @returns {Uint8Array | null} */
function base64(v) {
  if (typeof v !== 'string' || v.length === 0 || v.length > MAX_INIT_SIZE * 1.4) return null;
  try {
    return Uint8Array.from(atob(v), (c) => c.charCodeAt(0));
  } catch {
    return null;
  }
}
