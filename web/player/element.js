// <moq-player src="https://host:4443/a/b/c">: the player with its looks.
//
// Attributes: src (several cameras separated by spaces), muted, autoplay (both on
// unless "false"), latency (ms of buffer aimed at), fingerprint (SHA-256 of the
// relay's certificate in hex), stats (shows the figures). Events: "statechange",
// "camerachange", "error" (refused or unsupported). Properties: state, detail,
// cameras, video, stats(), choose().

import { parseAddresses, parseHashes } from './address.js';
import { COLOURS, draw } from './chart.js';
import { Player } from './player.js';
import { STYLE } from './style.js';

const DEFAULT_TARGET_MS = 150;

const TEMPLATE = `
<video part="video" playsinline></video>
<div class="shade"></div>
<p class="message" role="status" aria-live="polite"></p>
<div class="over">
  <dl class="stats" part="stats" hidden></dl>
  <svg class="paths" aria-hidden="true" preserveAspectRatio="none" hidden></svg>
</div>
<div class="bar" role="group" aria-label="Player">
  <button class="live" type="button" aria-label="Jump to the live edge" title="Jump to the live edge"><i></i><span></span></button>
  <button class="mute" type="button"></button>
  <input class="volume" type="range" min="0" max="1" step="0.05" aria-label="Volume">
  <span class="space"></span>
  <select class="cameras" aria-label="Camera" title="Camera (c)" hidden></select>
  <button class="play" type="button"></button>
  <button class="figures" type="button" aria-label="Figures" title="Figures (i)">
    <svg viewBox="0 0 24 24"><path d="M4 20V10h3v10zm6.5 0V4h3v16zM17 20v-7h3v7z"/></svg>
  </button>
  <button class="full" type="button" aria-label="Full screen" title="Full screen (f)">
    <svg viewBox="0 0 24 24"><path d="M4 4h6v2H6v4H4zm10 0h6v6h-2V6h-4zM4 14h2v4h4v2H4zm14 0h2v6h-6v-2h4z"/></svg>
  </button>
</div>`;

const ICONS = {
  play: '<svg viewBox="0 0 24 24"><path d="M7 4v16l13-8z"/></svg>',
  pause: '<svg viewBox="0 0 24 24"><path d="M6 4h4v16H6zm8 0h4v16h-4z"/></svg>',
  sound: '<svg viewBox="0 0 24 24"><path d="M3 9v6h4l5 5V4L7 9zm12-1v8a4.5 4.5 0 0 0 0-8zm0-4v2.2a6 6 0 0 1 0 11.6V20a8.2 8.2 0 0 0 0-16z"/></svg>',
  silent: '<svg viewBox="0 0 24 24"><path d="M3 9v6h4l5 5V4L7 9zm18 .4L19.6 8 17 10.6 14.4 8 13 9.4l2.6 2.6-2.6 2.6 1.4 1.4 2.6-2.6 2.6 2.6 1.4-1.4-2.6-2.6z"/></svg>',
};

/** The custom element. One is one broadcast, or several cameras; setting `src` changes it. */
export class MoqPlayer extends HTMLElement {
  static observedAttributes = ['src', 'muted', 'latency', 'fingerprint', 'stats'];

  /** @type {Player | null} */
  #player = null;
  #root;
  #rates = new Rates();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  /** @type {AbortController | null} */
  #listeners = null;
  #restarting = false;
  /** What is wrong with the attributes, in words. */
  #wrong = '';
  /** Whether the viewer paused; a browser's refusal to autoplay is none. */
  #paused = false;

  constructor() {
    super();
    this.#root = this.attachShadow({ mode: 'open' });
    this.#root.innerHTML = `<style>${STYLE}</style>${TEMPLATE}`;
  }

