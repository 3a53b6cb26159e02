/**
 * Why this browser cannot play, in words; empty if it can.
 * @param {{isSecureContext?: boolean, WebTransport?: {prototype: object}, MediaSource?: unknown, ManagedMediaSource?: unknown}} [scope]
 */
export function missing(scope = globalThis) {
  if (scope.isSecureContext === false) return 'this page is not secure: open it by https, or by http://localhost';
  if (!scope.WebTransport) return 'this browser has no WebTransport (Chrome and Edge have it, Firefox and Safari in recent versions)';
  if (!('protocol' in scope.WebTransport.prototype)) return 'this browser’s WebTransport cannot agree on a draft: a newer version can';
  if (!scope.MediaSource && !scope.ManagedMediaSource) return 'this browser has no Media Source Extensions';
  return '';
}
