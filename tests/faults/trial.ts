/**
 * A call of the library with each of its system calls failing: once, and from then on. Afterwards all is as
 * before, or as asked for; never something between.
 */
import { assert, assertEquals } from "@std/assert";
import { ERRNO, KernelError } from "../../ffi/errno.ts";
import { removeFile } from "../../ffi/file.ts";
import { interceptCalls } from "../../ffi/libc.ts";
import { homeNetNs } from "../../ffi/namespace.ts";
import { Bridge, NetNs, Scope, ScopeError, Veth } from "../../mod.ts";
import type { DumpRequest } from "../../src/netlink/message.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import {
  dumpAddresses,
  dumpBridgeVlans,
  dumpFdb,
  dumpLinks,
  dumpNeighbors,
  dumpRoutes,
} from "../../src/rtnetlink/mod.ts";
import { added, descriptors, list, test } from "../leaks.ts";

/** The name of what calls make. */
export const NAME = "fault";
export const MAC = "02:00:00:00:00:07";

/** Two namespaces, and in the first a bridge `br0` with the port `v0`, whose peer `v1` is in the other. */
export class Place implements Disposable {
  readonly near: NetNs = NetNs.create();
  readonly far: NetNs = NetNs.create();
  readonly bridge: Bridge;
  readonly veth: Veth;
  /** For calls that need one. */
  scope: Scope | undefined;

  constructor() {
    for (const netns of [this.near, this.far]) {
      for (const which of ["all", "default"]) {
        netns.sysctl(`net.ipv6.conf.${which}.disable_ipv6`, 1); // Addresses would come later.
      }
    }
    const { near, far } = this;
    this.bridge = Bridge.create({ name: "br0", netns: near, mac: "02:00:00:00:00:01", up: true });
    this.veth = Veth.create({
      name: "v0",
      netns: near,
      master: this.bridge,
      mac: "02:00:00:00:00:02",
      up: true,
      peer: { name: "v1", netns: far, mac: "02:00:00:00:00:03", up: true },
    });
    this.bridge.addresses.add("10.0.0.1/24");
    near.routes.add({ destination: "10.1.0.0/16", gateway: "10.0.0.2" });
    near.neighbors.add({ address: "10.0.0.9", lladdr: MAC, dev: "br0" });
    this.bridge.fdb.add({ mac: MAC, port: "v0" });
  }

  /** All that there is, in lines; without what changes by itself, and numbers that are given anew. */
  state(): string[] {
    const lines = ["/run/netns", "/run/netloom"].flatMap(list).filter((it) => it.startsWith(NAME));
    for (const { ref } of [this.near, this.far]) {
      const connection = connectionTo(ref);
      for (
        const request of [
          dumpLinks(),
          dumpAddresses(),
          dumpRoutes(),
          dumpNeighbors(),
          dumpFdb(),
          dumpBridgeVlans(),
        ]
      ) {
        for (const entry of connection.dump(request as DumpRequest<object>)) {
          // The kernel's own, of multicast.
          if ("state" in entry && entry.state === "noarp") continue;
          lines.push(`${request.operation}: ${JSON.stringify(entry, plain)}`);
        }
      }
    }
    return lines;
  }

  [Symbol.dispose](): void {
    this.scope?.close();
    this.near[Symbol.dispose]();
    this.far[Symbol.dispose]();
    NetNs.delete(NAME);
    removeFile(`/run/netloom/${NAME}.jsonl`);
    Scope.clean(); // links that could not be restored
  }
}

/** Statistics, times, numbers that are given anew; carrier and what follows from it comes a moment later. */
const VOLATILE =
  /^(stats|lifetime|cacheInfo|used|operstate|index|oif|link|ifindex|probes)$|^carrier|Timer$/;
const CARRIER = ["RUNNING", "LOWER_UP", "linkdown"];

function plain(key: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (VOLATILE.test(key)) return undefined;
  if (["master", "parent", "peer"].includes(key)) return "another link";
  if (key === "flags" && Array.isArray(value)) return value.filter((it) => !CARRIER.includes(it));
  // Chosen at random.
  if (key === "name" && /^nl[0-9a-f]{6}/.test(String(value))) return "random";
  if (key === "dev" && typeof value === "number") return "another link";
  if (key === "mac" && !String(value).startsWith("02:00:00")) return "random";
  if (key === "group" && value !== 0) return "the scope's";
  return value;
}

export interface Call {
  /** Makes what the call needs. */
  readonly prepare?: (place: Place) => void;
  /** The call; what it returns is disposed of, and with that what it made. */
  readonly make: (place: Place) => Disposable | void;
  /** Takes back what it did, when there is nothing to dispose of. */
  readonly undo?: (place: Place) => void;
  /** What else is compared before and after, in lines: qdiscs, rulesets. */
  readonly also?: (place: Place) => readonly unknown[];
  /** What else must hold afterwards. */
  readonly check?: (place: Place, failed: boolean) => void;
  /** System calls that do not belong to it: of loops that it starts. */
  readonly apart?: readonly string[];
  /** Default: a call that fails once, and all from there on. */
  readonly modes?: readonly ("once" | "on")[];
  /** It is several calls of the library: each is done, or not. */
  readonly parts?: boolean;
  readonly lacks?: string | undefined;
}

