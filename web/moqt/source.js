import { StreamCode } from './codes.js';
import { StreamError, WireError } from './errors.js';
import * as varint from './varint.js';

/** @import {Vi64} from './varint.js' */

const EMPTY = new Uint8Array(0);

/**
 * The bytes of one receive stream, read field by field. Nothing is read ahead
 * of what was asked for but the chunk the stream handed over, so a source that
 * nobody reads keeps the peer's flow control shut. One read at a time.
 *
 * Every read throws {@link StreamError} where the stream was reset, and
 * {@link WireError} where it ended inside the field.
 */
export class Source {
  #reader;
  /** @type {Uint8Array} */
  #chunk = EMPTY;
  #at = 0;

  /** @param {ReadableStream<Uint8Array>} stream is locked for good */
  constructor(stream) {
    this.#reader = stream.getReader();
  }

  /** Waits for one more byte; false at the end of the stream. */
  async #more() {
    while (this.#at >= this.#chunk.length) {
      let result;
      try {
        result = await this.#reader.read();
      } catch (err) {
        throw new StreamError(streamErrorCode(err));
      }
      if (result.done) return false;
      this.#chunk = result.value;
      this.#at = 0;
    }
    return true;
  }

  /** Whether the stream has ended; waits until that is known. */
  async ended() {
    return !(await this.#more());
  }

  /** @param {string} what */
  async uint8(what) {
    if (!(await this.#more())) throw new WireError(`stream ended inside ${what}`);
    return this.#chunk[this.#at++];
  }

  /** @param {string} what @returns {Promise<Vi64>} */
  async varint(what) {
    if (!(await this.#more())) throw new WireError(`stream ended inside ${what}`);
    const size = varint.length(this.#chunk[this.#at]);
    if (this.#at + size <= this.#chunk.length) {
      const v = varint.decode(this.#chunk, this.#at);
      this.#at += size;
      return v;
    }
    return varint.decode(await this.bytes(size, what), 0);
  }

  /**
   * Reads n bytes. No memory is set aside for bytes that have not come.
   * @param {number} n
   * @param {string} what
   */
  async bytes(n, what) {
    /** @type {Uint8Array[]} */
    const parts = [];
    let missing = n;
    while (missing > 0) {
      if (!(await this.#more())) throw new WireError(`stream ended inside ${what}: ${missing} of ${n} bytes missing`);
      const part = this.#chunk.subarray(this.#at, this.#at + missing);
      this.#at += part.length;
      missing -= part.length;
      parts.push(part);
    }
    if (parts.length === 1) return parts[0];
    const whole = new Uint8Array(n);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  /** Reads the next byte if it is 0, and leaves it otherwise. */
  async skipZero() {
    if ((await this.#more()) && this.#chunk[this.#at] === 0) this.#at++;
  }

  /** Reads up to the end and forgets it. */
  async drain() {
    while (await this.#more()) this.#at = this.#chunk.length;
  }

  /** Tells the peer to stop (STOP_SENDING). @param {number} code a StreamCode */
  cancel(code) {
    // A stream that is over already has nothing to cancel.
    this.#reader.cancel(streamError(code)).catch(() => {});
  }
}

/**
 * The reason with which a stream is cancelled or aborted, so that the browser
 * puts the code on the wire.
 * @param {number} code a StreamCode
 */
export function streamError(code) {
  const WTError = globalThis.WebTransportError;
  if (!WTError) return new StreamError(code);
  try {
    return new WTError('cancelled', { source: 'stream', streamErrorCode: code });
  } catch {
    // Chromium has the older constructor, which takes one dictionary.
    const Older = /** @type {new (init: object) => Error} */ (/** @type {unknown} */ (WTError));
    return new Older({ message: 'cancelled', streamErrorCode: code });
  }
}

/** @param {unknown} err what a stream of the browser failed with */
function streamErrorCode(err) {
  if (err instanceof StreamError) return err.code;
  const { streamErrorCode: code, source } = /** @type {{streamErrorCode?: number | null, source?: string}} */ (err ?? {});
  if (source === 'session') return StreamCode.SESSION_CLOSED;
  return code ?? StreamCode.INTERNAL_ERROR;
}
