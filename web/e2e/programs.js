// The commands under test as processes: built once, started with arguments, and
// ended by their ids.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CACHE = fileURLToPath(new URL('../node_modules/.cache/bin', import.meta.url));

/** Where each program's source is. */
const SOURCES = { stamp: './dev/stamp', mkcert: './dev/mkcert' };

/** @type {Map<string, Promise<string>>} */
const built = new Map();

/**
 * The path of a program of this repository: from the folder MOQ_BIN if it has
 * it, else built now.
 * @param {string} name such as "moq-relay"
 */
export function program(name) {
  const ready = process.env.MOQ_BIN && join(process.env.MOQ_BIN, name);
  if (ready && existsSync(ready)) return Promise.resolve(ready);
  if (!built.has(name)) built.set(name, build(name));
  return /** @type {Promise<string>} */ (built.get(name));
}

/** @param {string} name */
async function build(name) {
  await mkdir(CACHE, { recursive: true });
  const out = join(CACHE, name);
  const go = new Program('go', ['build', '-o', out, SOURCES[name] ?? `./cmd/${name}`], { cwd: ROOT });
  const code = await go.ended;
  if (code !== 0) throw new Error(`go build ${name}: exit ${code}\n${go.log}`);
  return out;
}

/** @type {Set<Program>} */
const running = new Set();
// A test run that is broken off leaves nothing behind.
process.on('exit', () => {
  for (const { process: child } of running) {
    try {
      process.kill(-(/** @type {number} */ (child.pid)), 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
});
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.once(signal, () => process.exit(1));

/** A process that was started, and what it says. */
export class Program {
  /** @type {string[]} */
  lines = [];
  #waiters = new Set();

  /**
   * @param {string} file
   * @param {string[]} args
   * @param {import('node:child_process').SpawnOptions} [options]
   */
  constructor(file, args, options = {}) {
    this.name = file.split('/').pop() ?? file;
    // A group of its own: Ctrl-C reaches the test, which ends its programs in order.
    this.process = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...options });
    /** Resolves to the exit code, or to the signal's name. */
    this.ended = new Promise((resolve) => {
      this.process.on('error', (err) => {
        this.#said(err.message);
        resolve(err.message);
      });
      this.process.on('close', (code, signal) => resolve(code ?? signal));
    });
    this.over = false;
    if (this.process.pid) running.add(this);
    void this.ended.then(() => {
      this.over = true;
      running.delete(this);
      this.#wake();
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      let rest = '';
      stream?.setEncoding('utf8').on('data', (text) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) this.#said(line);
      });
    }
  }

  /** @param {string} line */
  #said(line) {
    this.lines.push(line);
    if (this.lines.length > 5000) this.lines.splice(0, 1000);
    this.#wake();
  }

  #wake() {
    for (const wake of this.#waiters) wake();
  }

  get log() {
    return this.lines.slice(-30).join('\n');
  }

  /**
   * Waits for a line that matches.
   * @param {RegExp} pattern
   * @param {number} [timeout] ms
   * @returns {Promise<RegExpMatchArray>}
   */
  says(pattern, timeout = 15_000) {
    return new Promise((resolve, reject) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiters.delete(look);
      };
      const fail = (why) => {
        done();
        reject(new Error(`${this.name} ${why} ${pattern}:\n${this.log}`));
      };
      const look = () => {
        for (const line of this.lines) {
          const found = line.match(pattern);
          if (!found) continue;
          done();
          return resolve(found);
        }
        if (this.over) fail('ended before it said');
      };
      const timer = setTimeout(() => fail('did not say'), timeout);
      this.#waiters.add(look);
      look();
    });
  }

  /** @param {NodeJS.Signals} signal @param {number} [limit] ms until it is ended by force */
  async stop(signal = 'SIGTERM', limit = 8000) {
    if (this.over) return;
    this.process.kill(signal);
    const timer = setTimeout(() => this.process.kill('SIGKILL'), limit);
    await this.ended;
    clearTimeout(timer);
  }
}
