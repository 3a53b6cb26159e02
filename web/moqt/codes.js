// The code registries of the draft ("Error Codes"), with the words a viewer
// is shown. A code that is not listed is treated as the INTERNAL_ERROR of its
// space, as the draft asks, but keeps its number in the text.

/** Why a session was closed ("Session Termination Error Codes"). */
export const SessionCode = Object.freeze({
  NO_ERROR: 0x0,
  INTERNAL_ERROR: 0x1,
  UNAUTHORIZED: 0x2,
  PROTOCOL_VIOLATION: 0x3,
  INVALID_REQUEST_ID: 0x4,
  DUPLICATE_TRACK_ALIAS: 0x5,
  KEY_VALUE_FORMATTING_ERROR: 0x6,
  INVALID_PATH: 0x8,
  MALFORMED_PATH: 0x9,
  GOAWAY_TIMEOUT: 0x10,
  CONTROL_MESSAGE_TIMEOUT: 0x11,
  DATA_STREAM_TIMEOUT: 0x12,
  AUTH_TOKEN_CACHE_OVERFLOW: 0x13,
  DUPLICATE_AUTH_TOKEN_ALIAS: 0x14,
  VERSION_NEGOTIATION_FAILED: 0x15,
  MALFORMED_AUTH_TOKEN: 0x16,
  UNKNOWN_AUTH_TOKEN_ALIAS: 0x17,
  EXPIRED_AUTH_TOKEN: 0x18,
  INVALID_AUTHORITY: 0x19,
  MALFORMED_AUTHORITY: 0x1a,
});

/** Why a request was refused ("REQUEST_ERROR Codes"). */
export const RequestCode = Object.freeze({
  INTERNAL_ERROR: 0x0,
  UNAUTHORIZED: 0x1,
  TIMEOUT: 0x2,
  NOT_SUPPORTED: 0x3,
  MALFORMED_AUTH_TOKEN: 0x4,
  EXPIRED_AUTH_TOKEN: 0x5,
  GOING_AWAY: 0x6,
  EXCESSIVE_LOAD: 0x9,
  DOES_NOT_EXIST: 0x10,
  INVALID_RANGE: 0x11,
  MALFORMED_TRACK: 0x12,
  DUPLICATE_SUBSCRIPTION: 0x19,
  UNINTERESTED: 0x20,
  PREFIX_OVERLAP: 0x30,
  NAMESPACE_TOO_LARGE: 0x31,
  INVALID_JOINING_REQUEST_ID: 0x32,
  UNSUPPORTED_EXTENSION: 0x33,
  REDIRECT: 0x34,
});

/** Why a publisher ended a subscription ("PUBLISH_DONE Codes"). */
export const DoneCode = Object.freeze({
  INTERNAL_ERROR: 0x0,
  UNAUTHORIZED: 0x1,
  TRACK_ENDED: 0x2,
  SUBSCRIPTION_ENDED: 0x3,
  GOING_AWAY: 0x4,
  TOO_FAR_BEHIND: 0x5,
  EXPIRED: 0x6,
  UPDATE_FAILED: 0x8,
  EXCESSIVE_LOAD: 0x9,
  MALFORMED_TRACK: 0x12,
});

/** Why a stream was reset or stopped ("Stream Reset Error Codes"). */
export const StreamCode = Object.freeze({
  INTERNAL_ERROR: 0x0,
  CANCELLED: 0x1,
  DELIVERY_TIMEOUT: 0x2,
  SESSION_CLOSED: 0x3,
  GOING_AWAY: 0x4,
  TOO_FAR_BEHIND: 0x5,
  UNKNOWN_OBJECT_STATUS: 0x6,
  EXPIRED_AUTH_TOKEN: 0x7,
  EXCESSIVE_LOAD: 0x9,
  MALFORMED_TRACK: 0x12,
});

/** @type {Record<string, string>} */
const WORDS = {
  NO_ERROR: 'the session was closed without an error',
  INTERNAL_ERROR: 'internal error',
  UNAUTHORIZED: 'not authorized',
  PROTOCOL_VIOLATION: 'the protocol was violated',
  GOAWAY_TIMEOUT: 'the relay went away',
  CONTROL_MESSAGE_TIMEOUT: 'a control message took too long',
  DATA_STREAM_TIMEOUT: 'a data stream took too long',
  VERSION_NEGOTIATION_FAILED: 'no common draft',
  EXPIRED_AUTH_TOKEN: 'the token has expired',
  MALFORMED_AUTH_TOKEN: 'the token is malformed',
  TIMEOUT: 'no publisher answered in time',
  NOT_SUPPORTED: 'the relay does not support this request',
  GOING_AWAY: 'the relay is going away',
  EXCESSIVE_LOAD: 'the relay is overloaded',
  DOES_NOT_EXIST: 'no such broadcast',
  INVALID_RANGE: 'nothing was published yet',
  MALFORMED_TRACK: 'the publisher contradicts itself',
  UNSUPPORTED_EXTENSION: 'the track needs an extension this player does not have',
  TRACK_ENDED: 'the track has ended',
  SUBSCRIPTION_ENDED: 'the subscription has ended',
  TOO_FAR_BEHIND: 'this viewer fell too far behind',
};

/**
 * The draft's upper-case name of a code, or its number in hex.
 * @param {Readonly<Record<string, number>>} registry one of the tables above
 * @param {number | bigint} code
 */
export function codeName(registry, code) {
  for (const [name, value] of Object.entries(registry)) if (value === code) return name;
  return `0x${code.toString(16)}`;
}

/**
 * What a code means in plain words.
 * @param {Readonly<Record<string, number>>} registry
 * @param {number | bigint} code
 */
export function codeWords(registry, code) {
  const name = codeName(registry, code);
  return WORDS[name] ?? name.toLowerCase().replaceAll('_', ' ');
}
