// From the `src` of a player to the relay that is dialled and the certificate
// that is trusted.

import { SessionError } from '../moqt/errors.js';
import { Session } from '../moqt/session.js';

/** @import {ConnectOptions} from '../moqt/session.js' */

const FETCH_MS = 2000;

/**
 * @typedef {object} Address
 * @property {string} relay what WebTransport dials: https, host and port, path "/"
 * @property {string[]} namespace of the broadcast
 * @property {string[][]} [spares] broadcasts to play while that one is not there, the preferred first
 * @property {string[]} fingerprints where the relay may tell the hash of a self-signed certificate
 */

/**
 * Reads `https://host:port/a/b/c`: the broadcast a/b/c at that relay. A path
 * alone means the page's own host, whose QUIC port has the number of the page's.
 * @param {string} src
 * @param {string} base URL of the page
 * @returns {Address}
 * @throws {Error} in words
 */
export function parseAddress(src, base) {
  let url;
  try {
    url = new URL(src.replace(/^moqt:/, 'https:'), base);
  } catch {
    throw new Error(`“${src}” is no URL of a broadcast`);
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new Error(`“${src}” is no URL of a broadcast`);
  let namespace;
  try {
    namespace = url.pathname.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    throw new Error(`“${src}” is no URL of a broadcast`);
  }
  // http on its own port is the page of a relay on the port of the same number.
  const host = url.port || url.protocol === 'https:' ? url.host : `${url.hostname}:80`;
  const page = new URL(base);
  const own = page.host === url.host ? [page.protocol] : null;
  const protocols = own ?? (isLoopback(url.hostname) ? ['http:', 'https:'] : ['https:']);
  return {
    relay: `https://${host}/`,
    namespace,
    fingerprints: protocols.map((protocol) => `${protocol}//${own ? page.host : host}/certificate.sha256`),
  };
}

/**
 * Reads several addresses of broadcasts at one relay, separated by spaces: the
 * first that is there is to be played. Those behind the first may be paths.
 * @param {string} src
 * @param {string} base URL of the page
 * @returns {Address}
 * @throws {Error} in words
 */
export function parseAddresses(src, base) {
  const [first, ...others] = src.trim().split(/\s+/);
  const address = parseAddress(first, base);
  const spares = others.map((other) => {
    const { relay, namespace } = parseAddress(other, new URL(first.replace(/^moqt:/, 'https:'), base).href);
    if (relay !== address.relay) throw new Error(`“${other}” is not at the relay of “${first}”, as all cameras have to be`);
    if (namespace.length === 0) throw new Error(`“${other}” names no broadcast`);
    return namespace;
  });
  return { ...address, spares };
}

/** @param {string} hostname */
function isLoopback(hostname) {
  return hostname === 'localhost' || hostname.endsWith('.localhost') || hostname === '[::1]' || /^127\./.test(hostname);
}

/**
 * Asks a relay for the hashes of its certificate. A relay whose certificate the
 * browser trusts anyway answers 404, and none is given.
 * @param {readonly string[]} urls tried in order
 * @param {typeof fetch} [get]
 * @returns {Promise<Uint8Array[]>}
 */
export async function certificateHashes(urls, get = globalThis.fetch) {
  for (const url of urls) {
    try {
      const response = await get(url, { cache: 'no-store', signal: AbortSignal.timeout(FETCH_MS) });
      if (response.ok) return parseHashes(await response.text());
      if (response.status === 404) return [];
    } catch {
      // Not there, not HTTP, or not to be trusted: the next one, or none.
    }
  }
  return [];
}

/**
 * Connects to a relay. The browser tries one address of a name only, and of
 * localhost that is the one a relay on 127.0.0.1 does not listen at.
 * @param {string} relay
 * @param {ConnectOptions} options
 * @returns {Promise<Session>}
 */
export async function dial(relay, options) {
  try {
    return await Session.connect(relay, options);
  } catch (err) {
    const url = new URL(relay);
    if (!(err instanceof SessionError) || url.hostname !== 'localhost' || options.signal?.aborted) throw err;
    url.hostname = '127.0.0.1';
    try {
      return await Session.connect(url.href, options);
    } catch {
      throw err;
    }
  }
}

/**
 * The SHA-256 hashes in a text: 64 hex digits each, with or without colons.
 * @param {string} text
 */
export function parseHashes(text) {
  const words = text.slice(0, 4096).replaceAll(':', '').match(/\b[0-9a-fA-F]{64}\b/g) ?? [];
  return words.map((word) => Uint8Array.from(/** @type {string[]} */ (word.match(/../g)), (h) => parseInt(h, 16)));
}
