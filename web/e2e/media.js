// A live source for browser tests: dev/stamp through ffmpeg, cut into groups
// and objects, for any number of readers.

import { spawn } from 'node:child_process';
import { codecOf, readStream } from './fmp4.js';

/** The arguments with which the project shows ffmpeg for live publishing. */
export function ffmpegArgs({ audio = true, width = 640, height = 360, gop = 30 } = {}) {
  return [
    '-hide_banner', '-loglevel', 'error', '-nostats',
    '-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', `${width}x${height}`, '-r', '30', '-i', 'pipe:0',
    // Not by -re: its clock starts when the input is opened, after the picture's,
    // and every picture would wait for the sound of its own time.
    ...(audio ? ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'] : []),
    '-c:v', 'libx264', '-preset', 'veryfast', '-tune', 'zerolatency', '-g', String(gop), '-bf', '0', '-pix_fmt', 'yuv420p',
    ...(audio ? ['-c:a', 'aac', '-b:a', '96k'] : []),
    '-f', 'mp4', '-movflags', 'cmaf+separate_moof+delay_moov+skip_trailer+frag_every_frame', 'pipe:1',
  ];
}

/**
 * A camera that sees one colour, as no other in size, rate and codec if need be.
 * @param {{colour: string, size?: string, rate?: number, codec?: 'h264' | 'vp9'}} options
 */
export function colourArgs({ colour, size = '640x360', rate = 30, codec = 'h264' }) {
  const encoders = {
    h264: ['-c:v', 'libx264', '-preset', 'veryfast', '-tune', 'zerolatency', '-bf', '0', '-c:a', 'aac'],
    vp9: ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-c:a', 'libopus'],
  };
  return [
    '-hide_banner', '-loglevel', 'error', '-nostats',
    '-re', '-f', 'lavfi', '-i', `color=c=${colour}:s=${size}:r=${rate}`, '-re', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000',
    ...encoders[codec], '-g', String(rate), '-pix_fmt', 'yuv420p', '-b:a', '96k',
    '-f', 'mp4', '-movflags', 'cmaf+separate_moof+delay_moov+skip_trailer+frag_every_frame', 'pipe:1',
  ];
}

/** One run of a publisher: chunks with group and object ids, as they come out of ffmpeg. */
export class Source {
  listeners = new Set();
  tracks = [];
  #ids = new Map();
  #video = null;

  /** @param {string} stamp path of the program stamp */
  constructor(stamp, { firstGroup = Date.now(), ...options } = {}) {
    this.group = firstGroup - 1;
    this.generator = spawn(stamp, [], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.encoder = spawn('ffmpeg', ffmpegArgs(options), { stdio: ['pipe', 'pipe', 'inherit'] });
    this.generator.stdout.pipe(this.encoder.stdin).on('error', () => {});
    this.done = readStream(this.encoder.stdout, {
      header: (tracks) => {
        this.tracks = tracks.map((t) => ({ ...t, codec: codecOf(t.init) }));
        this.#video = tracks.find((t) => t.kind === 'video')?.id ?? null;
        for (const l of this.listeners) l.header(this.tracks);
      },
      chunk: (id, key, bytes) => this.#chunk(id, key, bytes),
    });
  }

  #chunk(id, key, bytes) {
    if (id === this.#video && key) this.group++;
    const last = this.#ids.get(id);
    const opens = !last || last.group !== this.group;
    const at = opens ? { group: this.group, object: 0 } : { group: last.group, object: last.object + 1 };
    this.#ids.set(id, at);
    for (const l of this.listeners) l.chunk(id, at, bytes);
  }

  async stop() {
    this.generator.kill();
    this.encoder.kill();
    await this.done.catch(() => {});
  }
}
