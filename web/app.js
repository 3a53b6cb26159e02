// The page a relay serves: what is live on it, and a player for one of them.
//
// The broadcast is named by the address: ?play=a/b/c or #a/b/c; several cameras,
// the preferred first, by #a/b,a/c. Where none is named and exactly one is live,
// that one is played.

import { certificateHashes, dial, parseAddress } from './player/address.js';
import { missing } from './player/support.js';
import './player/element.js';

/** @import {Session} from './moqt/session.js' */

const MIN_WAIT_MS = 250;
const MAX_WAIT_MS = 5000;

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @type {Map<string, string[]>} what is live, by its path in an address */
const live = new Map();
let listed = false;
/** What stands in place of a list that is not known. */
let unlisted = 'Looking for broadcasts…';
let playing = '';

/** The path of a namespace in an address. @param {readonly string[]} namespace */
const pathOf = (namespace) => namespace.map(encodeURIComponent).join('/');

/** @param {string} path of one broadcast, or of several cameras */
function readable(path) {
  try {
    return path.split(',').map((one) => one.split('/').map(decodeURIComponent).join(' / ')).join(', ');
  } catch {
    return path;
  }
}

/** What the address names; empty if nothing. */
function named() {
  const query = new URLSearchParams(location.search).get('play') ?? '';
  const path = location.hash.slice(1) || query.split('/').map(encodeURIComponent).join('/');
  return path.replace(/^\/+|\/+$/g, '');
}

/** @param {string} path */
function play(path) {
  if (path === playing) return;
  playing = path;
  const stage = byId('stage');
  stage.querySelector('moq-player')?.remove();
  stage.hidden = !path;
  document.title = path ? `${readable(path)} · Tributary` : 'Tributary';
  if (!path) return;
  byId('title').textContent = readable(path);
  const player = document.createElement('moq-player');
  player.setAttribute('src', path.split(',').map((one) => `/${one.replace(/^\/+/, '')}`).join(' '));
  stage.append(player);
}

function render() {
  if (named()) play(named());
  else if (listed && live.size === 1) play([...live.keys()][0]);
  else if (listed && live.size > 0 && !live.has(playing)) play('');
  const list = byId('list');
  list.replaceChildren(
    ...[...live.keys()].sort().map((path) => {
      const item = document.createElement('li');
      const link = document.createElement('a');
      link.href = `#${path}`;
      link.textContent = readable(path);
      if (path === playing) link.setAttribute('aria-current', 'true');
      item.append(link);
      return item;
    }),
  );
  byId('count').textContent = live.size > 0 ? `(${live.size})` : '';
  const empty = byId('empty');
  const there = new Set([...live.keys()].map(readable));
  const away = listed && playing && !playing.split(',').some((one) => there.has(readable(one.replace(/^\/+/, ''))));
  empty.hidden = live.size > 0 && !away;
  if (!listed) empty.textContent = unlisted;
  else if (live.size > 0) empty.textContent = `“${readable(playing)}” is not among them. It is played as soon as it begins.`;
  else empty.textContent = 'Nothing is live on this relay. This list changes by itself as soon as a publisher starts.';
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let soon;

/** Renders once for all that changes at one time, as at either end of a session. */
function renderSoon() {
  clearTimeout(soon);
  soon = setTimeout(render, 0);
}

/** Tells which namespaces the relay has until the session ends. @param {Session} session */
async function watch(session) {
  let over = false;
  const relay = byId('relay');
  relay.textContent = `relay ${location.host}`;
  const sink = {
    /** @param {string[]} namespace */
    added(namespace) {
      if (namespace.length === 0 || namespace[0].startsWith('.')) return;
      live.set(pathOf(namespace), namespace);
      renderSoon();
    },
    /** @param {string[]} namespace */
    removed(namespace) {
      live.delete(pathOf(namespace));
      renderSoon();
    },
  };
  const watching = session.watchNamespaces([], sink);
  watching.ok.then(
    () => {
      // The names that are there follow the answer at once; a moment decides
      // between one broadcast and the first of many.
      setTimeout(() => {
        listed = !over;
        render();
      }, 50);
    },
    (err) => (relay.textContent = `relay ${location.host} does not list its broadcasts: ${err.words ?? err.message}`),
  );
  watching.ended.catch(() => {});
  try {
    await session.closed;
  } finally {
    over = true;
    listed = false; // what the relay had is not known any more
    renderSoon();
  }
}

async function main() {
  addEventListener('hashchange', render);
  const why = missing();
  if (why) unlisted = `No broadcasts can be listed: ${why}.`;
  render();
  if (why) return;
  const { relay, fingerprints } = parseAddress('/', location.href);
  for (let wait = MIN_WAIT_MS; ; wait = Math.min(MAX_WAIT_MS, wait * 2)) {
    try {
      const session = await dial(relay, { hashes: await certificateHashes(fingerprints) });
      wait = MIN_WAIT_MS;
      await watch(session);
      byId('relay').textContent = 'reconnecting to the relay';
    } catch (err) {
      byId('relay').textContent = /** @type {{words?: string}} */ (err).words ?? String(err);
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

void main();
