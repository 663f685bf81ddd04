/**
 * Where the time to the first reply goes: the recipe runs several times in one process, with every call
 * into libc timed. What the first run takes beyond the last one in JavaScript is V8's: compiling
 * functions when they are first called, and running them before they are optimised.
 *
 * `deno run -A first_ping_split.ts PREFIX` prints one line of JSON.
 *
 * @module
 */
import { cpuTime } from "./_measure.ts";

/** Runs in one process; the last of them is the warm one. */
const RUNS = 5;

/** Where the milliseconds from the first call to the reply went. */
export interface Split {
  /** All of them. */
  readonly total_ms: number;
  /** Opening libc and binding symbols. */
  readonly dlopen_ms: number;
  /** In calls of libc: the kernel's work, and the way there. */
  readonly calls_ms: number;
  /** The rest, in JavaScript; waiting for the reply is part of it. */
  readonly rest_ms: number;
  /** Number of symbols bound. */
  readonly symbols: number;
  /** Number of calls of libc. */
  readonly calls: number;
}

let dlopen_ms = 0;
let calls_ms = 0;
let symbols = 0;
let calls = 0;

type Call = (...args: unknown[]) => unknown;

/** Counts and times what goes through `Deno.dlopen`. Calls on other threads only are left as they are. */
function watchFfi(): void {
  const dlopen = Deno.dlopen;
  Object.assign(Deno, {
    dlopen: (path: string, definitions: Deno.ForeignLibraryInterface) => {
      const started = performance.now();
      const library = dlopen(path, definitions);
      dlopen_ms += performance.now() - started;
      const timed: Record<string, unknown> = {};
      for (const [name, call] of Object.entries(library.symbols as Record<string, Call>)) {
        symbols++;
        const definition = definitions[name] as Deno.ForeignFunction;
        timed[name] = definition.nonblocking ? call : (...args: unknown[]) => {
          const started = performance.now();
          const result = call(...args);
          calls_ms += performance.now() - started;
          calls++;
          return result;
        };
      }
      return { symbols: timed, close: () => library.close() };
    },
  });
}

if (import.meta.main) {
  watchFfi();
  // Bound to the watched dlopen.
  const { recipe } = await import("./first_ping_child.ts");
  const splits: Split[] = [];
  for (let i = 0; i < RUNS; i++) {
    [dlopen_ms, calls_ms, symbols, calls] = [0, 0, 0, 0];
    // A teardown calls libc too: what has been counted when the reply comes is what counts.
    let counted = { dlopen_ms, calls_ms, symbols, calls };
    const { setup_to_reply_ms: total_ms } = await recipe(Deno.args[0]!, () => {
      counted = { dlopen_ms, calls_ms, symbols, calls };
    });
    const rest_ms = total_ms - counted.dlopen_ms - counted.calls_ms;
    splits.push({ total_ms, rest_ms, ...counted });
  }
  console.log(JSON.stringify({ cold: splits[0], warm: splits.at(-1), cpu_ms: cpuTime() }));
}
