// Decides which of several cameras is shown: the first in their order that is
// there, without going to and fro, or the one that the viewer chose. Pure: it is
// told what happens and when, and has no clock, so every rule has a test.
// sub/choice.go is the same rule.

/** How long nothing of a camera may come before it has failed, in ms. One whose objects come further apart is given twice their distance. */
export const SILENT_MS = 700;
/** How long a camera may take from being asked to its first new object, and between two until how far apart they are is known. */
export const ANSWER_MS = 1500;
const KNOWN_MS = 3000;
/** How long a camera that is preferred must have come without a pause to be cut back to. */
export const STEADY_MS = 4000;
/** It doubles up to this each time that the camera fails within CALM_MS of being cut back to. */
const MAX_STEADY_MS = 64_000;
const CALM_MS = 60_000;
/** How long a camera that did not answer, or has just ended, is left alone. */
const REST_MS = 3000;
/** How long at the start the catalogs of preferred cameras are waited for. */
const GRACE_MS = 500;
/** Bounds of what pauses and long chunks are believed to be normal. */
const MAX_DISTANCE_MS = 2000;
const MAX_LENGTH_MS = 20_000;

/**
 * @typedef {object} Plan
 * @property {boolean[]} pull whose media to have
 * @property {number | null} next the camera to cut to as soon as it can begin
 * @property {boolean} edge begin with a group that begins now: what is shown lives, so there is no haste
 */

/** What is known of a camera; times in ms. */
class Facts {
  /** Whether it is there has been answered once. */
  known = false;
  /** Its catalog is there. */
  there = false;
  /** Its media is asked for. */
  asked = false;
  /** Some has come that was published since. */
  fresh = false;
  /** When the newest did, or when it was asked for. */
  heard = 0;
  /** Since when it comes without a pause. */
  since = 0;
  /** Longest distance of two objects: in the 5 s that run, and in those before. */
  distance = [0, 0];
  turned = 0;
  /** How long the newest object plays. */
  length = 0;
  /** It is left alone until then. */
  rest = -Infinity;
  /** When it was cut back to. */
  cutAt = -Infinity;
  steady = STEADY_MS;

  /** How long nothing may come of it. */
  get patience() {
    const most = Math.max(SILENT_MS, 2 * Math.max(...this.distance), this.length * 1.5);
    return this.fresh && this.heard - this.since >= KNOWN_MS ? most : Math.max(ANSWER_MS, most);
  }

  /** @param {number} now */
  lives(now) {
    return this.asked && now - this.heard <= this.patience;
  }
}

/** The choice between `count` cameras, the preferred first. */
export class Choice {
  #cameras;
  #began;
  /** @type {number | null} the camera that is shown */
  shown = null;
  /** @type {number | null} the camera that the viewer chose; kept while it lives */
  chosen = null;

  /** @param {number} count @param {number} now ms on a steady clock, as in all methods */
  constructor(count, now) {
    this.#cameras = Array.from({ length: count }, () => new Facts());
    this.#began = now;
  }

