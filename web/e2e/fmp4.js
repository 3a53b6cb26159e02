// Takes ffmpeg's fragmented MP4 apart as a publisher does: one header per track,
// and chunks of moof+mdat.

/** @returns {Generator<{type: string, bytes: Buffer, body: Buffer}>} */
export function* boxes(bytes) {
  for (let at = 0; at + 8 <= bytes.length; ) {
    const size = bytes.readUInt32BE(at);
    yield { type: bytes.toString('latin1', at + 4, at + 8), bytes: bytes.subarray(at, at + size), body: bytes.subarray(at + 8, at + size) };
    at += size;
  }
}

function box(type, ...parts) {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, body]);
}

function child(body, ...path) {
  for (const type of path) {
    const found = [...boxes(body)].find((b) => b.type === type);
    if (!found) return null;
    body = found.body;
  }
  return body;
}

/** One header per track of a header of many. */
export function splitInit(ftyp, moov) {
  const parts = [...boxes(moov.subarray(8))];
  return parts
    .filter((b) => b.type === 'trak')
    .map((trak) => {
      const tkhd = child(trak.body, 'tkhd');
      const id = tkhd.readUInt32BE(tkhd[0] === 1 ? 20 : 12);
      const mvex = [...boxes(parts.find((b) => b.type === 'mvex').body)].filter((b) => b.type !== 'trex' || b.body.readUInt32BE(4) === id);
      const kind = child(trak.body, 'mdia', 'hdlr').toString('latin1', 8, 12) === 'vide' ? 'video' : 'audio';
      const mvhd = parts.find((b) => b.type === 'mvhd').bytes;
      return { id, kind, init: Buffer.concat([ftyp, box('moov', mvhd, trak.bytes, box('mvex', ...mvex.map((b) => b.bytes)))]) };
    });
}

/** Codec string of an H.264 or AAC header. */
export function codecOf(init) {
  const avcC = init.indexOf('avcC');
  if (avcC > 0) return 'avc1.' + init.toString('hex', avcC + 5, avcC + 8);
  return 'mp4a.40.2';
}

/**
 * Reads a stream of fragmented MP4 and calls back with what it finds.
 * @param {AsyncIterable<Buffer>} stream
 * @param {{header(tracks: {id: number, kind: string, init: Buffer}[]): void, chunk(id: number, key: boolean, bytes: Buffer): void}} on
 */
export async function readStream(stream, on) {
  let held = Buffer.alloc(0);
  let ftyp = null;
  let moof = null;
  for await (const data of stream) {
    held = Buffer.concat([held, data]);
    while (held.length >= 8) {
      const size = held.readUInt32BE(0);
      if (held.length < size) break;
      const type = held.toString('latin1', 4, 8);
      const bytes = Buffer.from(held.subarray(0, size));
      held = held.subarray(size);
      if (type === 'ftyp') ftyp = bytes;
      else if (type === 'moov') on.header(splitInit(ftyp, bytes));
      else if (type === 'moof') moof = bytes;
      else if (type === 'mdat' && moof) {
        const traf = child(moof.subarray(8), 'traf');
        const tfhd = child(traf, 'tfhd');
        const trun = child(traf, 'trun');
        // ffmpeg marks a key frame by first_sample_flags against a default of non-sync.
        const key = (trun.readUInt32BE(0) & 4) !== 0 || (tfhd.readUInt32BE(tfhd.length - 4) & 0x10000) === 0;
        on.chunk(tfhd.readUInt32BE(4), key, Buffer.concat([moof, bytes]));
        moof = null;
      }
    }
  }
}