  /** The <video> inside, for a canvas or picture in picture. */
  get video() {
    return /** @type {HTMLVideoElement} */ (this.#find('video'));
  }

  /** @returns {import('./player.js').State} */
  get state() {
    return this.#player?.state ?? 'idle';
  }

  /** Why, in words. */
  get detail() {
    return this.#player?.detail ?? this.#wrong;
  }

  get src() {
    return this.getAttribute('src') ?? '';
  }

  set src(value) {
    this.setAttribute('src', value);
  }

  /** The cameras in their order; empty if there is only one. @returns {import('./cast.js').CameraState[]} */
  get cameras() {
    return this.#player?.cameras ?? [];
  }

  /** Shows a camera as long as it lives; null leaves it to their order. @param {number | null} index in `cameras` */
  choose(index) {
    this.#player?.choose(index);
  }

  /** Figures of this playback as plain JSON; null while there is none. */
  stats() {
    return this.#player && { ...this.#player.stats(), ...this.#rates.now, muted: this.video.muted, currentTime: this.video.currentTime };
  }

  connectedCallback() {
    this.#listen();
    this.video.muted = this.getAttribute('muted') !== 'false';
    this.#restart();
    this.#timer = setInterval(() => this.#refresh(), 500);
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
    this.#listeners?.abort();
    this.#player?.stop();
    this.#player = null;
  }

  /** @param {string} name @param {string | null} before @param {string | null} after */
  attributeChangedCallback(name, before, after) {
    if (!this.isConnected || before === after) return;
    if (name === 'muted') this.video.muted = after !== 'false';
    else if (name === 'latency') this.#player?.setTarget(this.#targetSeconds);
    else if (name === 'stats') this.#show('.stats', after !== null && after !== 'false');
    else this.#restart();
  }

  get #targetSeconds() {
    const ms = Number(this.getAttribute('latency'));
    return (ms > 0 && ms <= 10_000 ? ms : DEFAULT_TARGET_MS) / 1000;
  }

  /** Plays what `src` names now; several changes at once make one start. */
  #restart() {
    if (this.#restarting) return;
    this.#restarting = true;
    queueMicrotask(() => {
      this.#restarting = false;
      this.#player?.stop();
      this.#player = null;
      this.#rates = new Rates();
      this.#wrong = '';
      if (this.isConnected && this.src) this.#start();
      this.#render();
    });
  }

