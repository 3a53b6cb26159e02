// Several cameras from end to end, in real processes: camera A, which is red, is
// killed, and the page shows camera B, which is blue and has another codec, size
// and frame rate. Set KEEP to a folder to keep the screenshots.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openBrowser } from './browser.js';
import { startCluster } from './cluster.js';

const skip = !existsSync(process.env.CHROMIUM ?? '/usr/bin/chromium') && 'no Chromium';
const RED = { colour: 'red' };
const BLUE = { colour: 'blue', size: '320x180', rate: 25, codec: 'vp9' };
/** What a cut takes beside the silence that is waited for: a round trip, a decoder, and a machine that has other things to do. */
const CUT_MS = 1500;
/** How long a camera must be back until it is shown again, and what its group and the machine take. */
const BACK_MS = 4000 + 1000 + CUT_MS;

/** @type {import('./cluster.js').Cluster} */
let cluster;
/** @type {import('./cluster.js').Publisher} */
let a;
/** @type {import('./cluster.js').Publisher} */
let b;
/** @type {Awaited<ReturnType<typeof openBrowser>>} */
let browser;

before(async () => {
  if (skip) return;
  cluster = await startCluster();
  a = await cluster.film('live/a', 0, RED);
  b = await cluster.film('live/b', 1, BLUE);
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
});

/** Notes the colour of each picture from now on, as long as the page has the same <video>. */
async function look() {
  await browser.page.evaluate(() => {
    const { video } = document.querySelector('moq-player');
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    globalThis.video = video;
    /** @type {{at: number, colour: string, gap: number}[]} each change, and the time without a picture before it */
    globalThis.changes = [];
    let last = Date.now();
    const each = () => {
      canvas.drawImage(video, 0, 0, 1, 1);
      const [red, , blue] = canvas.getImageData(0, 0, 1, 1).data;
      const colour = red > 128 && blue < 128 ? 'red' : blue > 128 && red < 128 ? 'blue' : 'neither';
      const at = Date.now();
      if (changes.at(-1)?.colour !== colour) changes.push({ at, colour, gap: at - last });
      last = at;
      video.requestVideoFrameCallback(each);
    };
    video.requestVideoFrameCallback(each);
  });
}

const colours = () => browser.page.evaluate(() => changes.map((c) => c.colour).join(' '));
const cameras = () => browser.page.evaluate(() => document.querySelector('moq-player').cameras);

/** Waits for the n-th change of the picture. */
async function changed(n, timeout = 20_000) {
  await browser.page.waitForFunction((count) => changes.length >= count, n, { timeout });
  return browser.page.evaluate((i) => changes[i], n - 1);
}

async function screenshot(name) {
  if (process.env.KEEP) await browser.page.locator('moq-player').screenshot({ path: join(process.env.KEEP, `${name}.png`) });
}

test('the first camera is shown, of the other nothing but its catalog is asked for', { skip }, async () => {
  const { page } = browser;
  await page.goto(`${cluster.relays[1].page}#live/a,live/b`);
  await page.waitForFunction(() => document.querySelector('moq-player')?.state === 'live', null, { timeout: 20_000 });
  await look();
  await page.waitForTimeout(6000);
  assert.equal(await colours(), 'red');
  assert.deepEqual((await cameras()).map((c) => [c.name, c.there, c.shown, c.chosen]), [['a', true, true, false], ['b', true, false, false]]);
  await screenshot('camera-a');
});

test('when it is killed, the other is shown within the bound, without a reload', { skip }, async () => {
  const { page } = browser;
  const [{ patienceMs }] = await cameras();
  const killed = Date.now();
  await a.stop('SIGKILL');
  const cut = await changed(2);
  console.log(`# blue ${cut.at - killed} ms after the kill, ${cut.gap} ms after the last red picture; ${Math.round(patienceMs)} ms of silence are waited for, load ${loadavg()[0].toFixed(1)}`);
  assert.equal(await colours(), 'red blue');
  assert.ok(cut.at - killed < patienceMs + CUT_MS, `${cut.at - killed} ms`);
  await page.waitForTimeout(3000);
  await screenshot('camera-b');
  const stats = await page.evaluate(() => document.querySelector('moq-player').stats());
  assert.equal(stats.state, 'live');
  assert.deepEqual([stats.tracks.video.codec.slice(0, 4), stats.tracks.video.width], ['vp09', 320]);
  assert.ok(stats.fps > 20, `${stats.fps} frames/s`);
  assert.equal(await page.evaluate(() => video === document.querySelector('moq-player').video && video.error === null), true, 'another <video>');
  assert.equal(await colours(), 'red blue');
});

test('when it is back for some seconds, it is shown again', { skip }, async () => {
  const { page } = browser;
  a = await cluster.film('live/a', 0, RED);
  const back = Date.now();
  const cut = await changed(3);
  console.log(`# red ${cut.at - back} ms after its publisher was back, ${cut.gap} ms after the last blue picture`);
  assert.ok(cut.at - back > 3500 && cut.at - back < BACK_MS, `${cut.at - back} ms`);
  await page.waitForTimeout(3000);
  assert.equal(await colours(), 'red blue red');
});

test('the viewer chooses with the keyboard, and the choice stays while it lives', { skip }, async () => {
  const { page } = browser;
  await page.locator('moq-player').focus();
  await page.keyboard.press('c');
  await page.keyboard.press('c'); // from auto to a, and to b
  await changed(4);
  await page.waitForTimeout(6000);
  assert.equal(await colours(), 'red blue red blue');
  assert.deepEqual((await cameras()).map((c) => [c.shown, c.chosen]), [[false, false], [true, true]]);
  const list = page.locator('moq-player select.cameras');
  assert.equal(await list.inputValue(), '1');
  await screenshot('camera-chosen');
  await list.selectOption({ label: 'a' });
  await changed(5);
  await list.selectOption('1');
  await changed(6);
  await b.stop('SIGKILL');
  await changed(7);
  await page.waitForTimeout(1000);
  assert.equal(await colours(), 'red blue red blue red blue red');
  assert.equal(await list.inputValue(), '');
});

test('after a restart of the relay, the camera that is left goes on', { skip }, async () => {
  const { page } = browser;
  const before = await colours();
  await cluster.relays[1].program.stop();
  await page.waitForFunction(() => document.querySelector('moq-player').state === 'reconnecting');
  await cluster.startRelay(1);
  await page.waitForFunction(() => document.querySelector('moq-player').state === 'live', null, { timeout: 20_000 });
  await page.waitForTimeout(1000);
  assert.equal(await colours(), before);
  assert.deepEqual((await cameras()).map((c) => [c.there, c.shown]), [[true, true], [false, false]]);
});

test('nothing went wrong in the page', { skip }, () => {
  assert.deepEqual(
    // While the relay restarts, the browser tells by itself of each attempt to reach it.
    browser.logs.filter((l) => l.startsWith('pageerror') || (l.startsWith('error') && !l.startsWith('error: Failed to establish a connection'))),
    [],
  );
});
