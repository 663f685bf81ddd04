/**
 * The end of a program, in whatever way: signals, `Deno.exit`, errors that nothing catches.
 *
 * @module
 */
import { readText, sendToSelf } from "../../ffi/file.ts";
import { homeNetNs, within } from "../../ffi/namespace.ts";

/**
 * The signals that end a program in the ordinary course, and the exit codes that shells give them. Not
 * SIGUSR1, SIGUSR2 and SIGALRM: programs use those for purposes of their own.
 */
const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGQUIT: 131, SIGTERM: 143 } as const;
const EVENTS = ["unload", "error", "unhandledrejection"] as const;

const IN_WORKER = "WorkerGlobalScope" in globalThis;

/** Options of {@link onExit}. */
export interface ExitOptions {
  /**
   * Signals stay the program's: those that it handles itself are left alone, others take their course behind `close`.
   * Default: false, a signal ends the program with `Deno.exit`.
   */
  readonly passing?: boolean;
}

const closers = new Map<() => void, { readonly passing: boolean }>();

/** Runs `close` once when the program ends in whatever way; the result takes that back. */
export function onExit(close: () => void, { passing = false }: ExitOptions = {}): () => void {
  closers.set(close, { passing });
  try {
    listen();
  } catch (error) {
    closers.delete(close);
    throw error;
  }
  return () => {
    if (closers.delete(close)) listen();
  };
}

/** Whether a signal ends the program here. In a worker `Deno.exit` would end the worker alone. */
const ends = (): boolean => !IN_WORKER && [...closers.values()].some(({ passing }) => !passing);

const handlers = Object.entries(SIGNALS).map(([signal, code]) => {
  const it = {
    signal: signal as Deno.Signal,
    /** Its number. */
    number: code - 128,
    /** Whether there is a listener of this file, and whether there has been one. */
    on: false,
    known: false,
    handler: () => {
      const exit = ends();
      closeAll();
      if (exit) Deno.exit(code);
      turn(it, false);
      sendToSelf(it.number, signal);
    },
  };
  return it;
});

/** Whether there are listeners for the events. */
let listening = false;

/** Listens to what can end the program, as far as the closers need it. */
function listen(): void {
  const any = closers.size > 0;
  const all = [...closers.values()].some(({ passing }) => !passing);
  const caught = any && !all ? caughtSignals() : 0n;
  for (const it of handlers) {
    // A signal that was caught once counts as caught for good.
    turn(it, any && (it.on || all || it.known || (caught >> BigInt(it.number - 1) & 1n) === 0n));
  }
  if (any === listening) return;
  listening = any;
  for (const event of EVENTS) {
    if (any) globalThis.addEventListener(event, closeAll);
    else globalThis.removeEventListener(event, closeAll);
  }
}

/** Starts or stops to listen to a signal. */
function turn(it: typeof handlers[number], on: boolean): void {
  if (it.on === on) return;
  [it.on, it.known] = [on, true];
  // The first listener starts a thread, which must not be born in the namespace of a `run()`.
  within(homeNetNs(), () => {
    if (on) Deno.addSignalListener(it.signal, it.handler);
    else Deno.removeSignalListener(it.signal, it.handler);
  });
}

/** The signals that the program handles, bit by bit from the one with the number 1 on. */
function caughtSignals(): bigint {
  const [, mask] = /^SigCgt:\s*([\da-f]+)$/m.exec(readText("/proc/self/status"))!;
  return BigInt(`0x${mask}`);
}

/** An error that the program itself has dealt with does not end it. */
function closeAll(event?: Event): void {
  for (const [close, { passing }] of [...closers].reverse()) {
    if (passing && event?.defaultPrevented) continue;
    try {
      close();
    } catch (error) {
      // At exit nothing can catch an error, and the other scopes still have to close.
      console.error(error);
    }
  }
}
