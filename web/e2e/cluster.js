// A whole cluster in real processes, as make run starts it: moq-api, moq-dir,
// two relays, and publishers fed by ffmpeg.

import { createSocket } from 'node:dgram';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Program, program } from './programs.js';
import { colourArgs, ffmpegArgs } from './media.js';

/** Starts everything. The relays listen on loopback, so that nobody else is served. */
export async function startCluster() {
  const bin = {};
  for (const name of ['moq-api', 'moq-dir', 'moq-relay', 'moq-pub', 'mkcert', 'stamp']) bin[name] = await program(name);
  const cluster = new Cluster(bin, await mkdtemp(join(tmpdir(), 'moq-cluster-')));
  try {
    await cluster.start();
  } catch (err) {
    await cluster.stop();
    throw err;
  }
  return cluster;
}

export class Cluster {
  /** @type {{port: number, page: string, url: string, program: Program | null}[]} */
  relays = [];
  #bin;
  #dir;
  #api;
  #directory;
  #serve;
  #trust;
  #apiUrl = '';
  #dirUrl = '';
  /** @type {Set<Publisher>} */
  #publishers = new Set();
  /** @type {Set<Program>} */
  #clients = new Set();

  /** @param {Record<string, string>} bin paths of the programs @param {string} dir for their files; removed by stop */
  constructor(bin, dir) {
    this.#bin = bin;
    this.#dir = dir;
  }

  async start() {
    const mkcert = new Program(this.#bin.mkcert, ['-dir', this.#dir]);
    await mkcert.ended;
    const fingerprint = (await mkcert.says(/[0-9a-f]{64}/))[0];
    this.#serve = ['--tls-cert', join(this.#dir, 'cert.pem'), '--tls-key', join(this.#dir, 'key.pem')];
    this.#trust = ['--tls-fingerprint', fingerprint];
    this.#api = new Program(this.#bin['moq-api'], ['--bind', '127.0.0.1:0', '--admin', '']);
    this.#directory = new Program(this.#bin['moq-dir'], ['--bind', '127.0.0.1:0', '--admin', '', ...this.#serve]);
    this.#apiUrl = `http://${(await this.#api.says(/msg="(?:moq-api listening|api ready)".* addr=(\S+)/))[1]}`;
    this.#dirUrl = `moqt://${(await this.#directory.says(/msg="directory ready".* addr=(\S+)/))[1]}`;
    for (let i = 0; i < 2; i++) {
      const port = await freePort();
      this.relays.push({ port, page: `http://127.0.0.1:${port}/`, url: `moqt://127.0.0.1:${port}`, program: null });
      await this.startRelay(i);
    }
  }

  /** Starts relay i, 0 or 1; where it was before, if it was. @param {number} i */
  async startRelay(i) {
    const relay = this.relays[i];
    const args = ['--dev', '--bind', `127.0.0.1:${relay.port}`, '--admin', '', '--node', relay.url, '--api', this.#apiUrl, '--announce', this.#dirUrl];
    relay.program = new Program(this.#bin['moq-relay'], [...args, ...this.#serve, ...this.#trust]);
    await relay.program.says(/msg="relay ready"/);
  }

  /**
   * Publishes the stamped picture and a tone at relay 1 through ffmpeg.
   * @param {string} name
   * @param {Parameters<typeof ffmpegArgs>[0]} [options]
   */
  async publish(name, options) {
    return this.#start(name, 0, [[this.#bin.stamp, '-width', '640', '-height', '360'], ['ffmpeg', ...ffmpegArgs(options)]]);
  }

  /**
   * Publishes one colour and a tone at relay i, 0 or 1.
   * @param {string} name
   * @param {number} i
   * @param {Parameters<typeof colourArgs>[0]} options
   */
  async film(name, i, options) {
    return this.#start(name, i, [['ffmpeg', '-nostdin', ...colourArgs(options)]]);
  }

  /** @param {string} name @param {number} i of the relay @param {string[][]} media the commands that make it, each with its arguments */
  async #start(name, i, media) {
    const publisher = new Publisher([...media, [this.#bin['moq-pub'], ...this.#trust, '--name', name, this.relays[i].url]]);
    this.#publishers.add(publisher);
    await publisher.ready();
    return publisher;
  }

  /**
   * Runs a client command against relay i, 0 or 1.
   * @param {string} name such as "moq-sub"
   * @param {number} i
   * @param {string[]} args flags before the URL
   */
  async client(name, i, args) {
    const client = new Program(await program(name), [...args, ...this.#trust, this.relays[i].url]);
    this.#clients.add(client);
    return client;
  }

  /** Ends everything, the publishers and other clients first. */
  async stop() {
    for (const client of [...this.#publishers, ...this.#clients]) await client.stop();
    for (const { program } of this.relays) await program?.stop();
    await this.#directory?.stop();
    await this.#api?.stop();
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** ffmpeg | moq-pub and the like, joined by the kernel's pipes as in a user's shell. */
export class Publisher {
  #shell;
  #pid = 0;

  /** @param {string[][]} commands each with its arguments, moq-pub the last */
  constructor(commands) {
    const words = commands.map(quote);
    // The last of a pipeline has the id that is to be told.
    words.push(`sh -c 'echo "pid $$" >&2; exec "$@"' sh ${words.pop()}`);
    const command = words.join(' | ');
    this.#shell = new Program('sh', ['-c', command]);
  }

  async ready() {
    this.#pid = Number((await this.#shell.says(/^pid (\d+)$/))[1]);
    await this.#shell.says(/msg="?publishing/);
    await this.#shell.says(/msg=input track=video/); // its catalog is there
  }

  get log() {
    return this.#shell.log;
  }

  /** Ends moq-pub; the encoder before it ends by that. @param {NodeJS.Signals} signal */
  async stop(signal = 'SIGTERM') {
    if (this.#shell.over) return;
    if (this.#pid) process.kill(this.#pid, signal);
    const late = setTimeout(() => process.kill(-(/** @type {number} */ (this.#shell.process.pid)), 'SIGKILL'), 8000);
    await this.#shell.ended;
    clearTimeout(late);
  }
}

/** @param {string[]} words */
function quote(words) {
  return words.map((w) => `'${w.replaceAll("'", `'\\''`)}'`).join(' ');
}

/** A port that is free for both UDP and TCP. It is in a relay's name, so it must be known before. */
async function freePort() {
  for (let attempt = 0; attempt < 20; attempt++) {
    const tcp = createServer();
    await new Promise((resolve) => tcp.listen(0, '127.0.0.1', () => resolve(undefined)));
    const { port } = /** @type {import('node:net').AddressInfo} */ (tcp.address());
    const udp = createSocket('udp4');
    const free = await new Promise((resolve) => {
      udp.once('error', () => resolve(false));
      udp.bind(port, '127.0.0.1', () => resolve(true));
    });
    await new Promise((resolve) => tcp.close(resolve));
    if (free) await new Promise((resolve) => udp.close(() => resolve(undefined)));
    if (free) return port;
  }
  throw new Error('no port is free for both UDP and TCP');
}
