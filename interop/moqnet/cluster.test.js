// @moq/net 0.3.4 in Chromium, pinned to draft-18, against our relays. It is
// strict where others are not: it drops subgroup streams that do not begin with
// the group's first object, subgroups other than 0, and object ids with gaps;
// it never fetches, and resets the stream of a FETCH that it is sent.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openBrowser } from '../../web/e2e/browser.js';
import { startCluster } from '../../web/e2e/cluster.js';

const skip = !existsSync(process.env.CHROMIUM ?? '/usr/bin/chromium') && 'no Chromium';
const MODULES = fileURLToPath(new URL('../../web/node_modules/', import.meta.url));
const HERE = fileURLToPath(new URL('.', import.meta.url));

/** Where the browser finds what the package and its dependencies import. */
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

/** @type {import('../../web/e2e/cluster.js').Cluster} */
let cluster;
/** @type {Awaited<ReturnType<typeof openBrowser>>} */
let browser;

before(async () => {
  if (skip) return;
  cluster = await startCluster();
  await cluster.client('moq-pub', 0, ['--test', '--name', 'demo']);
  browser = await openBrowser();
  const { page } = browser;
  await page.route('**/interop/**', (route) => {
    const path = new URL(route.request().url()).pathname.replace('/interop/', '');
    return route.fulfill({ path: path === 'page.js' ? join(HERE, path) : join(MODULES, path) });
  });
  // A document of the relay itself: Chromium guards the local network from pages
  // that did not come from there.
  await page.goto(`${cluster.relays[1].page}style.css`);
  const imports = Object.fromEntries(Object.entries(IMPORTS).map(([name, path]) => [name, `/interop/${path}`]));
  await page.setContent(`<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script>`);
  await page.evaluate(async (pages) => {
    globalThis.moq = await import('/interop/page.js');
    globalThis.sessions = await Promise.all(pages.map((page) => moq.connect(page)));
  }, cluster.relays.map((r) => r.page));
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
});

/** The objects that a moq-sub --json has printed so far, by group and object. */
function objectsOf(sub) {
  const lines = sub.lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  return new Map(lines.map((o) => [`${o.track} ${o.group}.${o.object}`, o.sha256]));
}

test('draft-18 is spoken', { skip }, async () => {
  assert.deepEqual(await browser.page.evaluate(() => sessions.map((s) => s.version)), ['moq-transport-18', 'moq-transport-18']);
});

test('it hears of a broadcast of another relay, and reads the catalog', { skip, timeout: 20_000 }, async () => {
  const catalog = await browser.page.evaluate(async () => {
    await moq.announced(sessions[1], 'demo');
    return moq.readCatalog(sessions[1].consume('demo'));
  });
  assert.deepEqual(catalog.tracks.map((t) => t.name).sort(), ['audio', 'video']);
});

test('it reads whole groups in order, byte for byte', { skip, timeout: 40_000 }, async () => {
  const sub = await cluster.client('moq-sub', 0, ['--json', '--name', 'demo']);
  await sub.says(/^\{/);
  for (const name of ['video', 'audio']) {
    const groups = await browser.page.evaluate((name) => moq.readGroups(sessions[1].consume('demo'), name, 4), name);
    assert.deepEqual(
      groups.map((g) => g.group - groups[0].group),
      [0, 1, 2, 3],
      'groups follow each other',
    );
    const last = groups[groups.length - 1];
    await sub.says(new RegExp(`"track":"${name}","group":${last.group + 1},`));
    const sent = objectsOf(sub);
    for (const { group, hashes } of groups) {
      assert.ok(hashes.length > 1, `${hashes.length} objects in a group`);
      assert.equal(sent.has(`${name} ${group}.${hashes.length}`), false, `group ${group} of ${name} is not whole`);
      hashes.forEach((hash, i) => assert.equal(hash, sent.get(`${name} ${group}.${i}`), `${name} ${group}.${i}`));
    }
  }
  await sub.stop();
});

test('what it publishes is read through two relays', { skip, timeout: 20_000 }, async () => {
  const { got, subscribedMs } = await browser.page.evaluate(async () => {
    const timer = moq.publishLines(sessions[0], 'from/npm', 'lines');
    await moq.announced(sessions[1], 'from/npm');
    const read = await moq.readOwn(['from', 'npm'], 'lines', 50);
    clearInterval(timer);
    return read;
  });
  // Our relay fetches the head of the running group; that this publisher knows
  // of no FETCH may not keep anybody waiting.
  assert.ok(subscribedMs < 1000, `SUBSCRIBE_OK after ${subscribedMs} ms`);
  got.forEach((o, i) => {
    assert.equal(o.text, o.at);
    assert.equal(o.skipped, false, `objects are missing before ${o.at}`);
    if (i === 0) return;
    const [group, object] = got[i - 1].at.split('.').map(Number);
    assert.equal(o.at, object === 4 ? `${group + 1}.0` : `${group}.${object + 1}`);
  });
});

test('what it publishes anew is the same to moq-sub', { skip, timeout: 40_000 }, async () => {
  await browser.page.evaluate(() => moq.republish(sessions[1].consume('demo'), ['catalog', 'video', 'audio'], sessions[0], 'again'));
  const subs = [await cluster.client('moq-sub', 1, ['--json', '--name', 'again']), await cluster.client('moq-sub', 0, ['--json', '--name', 'demo'])];
  await Promise.all(subs.map((sub) => sub.says(/^\{"track":"video"/)));
  const at = Number((await subs[0].says(/^\{"track":"video","group":(\d+)/))[1]);
  for (const sub of subs) await sub.says(new RegExp(`"group":${at + 4},`));
  const [again, demo] = subs.map(objectsOf);
  let compared = 0;
  for (const [id, hash] of again) {
    const group = Number(id.split(' ')[1].split('.')[0]);
    if (group <= at || group > at + 3) continue; // whole groups only
    assert.equal(hash, demo.get(id), id);
    compared++;
  }
  const wanted = [...demo.keys()].filter((id) => id.match(new RegExp(` (${at + 1}|${at + 2}|${at + 3})\\.`))).length;
  assert.ok(compared === wanted && compared > 30, `${compared} of ${wanted} objects of three groups`);
  for (const sub of subs) await sub.stop();
});

test('the sessions are still there', { skip }, async () => {
  const closed = await browser.page.evaluate(() => Promise.race([...sessions.map((s) => s.closed.then(() => true)), new Promise((resolve) => setTimeout(resolve, 100, false))]));
  assert.equal(closed, false);
  assert.deepEqual(browser.logs.filter((l) => l.startsWith('pageerror')), []);
});
