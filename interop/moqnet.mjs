// Runs the npm client @moq/net in Chromium against a relay: it subscribes to a
// track and reads whole groups, and it publishes a track. The tests of this
// directory start the relay and say where it is:
//
//   node moqnet.mjs URL FINGERPRINT VERSION subscribe NAMESPACE TRACK GROUPS
//   node moqnet.mjs URL FINGERPRINT VERSION publish NAMESPACE TRACK SECONDS
//
// What happened is printed as one line of JSON.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openBrowser } from '../web/e2e/browser.js';

const MODULES = fileURLToPath(new URL('../web/node_modules', import.meta.url));
const TYPES = { '.js': 'text/javascript', '.mjs': 'text/javascript', '.json': 'application/json' };

// The client's own imports name packages; a page has to be told where they are.
const IMPORTS = {
  '@moq/net': '/@moq/net/index.js',
  '@moq/qmux': '/@moq/qmux/index.js',
  '@moq/signals': '/@moq/signals/index.js',
  '@moq/web-socket-stream': '/@moq/web-socket-stream/index.js',
  'async-mutex': '/async-mutex/index.mjs',
  bowser: '/bowser/bowser.mjs',
  '@zod/mini': '/@zod/mini/index.js',
  'zod/mini': '/zod/mini/index.js',
};
const PAGE = `<!doctype html><meta charset="utf-8"><script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`;

const server = createServer(async (req, res) => {
  const path = normalize(new URL(req.url, 'http://localhost').pathname);
  if (path === '/') {
    res.setHeader('Content-Type', 'text/html; charset=utf-8');
    res.end(PAGE);
    return;
  }
  const file = join(MODULES, path);
  try {
    if (!(await stat(file)).isFile()) throw new Error('no file');
    res.setHeader('Content-Type', TYPES[extname(file)] ?? 'application/octet-stream');
    createReadStream(file).pipe(res);
  } catch {
    res.statusCode = 404;
    res.end();
  }
});

/** In the page: connects to the relay with one draft and no other. */
async function inPage({ url, fingerprint, version, mode, namespace, track, amount }) {
  const Moq = await import('@moq/net');
  const hash = Uint8Array.from(fingerprint.match(/../g), (b) => parseInt(b, 16));
  const transport = new WebTransport(url, {
    protocols: [version],
    serverCertificateHashes: [{ algorithm: 'sha-256', value: hash }],
  });
  await transport.ready;
  const connection = await Moq.Connection.connect(new URL(url), { transport });
  const result = { protocol: transport.protocol, version: connection.version, groups: [] };
  if (mode === 'subscribe') {
    const broadcast = connection.consume(Moq.Path.from(namespace));
    const subscriber = broadcast.subscribe(track);
    while (result.groups.length < amount) {
      const group = await subscriber.recvGroup();
      if (!group) throw new Error('the track ended');
      const frames = [];
      for (;;) {
        const frame = await group.readFrame();
        if (!frame) break;
        frames.push((frame.payload ?? frame).byteLength);
      }
      result.groups.push({ id: group.sequence, frames });
    }
    subscriber.close();
  } else {
    const broadcast = new Moq.Broadcast.Producer();
    const producer = broadcast.createTrack(track);
    connection.publish(Moq.Path.from(namespace), broadcast);
    const end = performance.now() + amount * 1000;
    for (let i = 0; performance.now() < end; i++) {
      const group = producer.appendGroup();
      for (let j = 0; j < 3; j++) {
        group.writeString(`frame ${j} of group ${i}`);
        await new Promise((done) => setTimeout(done, 50));
      }
      group.close();
      result.groups.push({ id: i, frames: [3] });
    }
    producer.close();
    broadcast.close();
  }
  connection.close();
  return result;
}

const [url, fingerprint, version, mode, namespace, track, amount] = process.argv.slice(2);
server.listen(0, '127.0.0.1');
await new Promise((ready) => server.once('listening', ready));
const browser = await openBrowser();
let code = 0;
try {
  await browser.page.goto(`http://localhost:${server.address().port}/`);
  const run = browser.page.evaluate(inPage, { url, fingerprint, version, mode, namespace, track, amount: Number(amount) });
  let late;
  const limit = new Promise((_, reject) => {
    late = setTimeout(() => reject(new Error('nothing more after 40 s')), 40_000);
  });
  const result = await Promise.race([run, limit]).finally(() => clearTimeout(late));
  console.log(JSON.stringify(result));
} catch (err) {
  console.error(err.message);
  console.error(browser.logs.join('\n'));
  code = 1;
} finally {
  await browser.close();
  server.close();
}
process.exit(code);
