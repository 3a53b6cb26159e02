// The product from end to end, in real processes: a picture with a clock in it
// goes through ffmpeg, moq-pub and two relays into the page of the second one.
// Set KEEP to a folder to keep the screenshots.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openBrowser } from './browser.js';
import { startCluster } from './cluster.js';
import { firstPictures, median, quantile, watch, watchFirstPicture } from './figures.js';
import { sampleAges } from './stamp.js';

const skip = !existsSync(process.env.CHROMIUM ?? '/usr/bin/chromium') && 'no Chromium';
const NAME = 'live/camera';
const FIRST_PICTURE_MS = 1000;
const LATENCY_MS = 400;

/** @type {import('./cluster.js').Cluster} */
let cluster;
/** @type {import('./cluster.js').Publisher} */
let publisher;
/** @type {Awaited<ReturnType<typeof openBrowser>>} */
let browser;

before(async () => {
  if (skip) return;
  cluster = await startCluster();
  publisher = await cluster.publish(NAME);
  browser = await openBrowser();
  await watchFirstPicture(browser.page);
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
});

const reached = (name, timeout = 20_000) => browser.page.waitForFunction((s) => document.querySelector('moq-player')?.state === s, name, { timeout });
const pause = (ms) => browser.page.waitForTimeout(ms);

/** The player's part of the screen, as a hash. */
async function screenshot(name) {
  const png = await browser.page.locator('moq-player').screenshot({ path: process.env.KEEP && join(process.env.KEEP, `${name}.png`) });
  return createHash('sha256').update(png).digest('hex');
}

/**
 * Measures again if the first figure is over its bar: other work on the machine
 * may have been in the way once.
 * @param {() => Promise<number>} measure
 * @param {number} bar
 */
async function within(measure, bar) {
  const first = await measure();
  return first <= bar ? first : measure();
}

test('the page of relay 2 plays in real time what relay 1 gets', { skip }, async () => {
  const { page } = browser;
  await page.goto(cluster.relays[1].page);
  await reached('live');
  await page.evaluate(() => document.querySelector('moq-player').setAttribute('stats', ''));
  await pause(4000); // a player needs a moment to find its pace
  const first = await screenshot('live-1');
  const seen = await watch(page, 20_000);
  assert.notEqual(await screenshot('live-2'), first, 'the picture stands still');
  console.log(`# ${seen.speed.toFixed(3)} of real time, ${seen.fps.toFixed(1)} decoded frames/s, ${seen.dropped} dropped, ${seen.stalls} stalls, load ${loadavg()[0].toFixed(1)}`);
  assert.ok(seen.speed > 0.95 && seen.speed < 1.05, `currentTime runs at ${seen.speed} of real time`);
  assert.ok(seen.fps >= 28, `${seen.fps} decoded frames per second`);
  assert.ok(seen.audioBytes > 20_000, `${seen.audioBytes} bytes of sound decoded in 20 s`);
  assert.equal(seen.unread, 0, 'frames without a readable clock');
  assert.equal(seen.seeks, 0, 'jumps');
  const shown = await page.evaluate(() => {
    const root = document.querySelector('moq-player').shadowRoot;
    return { mark: root.querySelector('.live span').textContent, figures: root.querySelector('.stats').textContent };
  });
  assert.match(shown.mark, /^LIVE/);
  for (const word of ['statelive', 'moqt-18', '640×360', `127.0.0.1:${cluster.relays[1].port}`]) {
    assert.ok(shown.figures.includes(word), `${word} in ${shown.figures}`);
  }
});

test(`the picture is at most ${LATENCY_MS} ms old`, { skip }, async () => {
  const latency = await within(async () => {
    const { ages } = await sampleAges(browser.page, 10_000);
    console.log(`# age of the picture: p50 ${median(ages).toFixed(0)}, p90 ${quantile(ages, 0.9).toFixed(0)} ms of ${ages.length} frames, load ${loadavg()[0].toFixed(1)}`);
    assert.ok(ages.length > 200, `${ages.length} frames in 10 s`);
    return median(ages);
  }, LATENCY_MS);
  assert.ok(latency > 0 && latency <= LATENCY_MS, `${latency} ms`);
});

test(`the first picture comes within ${FIRST_PICTURE_MS} ms of a load`, { skip }, async () => {
  const first = await within(async () => {
    const times = await firstPictures(browser.page, cluster.relays[1].page, 10);
    console.log(`# first picture after ${times.map((t) => t.toFixed(0)).join(', ')} ms, load ${loadavg()[0].toFixed(1)}`);
    return median(times);
  }, FIRST_PICTURE_MS);
  assert.ok(first <= FIRST_PICTURE_MS, `median ${first} ms`);
});

// The restarts take two minutes and are a drill of their own: make drills.
const drills = process.env.MOQ_DRILLS === '1' ? ['SIGTERM', 'SIGKILL'] : [];

for (const signal of /** @type {('SIGTERM' | 'SIGKILL')[]} */ (drills)) {
  test(`a publisher that is started again after ${signal} is followed without a reload`, { skip }, async () => {
    await goesOn(async () => {
      await publisher.stop(signal);
      await pause(signal === 'SIGTERM' ? 1000 : 3000);
      publisher = await cluster.publish(NAME);
    });
  });
}

for (const [i, role] of ['1, which the publisher is at', '2, which served the page'].entries()) {
  for (const signal of /** @type {('SIGTERM' | 'SIGKILL')[]} */ (drills)) {
    test(`relay ${role}, is found again after ${signal}`, { skip }, async () => {
      await goesOn(async () => {
        await cluster.relays[i].program.stop(signal);
        await pause(1000);
        await cluster.startRelay(i);
      });
    });
  }
}

test('nothing went wrong in the page', { skip }, () => {
  assert.deepEqual(
    browser.logs.filter((l) => l.startsWith('pageerror')),
    [],
  );
});

/**
 * Checks that the same page and the same <video> play live pictures again after
 * what `interrupt` does.
 * @param {() => Promise<void>} interrupt
 */
async function goesOn(interrupt) {
  const { page } = browser;
  await page.evaluate(() => (globalThis.before = document.querySelector('moq-player').video));
  await interrupt();
  const restarted = Date.now();
  const { reached: shown } = await sampleAges(page, 40_000, restarted);
  const took = Date.now() - restarted;
  assert.ok(shown, 'no picture of after the restart within 40 s');
  await reached('live');
  await pause(2000);
  const seen = await watch(page, 3000);
  console.log(`# a new picture ${took} ms after the restart; then ${seen.fps.toFixed(1)} frames/s, ${median(seen.ages).toFixed(0)} ms old`);
  assert.equal(await page.evaluate(() => before === document.querySelector('moq-player').video && before.error === null), true, 'another <video>');
  assert.ok(median(seen.ages) < 1500, `the picture is ${median(seen.ages)} ms old`);
  assert.ok(seen.fps > 24, `${seen.fps} frames/s`);
  assert.ok(seen.audioBytes > 2000, `${seen.audioBytes} bytes of sound`);
}
