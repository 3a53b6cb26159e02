// The whole player in Chromium, over a relay in memory: pictures, sound, time,
// and what happens when publisher and relay go and come back. Set KEEP to a
// folder to keep the screenshots.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openBrowser } from './browser.js';
import { Source } from './media.js';
import { program } from './programs.js';
import { serve } from './server.js';
import { median, sampleAges } from './stamp.js';

const skip = !existsSync(process.env.CHROMIUM ?? '/usr/bin/chromium') && 'no Chromium';
const state = { source: null };
let stamp;
let server;
let browser;

before(async () => {
  if (skip) return;
  stamp = await program('stamp');
  server = await serve(state);
  browser = await openBrowser();
});

after(async () => {
  await state.source?.stop();
  await browser?.close();
  server?.close();
});

async function screenshot(name) {
  const png = await browser.page.screenshot({ path: process.env.KEEP && join(process.env.KEEP, `${name}.png`) });
  return createHash('sha256').update(png).digest('hex');
}

/** Starts a publisher and its broadcast in the page. */
async function publish(options) {
  state.source = new Source(stamp, options);
  await browser.page.evaluate(() => void publish(['live', 'cam']));
}

const stats = () => browser.page.evaluate(() => player.stats());
const reached = (name, timeout = 15_000) => browser.page.waitForFunction((s) => globalThis.player?.state === s, name, { timeout });
const moves = () => browser.page.evaluate(() => states.map((s) => s.state));

test('waits, plays and keeps real time', { skip }, async () => {
  const { page } = browser;
  await page.goto(`${server.url}/e2e/page.html`);
  await reached('waiting');
  await screenshot('waiting');
  await publish();
  await reached('live');
  await page.waitForTimeout(3000);

  const before = await stats();
  const first = await screenshot('live-1');
  const ages = await sampleAges(page, 5000);
  const now = await stats();
  assert.notEqual(await screenshot('live-2'), first, 'the picture stands still');

  const elapsed = await page.evaluate(() => {
    const { video } = player;
    const t0 = performance.now();
    const c0 = video.currentTime;
    return new Promise((resolve) => setTimeout(() => resolve((video.currentTime - c0) / ((performance.now() - t0) / 1000)), 3000));
  });
  assert.ok(elapsed > 0.93 && elapsed < 1.12, `currentTime runs at ${elapsed} of real time`);
  assert.ok(now.fps >= 28, `${now.fps} decoded frames per second`);
  assert.ok(now.engine.decodedFrames > before.engine.decodedFrames);
  const audio = await page.evaluate(() => player.video.webkitAudioDecodedByteCount);
  assert.ok(audio > 10_000, `${audio} bytes of audio decoded`);
  assert.equal(ages.unread, 0, 'every frame carries a readable clock');
  const age = median(ages.ages);
  console.log(`# age of the picture: median ${age.toFixed(0)} ms of ${ages.ages.length} frames; buffer ${now.engine.bufferMs.toFixed(0)} ms`);
  assert.ok(age > 0 && age < 600, `age ${age} ms`);
});

test('a publisher that restarts is followed without a reload', { skip }, async () => {
  const { page } = browser;
  await page.evaluate(() => (globalThis.element = player.video));
  const before = await stats();
  await state.source.stop();
  await page.waitForFunction(() => player.state !== 'live');
  await publish(); // timestamps begin at 0, group ids go on
  await reached('live', 20_000);
  await page.waitForTimeout(2000);
  const now = await stats();
  assert.equal(await page.evaluate(() => element === player.video && !element.error), true);
  assert.ok(BigInt(now.tracks.video.group) > BigInt(before.tracks.video.group));
  assert.equal(now.engine.restarts, 1);
  assert.ok(now.fps > 20, `${now.fps} fps after the restart`);
  assert.ok((await moves()).includes('reconnecting'));
  const ages = await sampleAges(page, 2000);
  assert.ok(median(ages.ages) < 1500, `age ${median(ages.ages)} ms after the restart`);
});

