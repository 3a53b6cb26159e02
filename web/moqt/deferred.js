/**
 * A promise and its ends. (Promise.withResolvers is younger than the browsers
 * and the Node that have WebTransport and run these tests.)
 * @template T
 * @returns {{promise: Promise<T>, resolve: (value: T) => void, reject: (reason: Error) => void}}
 */
export function deferred() {
  /** @type {(value: T) => void} */
  let resolve = () => {};
  /** @type {(reason: Error) => void} */
  let reject = () => {};
  const promise = new Promise((ok, fail) => {
    resolve = ok;
    reject = fail;
  });
  // Whoever does not look at a promise does not want to hear of its rejection.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
