/**
 * Functions that run in a namespace: their checks, and a warning of threads that they leave there.
 *
 * @module
 */
import { type NetNsRef, otherThreadsIn, threadCount, within } from "../../ffi/namespace.ts";
import { checkFunction } from "../options.ts";

/** A result that is there at once: `run()` refuses promises, which settle outside of it. */
export type NotPromise<T> = T extends PromiseLike<unknown> ? never : T;

/** Runs a synchronous function in a namespace; see `NetNs.run`. */
export function runIn<T>(ref: NetNsRef, fn: () => T): T {
  checkFunction(fn, "fn");
  if (isAsync(fn)) throw notSynchronous();
  const result = watched(ref, "run", fn);
  if (typeof (result as { then?: unknown } | undefined)?.then === "function") {
    // Nothing waits for it: its failure must not end the program on top of this error.
    (result as unknown as Promise<unknown>).then(undefined, () => {});
    throw notSynchronous();
  }
  return result;
}

/** Starts a call in a namespace that settles later; see `NetNs.start`. */
export function startIn<T>(ref: NetNsRef, fn: () => T): T {
  checkFunction(fn, "fn");
  if (isAsync(fn)) {
    throw new TypeError(
      "NetNs.start() takes a function that is not async: what follows an await runs outside the " +
        "netns. Pass one that returns the promise of a single call, or start a module with worker()",
    );
  }
  return watched(ref, "start", fn);
}

const isAsync = (fn: () => unknown) => /^\[object Async/.test(Object.prototype.toString.call(fn));

function notSynchronous(): TypeError {
  return new TypeError(
    "NetNs.run() takes a synchronous function: what follows an await runs outside the netns. " +
      "Use start() for a call that fixes its netns at once, worker() for a module",
  );
}

/** Runs a function in the namespace, and warns of threads that it has left there. */
function watched<T>(ref: NetNsRef, method: string, fn: () => T): T {
  const before = threadCount();
  const result = within(ref, fn);
  if (threadCount() > before && !ref.fd.closed) warnOfThreads(ref, method);
  return result;
}

/** A worker has threads in the namespace on purpose; others there belong to Deno's pool. */
function warnOfThreads(ref: NetNsRef, method: string): void {
  const here = otherThreadsIn(ref);
  if (here.length === 0 || here.some((name) => name.startsWith("worker-"))) return;
  console.warn(
    `NetNs.${method}(): an asynchronous call has left a thread of Deno's pool in ${ref.label}, and ` +
      `others may run on it for some seconds. Use netns.worker() for files, DNS and crypto.subtle`,
  );
}