test('a relay that goes and comes back is found again', { skip }, async () => {
  const { page } = browser;
  const before = await stats();
  await page.evaluate(() => {
    relay.down = true;
    relay.loseAll();
  });
  await reached('reconnecting');
  await screenshot('reconnecting');
  await page.waitForTimeout(1500);
  await page.evaluate(() => (relay.down = false));
  await reached('live', 20_000);
  const now = await stats();
  assert.ok(now.engine.chunks > before.engine.chunks);
  assert.equal(now.engine.restarts, before.engine.restarts, 'the same broadcast goes on');
  assert.ok(now.reconnects > before.reconnects);
});

test('a newcomer sees the running group at once', { skip }, async () => {
  const { page } = browser;
  const times = [];
  for (let i = 0; i < 5; i++) {
    // A second player, as a viewer who comes later: the relay has it all.
    times.push(
      await page.evaluate(
        () =>
          new Promise((resolve, reject) => {
            const late = document.createElement('moq-player');
            late.setAttribute('src', '/live/cam');
            const t0 = performance.now();
            late.addEventListener('statechange', () => {
              if (late.state !== 'live') return;
              resolve(performance.now() - t0);
              late.remove();
            });
            document.body.append(late);
            setTimeout(() => reject(new Error(`still ${late.state}`)), 10_000);
          }),
      ),
    );
  }
  console.log(`# first picture after ${times.map((t) => t.toFixed(0)).join(', ')} ms`);
  assert.ok(median(times) < 1000, `median ${median(times)} ms`);
});

test('pausing and coming back leads to the live edge', { skip }, async () => {
  const { page } = browser;
  await page.evaluate(() => player.shadowRoot.querySelector('.play').click());
  await page.waitForTimeout(3000);
  const lead = () => page.evaluate(() => player.stats().engine.bufferMs);
  assert.ok((await lead()) > 2500, 'it goes on receiving');
  await page.evaluate(() => player.shadowRoot.querySelector('.play').click());
  await page.waitForTimeout(1500);
  assert.ok((await lead()) < 1000, `${await lead()} ms behind after play`);
  assert.equal(await page.evaluate(() => player.video.paused), false);
});

test('the figures are shown and are true', { skip }, async () => {
  const { page } = browser;
  await page.evaluate(() => player.toggleAttribute('stats'));
  await page.waitForTimeout(700);
  const text = await page.evaluate(() => player.shadowRoot.querySelector('.stats').textContent);
  for (const word of ['live', 'ms', 'fps', 'kbit/s', '640×360', 'moqt-18']) assert.ok(text.includes(word), `${word} in ${text}`);
  await screenshot('figures');
});

test('attributes that cannot be played are said to be wrong', { skip }, async () => {
  const { page } = browser;
  const message = () => page.evaluate(() => player.shadowRoot.querySelector('.message').textContent);
  for (const [name, value, want] of [
    ['src', 'ftp://x/y', '“ftp://x/y” is no URL of a broadcast'],
    ['src', '', 'no broadcast chosen'],
    ['fingerprint', 'zz', '“zz” is no fingerprint: it has 64 hex digits'],
  ]) {
    await page.evaluate(([name, value]) => (player.setAttribute('src', '/live/cam'), player.setAttribute(name, value)), [name, value]);
    await page.waitForFunction((want) => player.shadowRoot.querySelector('.message').textContent === want, want, { timeout: 5000 }).catch(() => {});
    assert.equal(await message(), want);
    assert.equal(await page.evaluate(() => player.state), 'idle');
  }
});

test('nothing went wrong in the page', { skip }, () => {
  const wrong = browser.logs.filter((l) => l.startsWith('pageerror') || (l.startsWith('error') && !l.includes('404')));
  assert.deepEqual(wrong, []);
});
