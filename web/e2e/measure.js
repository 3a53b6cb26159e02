// Prints what a viewer gets from a cluster on this machine: npm run measure.
//
//   stamp → ffmpeg → moq-pub → relay 1 → relay 2 → Chromium
//
//   --loads 10       page loads for the first picture
//   --seconds 20     how long the player is watched
//   --picture FILE   saves a screenshot of the page that plays the built-in clip

import { loadavg, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { openBrowser } from './browser.js';
import { startCluster } from './cluster.js';
import { firstPictures, median, quantile, watch, watchFirstPicture } from './figures.js';

const { values } = parseArgs({
  options: {
    loads: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '20' },
    picture: { type: 'string' },
  },
});

const before = loadavg()[0];
const cluster = await startCluster();
const browser = await openBrowser({ width: 1100, height: 800 });
try {
  const { page } = browser;
  await cluster.publish('live/camera');
  const url = cluster.relays[1].page;
  await watchFirstPicture(page);
  await firstPictures(page, url, 1); // the relay's subscription and the browser's own start are not a viewer's wait
  const first = await firstPictures(page, url, Number(values.loads));
  await page.waitForTimeout(4000); // a player needs a moment to find its pace
  const seen = await watch(page, Number(values.seconds) * 1000);
  if (values.picture) await takePicture(values.picture);
  const ms = (n) => `${n.toFixed(0)} ms`;
  const rows = [
    ['first picture', `median ${ms(median(first))}, ${ms(Math.min(...first))} to ${ms(Math.max(...first))}, of ${first.length} loads`],
    ['latency', `p50 ${ms(median(seen.ages))}, p90 ${ms(quantile(seen.ages, 0.9))}, p99 ${ms(quantile(seen.ages, 0.99))}, of ${seen.ages.length} frames`],
    ['decoded', `${seen.fps.toFixed(1)} frames/s, ${seen.dropped} dropped, ${seen.stalls} stalls, ${seen.seeks} seeks in ${seen.seconds.toFixed(0)} s`],
    ['speed', `${seen.speed.toFixed(3)} of real time`],
    ['player buffer', ms(seen.bufferMs)],
    ['machine', `${cpus().length} × ${cpus()[0].model.trim()}, load ${before.toFixed(1)} before`],
  ];
  for (const [name, value] of rows) console.log(`${name.padEnd(14)} ${value}`);
} finally {
  await browser.close();
  await cluster.stop();
}

/** The page as make run shows it, with the player's figures. @param {string} file */
async function takePicture(file) {
  const { page } = browser;
  await cluster.client('moq-pub', 0, ['--test', '--name', 'demo']);
  await page.waitForFunction(() => [...document.querySelectorAll('#list a')].some((a) => a.textContent === 'demo'));
  await page.click('#list a:text("demo")');
  await page.waitForFunction(() => document.querySelector('moq-player').state === 'live');
  await page.evaluate(() => document.querySelector('moq-player').setAttribute('stats', ''));
  await page.waitForTimeout(5000);
  await page.mouse.move(380, 300); // the controls are shown to who points at them
  await page.waitForTimeout(1000);
  await page.screenshot({ path: file });
}
