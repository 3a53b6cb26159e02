// What a viewer gets, measured in the page: the time to the first picture, the
// age of the picture, and whether it plays as fast as time goes.

import { median, sampleAges } from './stamp.js';

/** @typedef {import('playwright-core').Page} Page */

/**
 * Notes when the first picture of each load is on the screen. Call it once,
 * before the first load.
 * @param {Page} page
 */
export async function watchFirstPicture(page) {
  await page.addInitScript(() => {
    globalThis.firstPicture = new Promise((resolve) => {
      const look = () => {
        const video = document.querySelector('moq-player')?.video;
        if (!video) return void requestAnimationFrame(look);
        // The promise of a frame that the compositor has been given; its clock
        // starts when the navigation does.
        video.requestVideoFrameCallback((now, frame) => resolve(Math.max(now, frame.presentationTime)));
      };
      requestAnimationFrame(look);
    });
  });
}

/**
 * Loads a page again and again, each time without the browser's cache.
 * @param {Page} page prepared by {@link watchFirstPicture}
 * @param {string} url
 * @param {number} count
 * @returns {Promise<number[]>} ms from the start of the navigation to the first picture
 */
export async function firstPictures(page, url, count) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Network.setCacheDisabled', { cacheDisabled: true });
  const times = [];
  for (let i = 0; i < count; i++) {
    await page.goto('about:blank');
    // Loads begin anywhere in a group, as viewers come.
    await page.waitForTimeout(150 + (i * 370) % 1000);
    await page.goto(url);
    const late = new Promise((_, reject) => setTimeout(reject, 15_000, new Error('no picture within 15 s')));
    times.push(await Promise.race([page.evaluate(() => firstPicture), late]));
  }
  await devtools.detach();
  return times;
}

/**
 * Watches a player for a while.
 * @param {Page} page that plays
 * @param {number} milliseconds
 */
export async function watch(page, milliseconds) {
  const before = await snapshot(page);
  const sample = await sampleAges(page, milliseconds);
  const after = await snapshot(page);
  const seconds = (after.now - before.now) / 1000;
  return {
    seconds,
    /** How fast the playhead went: 1 is real time. */
    speed: (after.currentTime - before.currentTime) / seconds,
    fps: (after.decodedFrames - before.decodedFrames) / seconds,
    dropped: after.droppedFrames - before.droppedFrames,
    stalls: after.stalls - before.stalls,
    seeks: after.seeks - before.seeks,
    audioBytes: after.audioBytes - before.audioBytes,
    bufferMs: after.bufferMs,
    /** Age in ms of each picture that was shown, by the clock in it. */
    ages: sample.ages,
    unread: sample.unread,
    state: after.state,
  };
}

/** @param {Page} page */
function snapshot(page) {
  return page.evaluate(() => {
    const player = document.querySelector('moq-player');
    const { state, currentTime, engine } = player.stats();
    return { now: performance.now(), state, currentTime, audioBytes: player.video.webkitAudioDecodedByteCount, ...engine };
  });
}

/** The value that a part of a list is not above. @param {number[]} list @param {number} part 0 to 1 */
export function quantile(list, part) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] : NaN;
}

export { median };