/** Something that is closed, as something that is disposed of. */
export function asDisposable(thing: { close(): unknown }): Disposable {
  return { [Symbol.dispose]: () => void thing.close() };
}

/**
 * Makes the `n`-th call into libc fail while `fn` runs, or all from there on; returns how many there were.
 * Calls in `apart` are left alone.
 */
function withFault(
  { n, mode, apart = [] }: {
    n: number;
    mode: "once" | "on";
    apart?: readonly string[] | undefined;
  },
  fn: () => void,
): number {
  const home = homeNetNs().fd.value;
  let count = 0;
  using _hook = interceptCalls((call, args) => {
    // A thread that cannot come back is beyond repair: NetNsRestoreError says so.
    if (apart.includes(call) || call === "strerror" || call === "setns" && args[0] === home) {
      return undefined;
    }
    count++;
    if (n === 0 || (mode === "once" ? count !== n : count < n)) return undefined;
    return ["open", "openat", "socket"].includes(call) ? ERRNO.EMFILE : ERRNO.ENOMEM;
  });
  fn();
  return count;
}

/** A place that is as a call wants it, for one or more runs of the call. */
class Trial implements Disposable {
  readonly place: Place = new Place();
  readonly before: readonly string[];
  readonly #call: Call;
  #made: Disposable | void = undefined;

  constructor(call: Call) {
    this.#call = call;
    call.prepare?.(this.place);
    this.#state(); // A socket in each namespace.
    this.before = this.#state();
  }

  #state(): string[] {
    const more = this.#call.also?.(this.place).map((it) => JSON.stringify(it, plain)) ?? [];
    return [...this.place.state(), ...more];
  }

  /** Makes the call with a fault, and tells what came of it. */
  run(
    n: number,
    mode: "once" | "on",
  ): { after: string[]; count: number; failure: unknown; leaked: string[] } {
    const open = descriptors();
    let count = 0;
    let failure: unknown;
    try {
      const { apart } = this.#call;
      count = withFault({ n, mode, apart }, () => this.#made = this.#call.make(this.place));
    } catch (error) {
      failure = error;
    }
    const after = this.#state();
    const leaked = failure === undefined ? [] : difference(open, descriptors())
      // A scope that is closed in part has closed sockets.
      .filter((line) => !this.#call.parts || line.startsWith("+"));
    return { after, count, failure, leaked };
  }

  /** Takes back what was done, and tells whether all is as before. */
  restored(): boolean {
    const { place } = this;
    this.#made?.[Symbol.dispose]();
    this.#made = undefined;
    const changed = () => difference(this.before, this.#state()).length > 0;
    if (!changed()) return true;
    try {
      this.#call.undo?.(place);
    } catch (error) {
      // Done in part: then there is nothing to take back of the rest.
      if (!isTyped(error)) throw error;
    }
    return !changed();
  }

  [Symbol.dispose](): void {
    this.#made?.[Symbol.dispose]();
    this.place[Symbol.dispose]();
  }
}

/** The lines that only one of two states has. */
function difference(a: readonly string[], b: readonly string[]): string[] {
  return [
    ...added([...a], [...b]).map((line) => `+ ${line}`),
    ...added([...b], [...a]).map((line) => `- ${line}`),
  ];
}

function isTyped(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.every(isTyped);
  if (error instanceof SuppressedError) return isTyped(error.error) && isTyped(error.suppressed);
  return error instanceof KernelError || error instanceof ScopeError;
}

/** Registers a test for each call. */
export function testCalls(calls: Readonly<Record<string, Call>>): void {
  for (const [name, call] of Object.entries(calls)) {
    test(
      `A fault in any system call of ${name} leaves nothing half-made`,
      { lacks: call.lacks },
      () => {
        let trial = new Trial(call);
        const { count, after, failure } = trial.run(0, "once");
        assertEquals(failure, undefined);
        assert(count > 0);
        for (const mode of call.modes ?? ["once", "on"] as const) {
          for (let n = 1; n <= count; n++) {
            if (!trial.restored()) {
              trial[Symbol.dispose]();
              trial = new Trial(call);
            }
            const what = `${mode}, call ${n} of ${count}`;
            const { after: now, failure, leaked } = trial.run(n, mode);
            assert(failure === undefined || isTyped(failure), `${what}: ${Deno.inspect(failure)}`);
            const undone = difference(trial.before, now);
            const done = difference(after, now);
            // Where nothing works any more, nothing can be undone.
            if (failure === undefined) assertEquals(done, [], what);
            else if (mode === "once" && done.length > 0 && !call.parts) {
              assertEquals(undone, [], `${what}: ${failure}`);
            }
            if (undone.length === 0) assertEquals(leaked, [], `${what}: ${failure}`);
            if (mode === "once") call.check?.(trial.place, failure !== undefined);
          }
        }
        trial[Symbol.dispose]();
      },
    );
  }
}
