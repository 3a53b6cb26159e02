// The cameras of a player, and which of them is shown. It has the media come that
// is wanted, and says when it is another camera's turn. Most players have one
// camera, which is always shown.

import { Camera, labels } from './camera.js';
import { Choice } from './choice.js';

/** @import {Plan} from './choice.js' */
/** @import {Feed} from './feed.js' */
/** @import {Kind} from './mse.js' */
/** @import {Ordered} from './order.js' */

/**
 * @typedef {object} CameraState
 * @property {string} name what it is called: what the names of all do not have in common
 * @property {readonly string[]} namespace
 * @property {boolean} there whether its catalog is
 * @property {boolean} shown
 * @property {boolean} chosen whether the viewer chose it
 * @property {number} patienceMs how long nothing may come of it until the next one's turn
 */

/** All cameras of a player. */
export class Cast {
  cameras;
  /** @type {Camera} the one that was shown last, or is to be */
  onStage;
  #labels;
  #choice;
  /** @type {Plan} */
  #plan = { pull: [], next: null, edge: false };
  #changed;
  #told = '';

  /**
   * @param {readonly (readonly string[])[]} namespaces the preferred first
   * @param {() => void} changed called when `states` has
   */
  constructor(namespaces, changed) {
    this.cameras = namespaces.map((namespace, i) => new Camera(i, namespace));
    this.onStage = this.cameras[0];
    this.#labels = labels(namespaces);
    this.#choice = new Choice(namespaces.length, performance.now());
    this.#changed = changed;
    if (!this.several) {
      this.#choice.shown = 0;
      this.onStage.pulled = true;
    }
  }

  get several() {
    return this.cameras.length > 1;
  }

  /** @returns {CameraState[]} */
  get states() {
    const { shown, chosen } = this.#choice;
    return this.cameras.map(({ namespace }, i) => ({
      name: this.#labels[i],
      namespace,
      there: this.#choice.there(i),
      shown: i === shown,
      chosen: i === chosen,
      patienceMs: this.#choice.patience(i),
    }));
  }

  /** @param {Camera} camera */
  shows(camera) {
    return this.#choice.shown === camera.index;
  }

  /** Whether what becomes of a camera is for the viewer to know: no other is there. @param {Camera} camera */
  speaks(camera) {
    if (!this.several) return true;
    if (this.#plan.next !== null) return false;
    if (this.#choice.shown !== null) return this.shows(camera);
    return !this.cameras.some((c) => c !== camera && (this.#choice.there(c.index) || (c.problem && !camera.problem)));
  }

  /** Shows a camera as long as it lives; null leaves it to their order. @param {number | null} index */
  choose(index) {
    if (!this.several || (index !== null && !this.cameras[index])) return;
    this.#choice.chosen = index;
    this.direct();
  }

  /** On a new session, the camera that was shown goes on; the others begin anew. */
  rewind() {
    const now = performance.now();
    this.#choice.restart(now);
    for (const camera of this.cameras) {
      if (this.shows(camera)) this.#choice.ask(camera.index, now);
      else camera.leave();
    }
  }

  /** A camera's catalog is there. @param {Camera} camera */
  found(camera) {
    this.#choice.catalog(camera.index, true);
    this.direct();
  }

  /** A camera is not there, or cannot be played. @param {Camera} camera */
  lost(camera) {
    if (!this.several) return;
    this.#choice.catalog(camera.index, false);
    if (camera.pulled) {
      camera.leave();
      this.#choice.end(camera.index, performance.now());
    }
    this.direct();
  }

  /**
   * Learns from an object how a camera fares.
   * @param {Camera} camera
   * @param {Kind} kind
   * @param {Feed} feed
   * @param {Ordered} o
   */
  hear(camera, kind, feed, o) {
    if (!this.several || kind !== camera.lead) return;
    this.#choice.hear(camera.index, performance.now(), feed.isNew(o), camera.lengthOf(o.payload));
  }

  /**
   * Takes an object of a camera that is not shown, and cuts to it if it is its
   * turn: with the group that runs if nothing else lives, else with a new one.
   * @param {Camera} camera
   * @param {Kind} kind
   * @param {Ordered} o
   * @returns {boolean} whether it is shown from now on, with what it holds
   */
  audition(camera, kind, o) {
    this.#plan = this.#choice.decide(performance.now());
    const { next, edge } = this.#plan;
    camera.hold(kind, o, next === camera.index && !edge);
    // What was held of it by the relay may be all that will ever come.
    if (next !== camera.index || !camera.ready || !this.#choice.fresh(next)) return false;
    if (edge && !(kind === camera.lead && o.object === 0)) return false;
    this.#choice.cut(next, edge, performance.now());
    this.onStage = camera;
    return true;
  }

  /** Has the media come that is wanted. To be called often: time alone changes what is. */
  direct() {
    if (!this.several) return;
    const now = performance.now();
    this.#plan = this.#choice.decide(now);
    for (const camera of this.cameras) {
      const pull = this.#plan.pull[camera.index];
      if (pull && !camera.pulled) {
        camera.pulled = true;
        camera.watched = this.#plan.next !== camera.index && !this.shows(camera);
        this.#choice.ask(camera.index, now);
        camera.subscribe();
      } else if (!pull && camera.pulled) {
        camera.leave();
        this.#choice.leave(camera.index);
      }
    }
    const told = JSON.stringify(this.states.map(({ there, shown, chosen }) => [there, shown, chosen]));
    if (told === this.#told) return;
    this.#told = told;
    this.#changed();
  }
}
