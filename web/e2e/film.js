// What a viewer sees while the publisher's networks come and go: told by dev/film
// when to look, it keeps pictures of the player with its figures, and makes a strip
// of them. Fails if the picture stood still too long.
//
//   node film.js URL OUT.png     then, on stdin: "shot LABEL" …, "end FREEZE_MS"

import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { openBrowser } from './browser.js';

const [url, out] = process.argv.slice(2);
const browser = await openBrowser({ width: 1100, height: 720 });
const { page } = browser;
const shots = [];
let code = 0;

try {
  await page.goto(url);
  await page.waitForFunction(() => document.querySelector('moq-player')?.state === 'live', null, { timeout: 20_000 }).catch(async (err) => {
    console.log(browser.logs.join('\n'), await page.evaluate(() => document.body.innerText));
    throw err;
  });
  await page.evaluate(() => {
    const player = document.querySelector('moq-player');
    player.setAttribute('stats', '');
    const frames = { last: performance.now(), longest: 0, count: 0 };
    globalThis.frames = frames;
    const each = () => {
      const now = performance.now();
      frames.longest = Math.max(frames.longest, now - frames.last);
      frames.last = now;
      frames.count++;
      player.video.requestVideoFrameCallback(each);
    };
    player.video.requestVideoFrameCallback(each);
  });
  console.log('live');
  for await (const line of createInterface({ input: process.stdin })) {
    const [verb, ...rest] = line.split(' ');
    if (verb === 'end') {
      await strip(shots);
      const longest = Math.max(...shots.map((s) => s.longest));
      console.log(`longest time without a new frame: ${Math.round(longest)} ms`);
      if (longest > Number(rest[0])) code = 1;
      break;
    }
    const seen = await page.evaluate(() => {
      const f = globalThis.frames;
      const seen = { longest: Math.max(f.longest, performance.now() - f.last), count: f.count, stats: document.querySelector('moq-player').stats() };
      f.longest = 0;
      f.count = 0;
      return seen;
    });
    const picture = (await page.locator('moq-player').screenshot()).toString('base64');
    shots.push({ label: rest.join(' '), picture, longest: seen.longest });
    const { engine, paths } = seen.stats;
    const told = (paths.at(-1)?.paths ?? []).map((p) => `${p.name} ${p.state} ${Math.round(p.rate / 1000)} kbit/s`).join(', ');
    console.log(`shot ${rest.join(' ')}: ${seen.count} frames, longest gap ${Math.round(seen.longest)} ms, ${engine?.stalls} stalls; ${told}`);
  }
} finally {
  await browser.close();
}
process.exit(code);

/** Puts the pictures side by side, three to a row. */
async function strip(list) {
  const cells = list.map(
    (s, i) => `<figure><img src="data:image/png;base64,${s.picture}"><figcaption>${i + 1}. ${s.label}; longest gap between frames ${Math.round(s.longest)} ms</figcaption></figure>`,
  );
  const strip = await browser.context.newPage();
  await strip.setViewportSize({ width: 1800, height: 400 });
  await strip.setContent(`<style>body { margin: 0; padding: 12px; display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px; font: 15px system-ui, sans-serif }
    figure { margin: 0 } img { width: 100%; display: block } figcaption { padding-top: 4px }</style>${cells.join('')}`);
  await strip.screenshot({ path: out, fullPage: true, type: out.endsWith('.jpg') ? 'jpeg' : 'png' });
  console.log(`${out}: ${(await readFile(out)).length} bytes`);
}
