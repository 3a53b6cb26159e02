// Reads back the wall clock that dev/stamp draws into its pictures.

const CELLS = 32;

/**
 * The time in a picture, in ms since 1970; null where there is none to be
 * read, as in a torn or half decoded frame. Self-contained, so that it can be
 * sent into a page as text.
 * @param {{data: Uint8ClampedArray, width: number, height: number}} image RGBA, the whole picture at any scale
 * @returns {number | null}
 */
export function readStamp({ data, width }) {
  const size = width / 32;
  const luma = (cell) => {
    const cx = Math.floor(((cell % 32) + 0.5) * size);
    const cy = Math.floor((Math.floor(cell / 32) + 0.5) * size);
    const reach = Math.max(1, Math.floor(size / 8));
    let sum = 0;
    let n = 0;
    for (let y = cy - reach; y < cy + reach; y++) {
      for (let x = cx - reach; x < cx + reach; x++) {
        const i = (y * width + x) * 4;
        sum += 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
        n++;
      }
    }
    return sum / n;
  };
  const cells = Array.from({ length: 64 }, (_, i) => luma(i));
  const sync = [0, 1, 2, 3, 32, 33, 34, 35].map((i) => cells[i]);
  const bright = [0, 2, 5, 7].map((i) => sync[i]);
  const dark = [1, 3, 4, 6].map((i) => sync[i]);
  if (Math.min(...bright) - Math.max(...dark) < 80) return null;
  const threshold = (bright.reduce((a, b) => a + b) + dark.reduce((a, b) => a + b)) / 8;
  let bits = 0n;
  for (let i = 0; i < 64; i++) {
    if (i % 32 >= 4) bits = (bits << 1n) | (cells[i] > threshold ? 1n : 0n);
  }
  const ms = Number(bits >> 8n);
  let crc = 0;
  for (let shift = 40n; shift >= 0n; shift -= 8n) {
    crc ^= Number((BigInt(ms) >> shift) & 0xffn);
    for (let i = 0; i < 8; i++) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : crc << 1;
  }
  return crc === Number(bits & 0xffn) ? ms : null;
}

/**
 * Samples the age of what a player shows, in the page, frame by frame.
 * @param {import('playwright-core').Page} page
 * @param {number} milliseconds how long; the most if `from` is given
 * @param {number} [from] ends with the first picture that was drawn at this time, in ms since 1970, or later
 * @returns {Promise<{ages: number[], unread: number, frames: number, reached: boolean}>} ages in ms, one for each frame read
 */
export function sampleAges(page, milliseconds, from = Infinity) {
  return page.evaluate(
    async ({ milliseconds, from, source, cells }) => {
      const readStamp = new Function(`return ${source}`)();
      const { video } = document.querySelector('moq-player');
      const canvas = document.createElement('canvas');
      const out = { ages: [], unread: 0, frames: 0, reached: false };
      const until = performance.now() + milliseconds;
      await new Promise((resolve) => {
        const frame = () => {
          const now = performance.timeOrigin + performance.now();
          // Only the rows of cells are copied; drawing takes time too.
          const { videoWidth: width } = video;
          const height = (width / cells) * 2;
          canvas.width = width;
          canvas.height = height;
          const context = canvas.getContext('2d', { willReadFrequently: true });
          context.drawImage(video, 0, 0, width, height, 0, 0, width, height);
          const ms = readStamp(context.getImageData(0, 0, width, height));
          out.frames++;
          if (ms === null) out.unread++;
          else out.ages.push(now - ms);
          out.reached = ms !== null && ms >= from;
          if (performance.now() < until && !out.reached) video.requestVideoFrameCallback(frame);
          else resolve();
        };
        setTimeout(resolve, milliseconds + 2000);
        video.requestVideoFrameCallback(frame);
      });
      return out;
    },
    // Infinity has no JSON.
    { milliseconds, from: Math.min(from, Number.MAX_SAFE_INTEGER), source: readStamp.toString(), cells: CELLS },
  );
}

/** The middle of a list of numbers; NaN of none. */
export function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted.length ? (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2 : NaN;
}
