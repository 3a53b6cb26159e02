// Serves the player's files over plain HTTP, and a Source as one long response
// that a relay in the page plays back.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };

/**
 * @param {{source: import('./media.js').Source | null, inject?: string}} state what /feed plays, and markup for the page's head; may change
 * @returns {Promise<{url: string, close(): void}>}
 */
export async function serve(state) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (pathname === '/feed') return feed(state.source, response);
    if (pathname === '/certificate.sha256') return void response.writeHead(404).end();
    try {
      const name = pathname === '/' ? 'index.html' : normalize(pathname).slice(1);
      let body = await readFile(join(ROOT, name));
      if (name === 'index.html' && state.inject) body = Buffer.from(body.toString().replace('<script ', `${state.inject}<script `));
      response.writeHead(200, { 'content-type': TYPES[extname(name)] ?? 'application/octet-stream' }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  return {
    url: `http://localhost:${server.address().port}`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Messages of a length, a JSON head and a payload: see relay.js, which reads them. */
function feed(source, response) {
  response.writeHead(200, { 'content-type': 'application/octet-stream' });
  if (!source) return void response.end();
  const send = (head, payload = Buffer.alloc(0)) => {
    const json = Buffer.from(JSON.stringify(head));
    const lengths = Buffer.alloc(8);
    lengths.writeUInt32BE(json.length, 0);
    lengths.writeUInt32BE(payload.length, 4);
    response.write(Buffer.concat([lengths, json, payload]));
  };
  const header = (tracks) => send({ tracks: tracks.map(({ id, kind, codec, init }) => ({ id, kind, codec, init: init.toString('base64') })) });
  const listener = { header, chunk: (id, at, bytes) => send({ id, ...at }, bytes) };
  if (source.tracks.length > 0) header(source.tracks);
  source.listeners.add(listener);
  response.on('close', () => source.listeners.delete(listener));
  void source.done.finally(() => response.end());
}
