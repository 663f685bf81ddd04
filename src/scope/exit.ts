/**
 * The end of a program, in whatever way: signals, `Deno.exit`, errors that nothing catches.
 *
 * @module
 */
import { sendToSelf } from "../../ffi/file.ts";
import { homeNetNs, within } from "../../ffi/namespace.ts";

/**
 * The signals that end a program in the ordinary course, and the exit codes that shells give them. Not
 * SIGUSR1, SIGUSR2 and SIGALRM: programs use those for purposes of their own.
 */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGQUIT: 131, SIGTERM: 143 } as const;
const EVENTS = ["unload", "error", "unhandledrejection"] as const;

const IN_WORKER = "WorkerGlobalScope" in globalThis;

const closers = new Set<() => void>();

/** Runs `close` once when the program ends in whatever way; the result takes that back. */
export function onExit(close: () => void): () => void {
  if (closers.size === 0) listen(true);
  closers.add(close);
  return () => {
    if (closers.delete(close) && closers.size === 0) listen(false);
  };
}

const handlers = Object.entries(SIGNALS).map(([signal, code]) => ({
  signal: signal as Deno.Signal,
  handler: () => {
    closeAll();
    if (!IN_WORKER) Deno.exit(code);
    // In a worker that would end the worker alone: the signal takes its course.
    listen(false);
    sendToSelf(code - 128, signal);
  },
}));

function listen(on: boolean): void {
  // The first listener starts a thread, which must not be born in the namespace of a `run()`.
  within(homeNetNs(), () => {
    for (const { signal, handler } of handlers) {
      if (on) Deno.addSignalListener(signal, handler);
      else Deno.removeSignalListener(signal, handler);
    }
  });
  for (const event of EVENTS) {
    if (on) globalThis.addEventListener(event, closeAll);
    else globalThis.removeEventListener(event, closeAll);
  }
}

function closeAll(): void {
  for (const close of [...closers].reverse()) {
    try {
      close();
    } catch (error) {
      // At exit nothing can catch an error, and the other scopes still have to close.
      console.error(error);
    }
  }
}
