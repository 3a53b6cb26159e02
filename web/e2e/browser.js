// Chromium for tests: the system's, with a fresh profile for every run.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** @returns {Promise<{context: import('playwright-core').BrowserContext, page: import('playwright-core').Page, logs: string[], close(): Promise<void>}>} */
export async function openBrowser({ width = 1280, height = 800, ...options } = {}) {
  const profile = await mkdtemp(join(tmpdir(), 'moq-e2e-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: EXECUTABLE,
    headless: true,
    // Playwright's own defaults hold flags that this list replaces.
    ignoreDefaultArgs: ['--disable-quic'],
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
    viewport: { width, height },
    ...options,
  });
  const page = context.pages()[0] ?? (await context.newPage());
  const logs = [];
  page.on('console', (m) => logs.push(`${m.type()}: ${m.text()}`));
  page.on('pageerror', (e) => logs.push(`pageerror: ${e.stack ?? e.message}`));
  return {
    context,
    page,
    logs,
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}
