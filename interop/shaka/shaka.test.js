// Shaka Player 5.2.12 (its experimental build, which speaks draft-16) plays video
// and sound of a broadcast from another relay than that at which it is published.
//
// It subscribes to the catalog with the Largest Object filter and gives up after
// 10 s, so a publisher has to repeat it.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { openBrowser } from '../../web/e2e/browser.js';
import { startCluster } from '../../web/e2e/cluster.js';
import { openDocument } from '../modules.js';

const skip = !existsSync(process.env.CHROMIUM ?? '/usr/bin/chromium') && 'no Chromium';

/** @type {import('../../web/e2e/cluster.js').Cluster} */
let cluster;
/** @type {Awaited<ReturnType<typeof openBrowser>>} */
let browser;

before(async () => {
  if (skip) return;
  cluster = await startCluster();
  const publisher = await cluster.client('moq-pub', 0, ['--test', '--name', 'demo']);
  await publisher.says(/msg=publishing/);
  browser = await openBrowser();
  const { page } = browser;
  await openDocument(page, cluster.relays[1].page);
  await page.setContent('<!doctype html><video width="640" height="360" controls></video>');
  await page.addScriptTag({ url: '/interop/node_modules/shaka-player/dist/shaka-player.experimental.js' });
});

after(async () => {
  await browser?.close();
  await cluster?.stop();
});

/** What the player has done so far. */
function figures() {
  return browser.page.evaluate(() => {
    const video = document.querySelector('video');
    return {
      at: video.currentTime,
      frames: video.getVideoPlaybackQuality().totalVideoFrames,
      videoBytes: video.webkitVideoDecodedByteCount,
      audioBytes: video.webkitAudioDecodedByteCount,
      width: video.videoWidth,
      paused: video.paused,
      error: video.error?.message ?? null,
      errors: globalThis.errors,
    };
  });
}

test('it plays video and sound', { skip, timeout: 60_000 }, async () => {
  const { page } = browser;
  await page.click('video'); // sound may play after a gesture only
  await page.evaluate(async () => {
    shaka.polyfill.installAll();
    globalThis.errors = [];
    const player = new shaka.Player();
    globalThis.player = player;
    player.addEventListener('error', (e) => errors.push(`${e.detail.code} ${e.detail.message}`));
    player.configure('manifest.msf', {
      namespaces: ['demo'],
      fingerprintUri: new URL('/certificate.sha256', location.href).href,
    });
    const video = document.querySelector('video');
    await player.attach(video);
    try {
      await player.load(`https://${location.host}/`, null, 'application/msf');
    } catch (err) {
      throw new Error(`Shaka Player: error ${err.code}: ${err.message} ${JSON.stringify(err.data)}`);
    }
    await video.play();
  });
  await page.waitForFunction(() => document.querySelector('video').currentTime > 0 && document.querySelector('video').readyState >= 3, null, { timeout: 20_000 });
  const before = await figures();
  const began = performance.now();
  await page.waitForFunction((until) => document.querySelector('video').currentTime >= until, before.at + 5, { timeout: 20_000 });
  const seconds = (performance.now() - began) / 1000;
  const played = await figures();
  if (process.env.MOQ_SCREENSHOT) await page.screenshot({ path: process.env.MOQ_SCREENSHOT });
  const report = JSON.stringify({ before, played, seconds });
  assert.ok(played.frames - before.frames > 60, `video frames: ${report}`);
  assert.ok(played.audioBytes - before.audioBytes > 5_000, `bytes of sound: ${report}`);
  assert.ok(seconds < 8, `5 s of the broadcast took longer: ${report}`);
  assert.ok(played.width > 0 && !played.paused, report);
  assert.deepEqual([played.error, played.errors], [null, []]);
  assert.deepEqual(browser.logs.filter((l) => l.startsWith('pageerror')), []);
  console.log(report);
});