  #start() {
    const fingerprint = this.getAttribute('fingerprint');
    const hashes = fingerprint ? parseHashes(fingerprint) : null;
    let address;
    try {
      address = parseAddresses(this.src, document.baseURI);
      if (hashes?.length === 0) throw new Error(`“${fingerprint}” is no fingerprint: it has 64 hex digits`);
    } catch (err) {
      this.#wrong = /** @type {Error} */ (err).message;
      return;
    }
    const player = new Player(this.video, address, { targetSeconds: this.#targetSeconds, ...(hashes && { hashes }) });
    this.#player = player;
    player.watchPaths(!this.#find('.stats').hidden);
    player.addEventListener('state', () => {
      if (this.#player !== player) return;
      this.#render();
      this.dispatchEvent(new CustomEvent('statechange', { detail: { state: player.state, detail: player.detail } }));
      if (player.state === 'refused' || player.state === 'unsupported') {
        this.dispatchEvent(new CustomEvent('error', { detail: { state: player.state, detail: player.detail } }));
      }
    });
    player.addEventListener('cameras', () => {
      if (this.#player !== player) return;
      this.#renderCameras();
      this.dispatchEvent(new CustomEvent('camerachange', { detail: { cameras: player.cameras } }));
    });
    this.#paused = this.getAttribute('autoplay') === 'false';
    if (!this.#paused) this.video.autoplay = true;
    player.start();
  }

  #listen() {
    this.#listeners = new AbortController();
    const options = { signal: this.#listeners.signal };
    /** @param {string} selector @param {() => void} f */
    const click = (selector, f) => this.#find(selector).addEventListener('click', f, options);
    click('.live', () => this.#goLive());
    click('.play', () => this.#togglePlay());
    click('video', () => this.#togglePlay());
    click('.mute', () => this.#toggleMute());
    click('.figures', () => this.toggleAttribute('stats'));
    click('.full', () => this.#toggleFull());
    const cameras = /** @type {HTMLSelectElement} */ (this.#find('.cameras'));
    cameras.addEventListener('change', () => this.choose(cameras.value ? Number(cameras.value) : null), options);
    const volume = /** @type {HTMLInputElement} */ (this.#find('.volume'));
    volume.addEventListener(
      'input',
      () => {
        this.video.volume = Number(volume.value);
        this.video.muted = this.video.volume === 0;
      },
      options,
    );
    for (const event of ['play', 'pause', 'volumechange', 'loadedmetadata']) {
      this.video.addEventListener(event, () => this.#render(), options);
    }
    this.addEventListener('keydown', (event) => this.#key(event), options);
    // A browser that refuses to play with sound plays without.
    this.video.addEventListener('canplay', () => void this.#play(), options);
    document.addEventListener('visibilitychange', () => document.hidden || void this.#play(), options);
    if (!this.hasAttribute('tabindex')) this.tabIndex = 0;
  }

  async #play() {
    if (this.#paused || !this.video.paused || this.video.readyState === 0) return;
    try {
      await this.video.play();
    } catch (err) {
      if (/** @type {Error} */ (err).name !== 'NotAllowedError' || this.video.muted) return;
      this.video.muted = true;
      await this.video.play().catch(() => {});
    }
  }

  #goLive() {
    this.#paused = false;
    this.#player?.seekLive();
    void this.#play();
  }

  #togglePlay() {
    if (!this.video.paused) {
      this.#paused = true;
      this.video.pause();
    } else this.#goLive();
  }

  #toggleMute() {
    this.video.muted = !this.video.muted;
    if (!this.video.muted && this.video.volume === 0) this.video.volume = 0.5;
  }

  /** From the choice by order to each camera that is there, and back. */
  #nextCamera() {
    const { cameras } = this;
    const chosen = cameras.findIndex((c) => c.chosen);
    const next = cameras.findIndex((c, i) => i > chosen && c.there);
    this.choose(next < 0 ? null : next);
  }

  #toggleFull() {
    if (document.fullscreenElement === this) void document.exitFullscreen();
    else if (this.requestFullscreen) void this.requestFullscreen();
    // iPhones show the video alone.
    else /** @type {any} */ (this.video).webkitEnterFullscreen?.();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { tagName } = /** @type {HTMLElement} */ (event.composedPath()[0]);
    if (tagName === 'SELECT') return; // its keys are its own
    const onButton = tagName === 'BUTTON';
    /** @type {Record<string, () => void>} */
    const keys = {
      ' ': () => this.#togglePlay(),
      k: () => this.#togglePlay(),
      m: () => this.#toggleMute(),
      f: () => this.#toggleFull(),
      i: () => this.toggleAttribute('stats'),
      l: () => this.#goLive(),
      c: () => this.#nextCamera(),
    };
    const act = keys[event.key];
    if (!act || (onButton && event.key === ' ')) return;
    event.preventDefault();
    act();
  }

  /** Twice a second: the figures. */
  #refresh() {
    const player = this.#player;
    if (!player) return;
    const stats = player.stats();
    this.#rates.update(performance.now(), stats.engine?.bytes ?? 0, stats.engine?.decodedFrames ?? 0);
    this.#renderLive(stats);
    const chart = this.#find('.paths');
    chart.toggleAttribute('hidden', stats.paths.length < 2);
    draw(chart, stats.paths);
    const list = this.#find('.stats');
    if (list.hidden) return;
    list.replaceChildren(
      ...rows(stats, this.#rates.now).flatMap(([name, value, colour]) => {
        const dt = document.createElement('dt');
        const dd = document.createElement('dd');
        dt.textContent = name;
        dd.textContent = value;
        if (colour) dt.style.color = colour;
        return [dt, dd];
      }),
    );
  }

  #render() {
    const player = this.#player;
    const { video } = this;
    this.dataset.state = this.state;
    const live = player?.state === 'live';
    const blocked = live && video.paused && !this.#paused;
    this.#message(!player ? this.#wrong || (this.src ? '' : 'no broadcast chosen') : live ? (blocked ? 'press play' : '') : sentence(player.words));
    this.#button('.play', video.paused ? ICONS.play : ICONS.pause, video.paused ? 'Play' : 'Pause', 'k');
    this.#button('.mute', video.muted ? ICONS.silent : ICONS.sound, video.muted ? 'Unmute' : 'Mute', 'm');
    this.#find('.mute').classList.toggle('silent', video.muted); // stays in sight: a viewer may wonder
    /** @type {HTMLInputElement} */ (this.#find('.volume')).value = String(video.muted ? 0 : video.volume);
    this.#renderCameras();
    if (player) this.#renderLive(player.stats());
  }

  /** The list to choose from: by their order, which shows one, or a camera. */
  #renderCameras() {
    const { cameras } = this;
    const select = /** @type {HTMLSelectElement} */ (this.#find('.cameras'));
    select.hidden = cameras.length < 2;
    const shown = cameras.find((c) => c.shown);
    const options = cameras.map((c, i) => new Option(c.there ? c.name : `${c.name} (away)`, String(i), false, c.chosen));
    options.forEach((option, i) => (option.disabled = !cameras[i].there && !cameras[i].chosen));
    const auto = new Option(shown ? `Auto: ${shown.name}` : 'Auto', '', false, !cameras.some((c) => c.chosen));
    // An open list is not to be built anew under the viewer's hand for nothing.
    const before = [...select.options].map((o) => `${o.text}${o.disabled}`).join();
    if (before !== [auto, ...options].map((o) => `${o.text}${o.disabled}`).join()) select.replaceChildren(auto, ...options);
    select.selectedIndex = 1 + cameras.findIndex((c) => c.chosen);
  }

  /** @param {ReturnType<Player['stats']>} stats */
  #renderLive(stats) {
    const behind = latencyOf(stats);
    const paused = stats.state === 'live' && this.#paused;
    this.toggleAttribute('data-paused', paused);
    const word = paused ? 'PAUSED' : stats.state.toUpperCase();
    this.#find('.live span').textContent = stats.state === 'live' && behind ? `${word} ${behind}` : word;
    this.#find('.live').title = behind.startsWith('+') ? `Jump to the live edge; ${behind.slice(1)} are buffered here` : 'Jump to the live edge';
  }

  /** @param {string} text */
  #message(text) {
    const p = this.#find('.message');
    if (p.textContent !== text) p.textContent = text;
  }

  /** @param {string} selector @param {string} icon @param {string} label @param {string} key */
  #button(selector, icon, label, key) {
    const button = this.#find(selector);
    if (button.getAttribute('aria-label') === label) return;
    button.innerHTML = icon;
    button.setAttribute('aria-label', label);
    button.title = `${label} (${key})`;
  }

  /** @param {string} selector @param {boolean} on */
  #show(selector, on) {
    this.#find(selector).hidden = !on;
    this.#player?.watchPaths(on);
    if (on) this.#refresh();
  }

  /** @param {string} selector */
  #find(selector) {
    return /** @type {HTMLElement} */ (this.#root.querySelector(selector));
  }
}

/** Bits and frames per second over the last seconds. */
class Rates {
  /** @type {{at: number, bytes: number, frames: number}[]} */
  #samples = [];
  now = { bitrate: 0, fps: 0 };

  /** @param {number} at ms @param {number} bytes @param {number} frames totals */
  update(at, bytes, frames) {
    const last = this.#samples.at(-1);
    if (last && (bytes < last.bytes || frames < last.frames)) this.#samples = []; // a new engine
    this.#samples.push({ at, bytes, frames });
    while (this.#samples.length > 2 && this.#samples[0].at < at - 2500) this.#samples.shift();
    const first = this.#samples[0];
    const seconds = (at - first.at) / 1000;
    this.now = seconds > 0 ? { bitrate: ((bytes - first.bytes) * 8) / seconds, fps: (frames - first.frames) / seconds } : { bitrate: 0, fps: 0 };
  }
}

/** The latency as far as it is known. @param {ReturnType<Player['stats']>} stats */
function latencyOf(stats) {
  const { engine } = stats;
  if (!engine || engine.decodedFrames === 0) return '';
  // Without a capture time only this player's own share is known.
  return engine.captureAgeMs === null ? `+${Math.round(engine.bufferMs)} ms` : `${Math.round(engine.captureAgeMs)} ms`;
}

/**
 * The rows of the overlay.
 * @param {ReturnType<Player['stats']>} stats
 * @param {{bitrate: number, fps: number}} rates
 * @returns {[string, string, string?][]} name, value, colour of the name
 */
function rows(stats, rates) {
  const { engine, tracks } = stats;
  /** @type {[string, string, string?][]} */
  const out = [['state', stats.detail ? `${stats.state}: ${stats.detail}` : stats.state], ...pathRows(stats.paths)];
  if (engine) {
    out.push(
      engine.captureAgeMs === null
        ? ['latency', `${Math.round(engine.bufferMs)} ms in this player (the publisher tells no capture time)`]
        : ['latency', `${Math.round(engine.captureAgeMs)} ms since capture, if both clocks are right`],
      ['buffer', `${Math.round(engine.bufferMs)} ms, ${Math.round(engine.targetMs)} ms aimed at, rate ${engine.rate.toFixed(2)}`],
      ['fps', rates.fps.toFixed(1)],
      ['bitrate', bits(rates.bitrate)],
      ['dropped', `${engine.droppedFrames} of ${engine.decodedFrames} frames, ${engine.stalls} stalls, ${engine.seeks} seeks`],
    );
  }
  for (const c of stats.cameras) {
    out.push([c.name, `${c.shown ? 'shown' : c.there ? 'there' : 'away'}${c.chosen ? ', chosen' : ''}${c.shown ? `, left after ${Math.round(c.patienceMs)} ms of silence` : ''}`]);
  }
  for (const [kind, t] of Object.entries(tracks)) {
    const size = t.width ? ` ${t.width}×${t.height}` : '';
    out.push([kind, `${t.codec}${size}, group ${t.group ?? '–'} object ${t.object ?? '–'}, ${t.skips} skips`]);
  }
  out.push(['draft', stats.peer ? `${stats.draft}, relay is ${stats.peer}` : stats.draft], ['relay', new URL(stats.relay).host]);
  if (stats.firstPictureMs !== null) out.push(['first picture', `${Math.round(stats.firstPictureMs)} ms`]);
  return out;
}

/**
 * The rows of what the publisher tells of its paths, if it does: what the lines of
 * the chart are.
 * @param {ReturnType<Player['stats']>['paths']} history
 * @returns {[string, string, string?][]}
 */
function pathRows(history) {
  const told = history.at(-1);
  if (!told) return [];
  const names = [...new Set(history.flatMap((r) => r.paths.map((p) => p.name)))].sort();
  return [
    ['publisher', `${told.mode}, ${bits(told.demand)} of ${bits(told.capacity)}`],
    ...told.paths.map((p) => {
      const value = `${p.state}, ${bits(p.rate)}, ${Math.round(p.rtt)} ms, ${(100 * p.loss).toFixed(1)} % lost`;
      return /** @type {[string, string, string]} */ ([p.name, value, COLOURS[names.indexOf(p.name) % COLOURS.length]]);
    }),
  ];
}

/** @param {number} rate bit/s */
function bits(rate) {
  return rate >= 1e6 ? `${(rate / 1e6).toFixed(2)} Mbit/s` : `${Math.round(rate / 1000)} kbit/s`;
}

/** @param {string} words */
function sentence(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

if (!customElements.get('moq-player')) customElements.define('moq-player', MoqPlayer);
