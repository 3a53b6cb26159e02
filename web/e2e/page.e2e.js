// The relay's page in Chromium, with the relay in memory: the list follows what
// is live, and the address says what is played.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openBrowser } from './browser.js';
import { Source } from './media.js';
import { program } from './programs.js';
import { serve } from './server.js';

const skip = !existsSync(process.env.CHROMIUM ?? '/usr/bin/chromium') && 'no Chromium';
const state = { source: null, inject: '<script type="module" src="e2e/relay.js"></script>' };
let server;
let browser;

before(async () => {
  if (skip) return;
  server = await serve(state);
  browser = await openBrowser({ width: 1280, height: 800 });
});

after(async () => {
  await state.source?.stop();
  await browser?.close();
  server?.close();
});

const screenshot = (name) => browser.page.screenshot({ path: process.env.KEEP && join(process.env.KEEP, `${name}.png`) });
const listed = () => browser.page.evaluate(() => [...document.querySelectorAll('#list a')].map((a) => a.textContent));
const src = () => browser.page.evaluate(() => document.querySelector('moq-player')?.getAttribute('src') ?? null);
const until = (f, arg) => browser.page.waitForFunction(f, arg, { timeout: 15_000 });

test('an empty relay says so', { skip }, async () => {
  const { page } = browser;
  await page.goto(server.url);
  await until(() => document.getElementById('empty').textContent.startsWith('Nothing is live'));
  assert.deepEqual([await listed(), await src()], [[], null]);
  await screenshot('page-empty');
});

test('the only broadcast is played at once', { skip }, async () => {
  const { page } = browser;
  state.source = new Source(await program('stamp'));
  await page.evaluate(() => void publish(['live', 'cam one']));
  await until(() => document.querySelector('moq-player')?.state === 'live');
  assert.deepEqual([await listed(), await src()], [['live / cam one'], '/live/cam%20one']);
  await page.waitForTimeout(1500);
  await screenshot('page-live');
  await page.emulateMedia({ colorScheme: 'dark' });
  await screenshot('page-live-dark');
  await page.setViewportSize({ width: 390, height: 780 });
  await screenshot('page-live-phone');
  await page.setViewportSize({ width: 1280, height: 800 });
});

test('the list follows what comes and goes, and the player stays', { skip }, async () => {
  const { page } = browser;
  await page.evaluate(() => (globalThis.element = document.querySelector('moq-player')));
  await page.evaluate(() => relay.announce(['a', 'b']));
  await page.evaluate(() => relay.announce(['.hidden', 'x']));
  await until(() => document.querySelectorAll('#list a').length === 2);
  assert.deepEqual(await listed(), ['a / b', 'live / cam one']);
  assert.equal(await page.evaluate(() => element === document.querySelector('moq-player')), true);
  await page.evaluate(() => relay.withdraw(['a', 'b']));
  await until(() => document.querySelectorAll('#list a').length === 1);
});

test('a click plays another, back returns', { skip }, async () => {
  const { page } = browser;
  await page.evaluate(() => relay.announce(['a', 'b']));
  await until(() => document.querySelectorAll('#list a').length === 2);
  await page.click('#list a:text("a / b")');
  await until(() => document.querySelector('moq-player').state === 'waiting');
  assert.equal(await src(), '/a/b');
  assert.equal(await page.title(), 'a / b · Tributary');
  await page.click('#list a:text("live / cam one")');
  await until(() => document.querySelector('moq-player').state === 'live');
  await page.goBack();
  await until(() => document.querySelector('moq-player').getAttribute('src') === '/a/b');
});

test('a broadcast that is not there is said to be awaited', { skip }, async () => {
  const { page } = browser;
  await page.evaluate(() => (location.hash = '#a/nobody'));
  await until(() => document.getElementById('empty').textContent.startsWith('“a / nobody” is not among them'));
  assert.equal(await page.isVisible('#empty'), true);
  await page.evaluate(() => relay.announce(['a', 'nobody']));
  await page.waitForSelector('#empty', { state: 'hidden' });
  await page.evaluate(() => relay.withdraw(['a', 'nobody']));
});

test('a relay that is lost is not said to have nothing', { skip }, async () => {
  const { page } = browser;
  await page.evaluate(() => (location.hash = '')); // of several none is played
  await until(() => !document.querySelector('moq-player'));
  await page.evaluate(() => {
    globalThis.texts = new Set();
    new MutationObserver(() => texts.add(document.getElementById('empty').textContent)).observe(document.getElementById('empty'), { childList: true });
    relay.down = true;
    relay.loseAll();
  });
  await until(() => document.querySelectorAll('#list a').length === 0);
  await until(() => document.getElementById('empty').textContent === 'Looking for broadcasts…');
  await page.evaluate(() => (relay.down = false));
  await until(() => document.querySelectorAll('#list a').length === 2);
  assert.deepEqual(await page.evaluate(() => [...texts].filter((t) => t.startsWith('Nothing'))), []);
  assert.equal(await src(), null); // not the one whose name came first
});

test('an address with ?play= is played without a list', { skip }, async () => {
  const { page } = browser;
  await page.goto(`${server.url}/?play=x/y%20z`);
  await until(() => document.querySelector('moq-player')?.state === 'waiting');
  assert.equal(await src(), '/x/y%20z');
});

test('nothing is loaded from elsewhere, and nothing went wrong', { skip }, async () => {
  const { page } = browser;
  const elsewhere = await page.evaluate(() => performance.getEntriesByType('resource').map((e) => e.name).filter((n) => !n.startsWith(location.origin)));
  assert.deepEqual(elsewhere, []);
  assert.deepEqual(browser.logs.filter((l) => l.startsWith('pageerror') || (l.startsWith('error') && !l.includes('404'))), []);
});