  /** A new session: nothing is known of any camera. @param {number} now */
  restart(now) {
    this.#began = now;
    for (const f of this.#cameras) f.known = f.there = f.asked = false;
  }

  /** @param {number} i @param {boolean} there whether its catalog is */
  catalog(i, there) {
    this.#cameras[i].known = true;
    this.#cameras[i].there = there;
  }

  /** @param {number} i */
  there(i) {
    return this.#cameras[i].there;
  }

  /** How long nothing may come of a camera, in ms. @param {number} i */
  patience(i) {
    return this.#cameras[i].patience;
  }

  /** Its media is asked for from now on. @param {number} i @param {number} now */
  ask(i, now) {
    Object.assign(this.#cameras[i], { asked: true, fresh: false, heard: now, distance: [0, 0], turned: now, length: 0 });
  }

  /** Its media is no longer asked for. @param {number} i */
  leave(i) {
    this.#cameras[i].asked = false;
  }

  /** Its media has ended. @param {number} i @param {number} now */
  end(i, now) {
    this.leave(i);
    this.#cameras[i].rest = now + REST_MS;
    if (this.chosen === i) this.chosen = null;
    if (this.shown !== i) return;
    this.#failed(now);
    this.shown = null;
  }

  /**
   * An object of the camera's video has come, or of its sound if it has no video.
   * @param {number} i
   * @param {number} now
   * @param {boolean} fresh whether it was published after it was asked for
   * @param {number} length that it plays, in ms; 0 if not known
   */
  hear(i, now, fresh, length) {
    const f = this.#cameras[i];
    f.length = Math.min(length, MAX_LENGTH_MS);
    if (!fresh) return;
    const distance = now - f.heard;
    if (!f.fresh || distance > f.patience) {
      f.since = f.turned = now;
      f.distance = [0, 0];
    } else {
      if (now - f.turned > 5000) {
        f.distance = [0, f.distance[0]];
        f.turned = now;
      }
      f.distance[0] = Math.min(Math.max(f.distance[0], distance), MAX_DISTANCE_MS);
    }
    f.fresh = true;
    f.heard = now;
  }

  /** Whether something new has come of a camera since it was asked for. @param {number} i */
  fresh(i) {
    return this.#cameras[i].fresh;
  }

  /** What to do. @param {number} now @returns {Plan} */
  decide(now) {
    const { shown } = this;
    /** @type {Plan} */
    const plan = { pull: this.#cameras.map((_, i) => i === shown), next: null, edge: false };
    const lives = shown !== null && (this.#cameras[shown].lives(now) || (!this.#cameras[shown].known && now - this.#began < ANSWER_MS));
    for (const f of this.#cameras) {
      if (f !== this.#cameras[shown ?? -1] && f.asked && !f.fresh && !f.lives(now)) {
        f.rest = now + REST_MS;
        f.asked = false;
      }
    }
    if (this.chosen !== null && !this.#holds(this.chosen, now)) this.chosen = null;
    if (this.chosen !== null) {
      plan.pull[this.chosen] = true;
      if (this.chosen !== shown) plan.next = this.chosen;
      return plan;
    }
    this.#cameras.forEach((f, i) => {
      if (i === shown || !f.there || now < f.rest) return;
      if (shown !== null && i < shown) {
        plan.pull[i] = true; // watched until it is steady; costs nothing while it is silent
        if (lives && plan.next === null && f.fresh && f.lives(now) && now - f.since >= f.steady) {
          plan.next = i;
          plan.edge = true;
        }
      }
      if (!lives && plan.next === null && (!f.asked || f.lives(now)) && !this.#tooEarly(i, now)) {
        plan.next = i;
        plan.pull[i] = true;
      }
    });
    return plan;
  }

  /** Whether the viewer's choice still counts. @param {number} i @param {number} now */
  #holds(i, now) {
    const f = this.#cameras[i];
    if (!f.known && now - this.#began < ANSWER_MS) return true;
    return f.there && now >= f.rest && (!f.asked || f.lives(now));
  }

  /** Whether one that is preferred to camera i may yet be there. @param {number} i @param {number} now */
  #tooEarly(i, now) {
    return now - this.#began < GRACE_MS && this.#cameras.slice(0, i).some((f) => !f.known);
  }

  /**
   * Camera i is shown from now on.
   * @param {number} i
   * @param {boolean} edge as the plan said
   * @param {number} now
   */
  cut(i, edge, now) {
    if (edge) this.#cameras[i].cutAt = now;
    else if (this.shown !== null && !this.#cameras[this.shown].lives(now)) this.#failed(now);
    this.shown = i;
  }

  /** How steady the camera that was shown must be the next time. @param {number} now */
  #failed(now) {
    const f = this.#cameras[this.shown ?? 0];
    f.steady = now - f.cutAt < CALM_MS ? Math.min(2 * f.steady, MAX_STEADY_MS) : STEADY_MS;
  }
}
