// Files of npm packages and of this directory, served to a page as if they were
// the relay's: Chromium guards the local network from pages that did not come
// from there.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(new URL('.', import.meta.url));

/** Where the browser finds what the packages and their dependencies import. */
const IMPORTS = {
  '@moq/net': '@moq/net/index.js',
  '@moq/signals': '@moq/signals/index.js',
  '@moq/qmux': '@moq/qmux/index.js',
  '@moq/web-socket-stream': '@moq/web-socket-stream/index.js',
  '@zod/mini': '@zod/mini/index.js',
  'async-mutex': 'async-mutex/index.mjs',
  bowser: 'bowser/bowser.mjs',
  'zod/mini': 'zod/mini/index.js',
};

/**
 * Opens an empty document of a relay that may import the packages, and has the
 * files below this directory under /interop/.
 * @param {import('playwright-core').Page} page
 * @param {string} relay address of the relay's page
 */
export async function openDocument(page, relay) {
  await page.route('**/interop/**', (route) => {
    const path = new URL(route.request().url()).pathname.replace('/interop/', '');
    return route.fulfill({ path: join(HERE, path) });
  });
  await page.goto(`${relay}style.css`);
  const imports = Object.fromEntries(Object.entries(IMPORTS).map(([name, path]) => [name, `/interop/node_modules/${path}`]));
  await page.setContent(`<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script>`);
}
