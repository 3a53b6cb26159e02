import { codeName, codeWords, RequestCode, SessionCode, StreamCode } from './codes.js';

/** @import {Redirect} from './messages.js' */

/** The peer sent bytes that the draft forbids; `code` is what the session is closed with. */
export class WireError extends Error {
  /**
   * @param {string} message
   * @param {number} [code] a SessionCode
   */
  constructor(message, code = SessionCode.PROTOCOL_VIOLATION) {
    super(message);
    this.name = 'WireError';
    this.code = code;
  }
}

/** The session has ended: by the peer (`remote`), by us, or because the network did. */
export class SessionError extends Error {
  /**
   * @param {number} code a SessionCode
   * @param {string} reason
   * @param {boolean} remote
   */
  constructor(code, reason, remote) {
    super(reason ? `${codeName(SessionCode, code)}: ${reason}` : codeName(SessionCode, code));
    this.name = 'SessionError';
    this.code = code;
    this.reason = reason;
    this.remote = remote;
  }

  /** What happened, for a viewer. */
  get words() {
    return this.reason || codeWords(SessionCode, this.code);
  }
}

/** The peer refused a request. */
export class RequestError extends Error {
  /**
   * @param {number | bigint} code a RequestCode
   * @param {string} reason the peer's text, may be empty
   * @param {number | null} retryMs least time before asking again; null: asking again is no use
   * @param {Redirect | null} [redirect]
   */
  constructor(code, reason, retryMs, redirect = null) {
    super(reason ? `${codeName(RequestCode, code)}: ${reason}` : codeName(RequestCode, code));
    this.name = 'RequestError';
    this.code = code;
    this.reason = reason;
    this.retryMs = retryMs;
    this.redirect = redirect;
  }

  /** What happened, for a viewer. */
  get words() {
    const words = codeWords(RequestCode, this.code);
    return this.reason ? `${words} (${this.reason})` : words;
  }
}

/** A stream was reset or stopped before its end. */
export class StreamError extends Error {
  /** @param {number} code a StreamCode */
  constructor(code) {
    super(`stream ended with ${codeName(StreamCode, code)}`);
    this.name = 'StreamError';
    this.code = code;
  }
}
