import { RequestCode } from '../moqt/codes.js';
import { RequestError } from '../moqt/errors.js';

/** @import {Session} from '../moqt/session.js' */
/** @import {Fetch, Subscription} from '../moqt/request.js' */
/** @import {Location} from '../moqt/params.js' */
/** @import {Order, Ordered} from './order.js' */

/**
 * @typedef {object} FeedOptions
 * @property {number} [priority] lower is sent first
 * @property {number} [rendezvousMs] how long the relay may wait for a publisher
 * @property {(objects: Ordered[]) => void} deliver called with objects in order
 * @property {() => void} [caughtUp] called once all that was published before the subscription is delivered
 */

/**
 * One track of one session: a SUBSCRIBE for what is to come and a joining FETCH
 * for the head of the group that runs, merged by an {@link Order}. The order
 * outlives the feed, so the next feed goes on where this one stopped.
 */
export class Feed {
  #order;
  #options;
  #session;
  /** @type {Fetch | null} */
  #fetch = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {Location | null} the newest object when the subscription began */
  #goal = null;
  #established = false;
  #caughtUp = false;
  #closed = false;
  /** When the newest object arrived or, before any has, when it was asked for, in ms. */
  heardAt = performance.now();

  /**
   * @param {Session} session
   * @param {readonly string[]} namespace
   * @param {string} name
   * @param {Order} order
   * @param {FeedOptions} options
   */
  constructor(session, namespace, name, order, options) {
    this.#session = session;
    this.#order = order;
    this.#options = options;
    /** @type {Subscription} */
    this.subscription = session.subscribe(namespace, name, this.#sink, {
      filter: { kind: 'largest' },
      priority: options.priority,
      rendezvousMs: options.rendezvousMs,
    });
    // Sent at once: a round trip less until the first picture.
    this.#join(true);
    this.subscription.ok.then(
      ({ largest }) => this.#begin(largest),
      () => {},
    );
    /** Rejects with the reason when the subscription has ended; resolves when it was closed. */
    this.ended = this.subscription.ended;
  }

  #sink = {
    object: (/** @type {import('../moqt/objects.js').MoqObject} */ o) => {
      this.heardAt = performance.now();
      this.#order.push(o);
      this.#drain();
    },
    streamEnd: (/** @type {import('../moqt/request.js').StreamEnd} */ end) => {
      this.#order.streamEnd(end);
      this.#drain();
    },
  };

  /** @param {Location | null} largest */
  #begin(largest) {
    if (this.#closed) return;
    this.#established = true;
    this.#goal = largest;
    if (largest) this.#order.joinAt(largest.group);
    else this.#order.reset(); // a new track: what an older one had says nothing about it
    this.#drain();
  }

  /** @param {boolean} mayRepeat */
  #join(mayRepeat) {
    const fetch = this.#session.fetchJoining(this.subscription, this.#sink, { priority: this.#options.priority });
    this.#fetch = fetch;
    fetch.ended.then(
      () => this.#headDone(),
      (err) => {
        // A relay that reads its streams side by side may see the FETCH before
        // the SUBSCRIBE it joins.
        const early = err instanceof RequestError && err.code === RequestCode.INVALID_JOINING_REQUEST_ID;
        if (early && mayRepeat && !this.#closed) {
          this.subscription.ok.then(
            () => this.#closed || this.#join(false),
            () => {},
          );
        } else this.#headDone();
      },
    );
  }

  #headDone() {
    if (this.#closed) return;
    this.#order.noHead();
    this.#drain();
  }

  #drain() {
    if (this.#closed) return;
    const objects = this.#order.take(performance.now());
    if (objects.length > 0) {
      const last = objects[objects.length - 1];
      if (objects.some((o) => o.skipped)) this.subscription.dropBefore(last.group);
      this.#options.deliver(objects);
    }
    if (!this.#caughtUp && this.#reached()) {
      this.#caughtUp = true;
      this.#options.caughtUp?.();
    }
    clearTimeout(this.#timer);
    const { wakeAt } = this.#order;
    if (wakeAt !== null && !this.#closed) this.#timer = setTimeout(() => this.#drain(), Math.max(0, wakeAt - performance.now()) + 1);
  }

  /** Whether an object was published after the subscription began. @param {Location} o */
  isNew({ group, object }) {
    if (!this.#established) return false;
    const goal = this.#goal;
    return !goal || group > goal.group || (group === goal.group && object > goal.object);
  }

  /** Whether all that was there when the subscription began has been delivered. */
  #reached() {
    const { position } = this.#order;
    return position !== null && this.isNew(position);
  }

  /** Ends the subscription and the fetch. */
  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.subscription.close();
    this.#fetch?.close();
  }
}
