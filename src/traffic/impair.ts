/**
 * `link.impair()`: delay, loss and more in both directions, by the kernel or by this process.
 *
 * The two ends of a veth pair are one wire: the packets that one end sends are those that the other receives.
 *
 * @module
 */
import { ERRNO, KernelError } from "../../ffi/errno.ts";
import { NetlinkError } from "../netlink/error.ts";
import { boolean, checkObject, wordValue } from "../options.ts";
import { restoreLinks } from "../scope/leftovers.ts";
import { undone } from "../scope/namespaces.ts";
import { type Scope, scopes } from "../scope/scope.ts";
import { describeLink, type NamedLink } from "../rtnetlink/link_target.ts";
import { UnsupportedError } from "../rtnetlink/unsupported.ts";
import { kernelLack } from "./impair_discipline.ts";
import { heldBy, HeldImpairment, isAnyHeld } from "./impair_scope.ts";
import { enforce, inspect, programOf, type Spot, type Wanted } from "./impair_kernel.ts";
import {
  DIRECTION_NAMES,
  type DirectionName,
  type DirectionStats,
  type EngineName,
  ENGINES,
  type ImpairEngine,
  type ImpairmentValues,
  type ImpairOptions,
  isEmpty,
  mergeValues,
} from "./impairment_values.ts";
import { startUserImpairment } from "./user/impair.ts";

/** The other end of a veth pair, and the way to give it back. */
export interface PeerEnd {
  /** The link. */
  readonly link: NamedLink;
  /** Closes what was opened to reach it. */
  close(): void;
}

/** A link to impair. */
export interface ImpairTarget {
  /** The link. */
  readonly link: NamedLink;
  /** Finds the other end of a veth pair; `undefined` when none is within reach. */
  readonly peer: () => PeerEnd | undefined;
}

/**
 * The impairment of a link: the values in force when it was read. `using` clears it at the end of a block.
 *
 * @example A slow link for the time of a block
 * ```ts
 * import { NetNs, Veth } from "@netloom/netloom";
 * import "@netloom/netloom/tc";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const link = Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
 * {
 *   using slow = link.impair({ rate: "1mbit" });
 *   assertEquals(slow.values, { out: { rate: 1_000_000 }, in: { rate: 1_000_000 } });
 * }
 * assertEquals(link.impairment(), undefined);
 * ```
 */
export class Impairment implements Disposable {
  readonly #target: ImpairTarget;
  /** Who impairs the link. */
  readonly engine: EngineName;
  /** The values of both directions; see {@link ImpairmentValues} for their units. */
  readonly values: ImpairmentValues;
  /** Packets that were lost while it was set, because a queueing discipline took the place of another one. */
  readonly lost: number;

  /** For `impair()` and `impairment()`. */
  constructor(target: ImpairTarget, state: Omit<State, "stats">, lost = 0) {
    this.#target = target;
    this.engine = state.engine;
    this.values = state.values;
    this.lost = lost;
  }

  /** Reads the counters of the directions that are impaired now. */
  get stats(): { readonly [D in DirectionName]?: DirectionStats } {
    return current(this.#target)?.stats ?? {};
  }

  /**
   * Takes the impairment off, and puts back what was there before it. Packets that wait are let through: the call
   * waits for them, at most a second. Does nothing when the link has no impairment any more.
   *
   * @returns Packets that were lost by that.
   */
  clear(): number {
    return clear(this.#target);
  }

  /** Takes the impairment off, also when the link is gone. */
  [Symbol.dispose](): void {
    if (this.#target.link.ref.fd.closed) return;
    try {
      this.clear();
    } catch (error) {
      if (!(error instanceof NetlinkError) || error.errno !== ERRNO.ENODEV) throw error;
    }
  }
}

/** For a link whose impairment is to be taken off, whatever it is. */
const NONE = { engine: "kernel", values: {} } as const;

/** The impairment of a link in force. */
interface State {
  readonly engine: EngineName;
  readonly values: ImpairmentValues;
  readonly stats: ImpairEngine["stats"];
}

/** The engines of this process, by the namespace and the index of their link. */
const engines = new Map<string, ImpairEngine>();

/** Impairs a link, on top of the values that it has; see `link.impair()`. */
export function impair(target: ImpairTarget, options: ImpairOptions): Impairment {
  checkObject(options, "options");
  const { engine, replace = false, match, scope } = options;
  const state = current(target);
  const values = mergeValues(boolean(replace, "replace") ? {} : state?.values ?? {}, options);
  const asked = engine === undefined ? undefined : wordValue(engine, ENGINES, "engine");
  if (match) programOf(match);
  if (scope !== undefined) scopes.check(scope);
  if (!isEmpty(values)) return putIn(scope, target, { state, values, asked });
  if (match) throw new TypeError('match needs an impairment of the packets, such as loss: "1%"');
  const lost = clear(target);
  return new Impairment(target, { engine: state?.engine ?? asked ?? "kernel", values: {} }, lost);
}

/** Takes the impairment of a link off. */
export function clear(target: ImpairTarget): number {
  const own = engineOf(target);
  const lost = own ? own.engine.clear() : withSpots(target, (spots) => enforce(wanted(spots, {})));
  if (own) engines.delete(own.key);
  if (isAnyHeld()) withEnds(target, (ends) => heldBy(ends)?.release());
  return lost;
}

/** The impairment of a link, `undefined` when it has none. */
export function impairment(target: ImpairTarget): Impairment | undefined {
  const state = current(target);
  return state && new Impairment(target, state);
}

/** A change of an impairment. */
interface Change {
  readonly state: State | undefined;
  readonly values: ImpairmentValues;
  readonly asked: EngineName | undefined;
}

/** Puts values in force until a scope is closed. */
function putIn(scope: Scope | undefined, target: ImpairTarget, change: Change): Impairment {
  if (!scope) return put(target, change);
  return withEnds(target, (ends) => {
    const before = heldBy(ends);
    if (before?.scope === scope) return put(target, change);
    restoreLinks();
    const held = new HeldImpairment(
      scope,
      ends,
      () => new Impairment(target, NONE)[Symbol.dispose](),
    );
    try {
      const impairment = put(target, change);
      before?.release();
      return impairment;
    } catch (error) {
      throw undone(error, () => held.release());
    }
  });
}

/** Puts values in force. */
function put(target: ImpairTarget, change: Change): Impairment {
  const { state, values, asked } = change;
  if ((asked ?? state?.engine ?? "kernel") === "user") return putUser(target, values);
  try {
    return putKernel(target, values);
  } catch (error) {
    if (asked || !(error instanceof UnsupportedError)) throw error;
    return putInstead(target, values, error);
  }
}

/** Puts values in force by this process, since the kernel cannot. */
function putInstead(
  target: ImpairTarget,
  values: ImpairmentValues,
  refused: UnsupportedError,
): Impairment {
  try {
    return putUser(target, values);
  } catch (error) {
    const lacks = error instanceof KernelError && ["EOPNOTSUPP", "ENOENT"].includes(error.code);
    if (!lacks) throw error;
    refused.message += `; this process cannot do it either: ${error.message}`;
    refused.cause = error;
    throw refused;
  }
}

function putKernel(target: ImpairTarget, values: ImpairmentValues): Impairment {
  const lack = kernelLack(values);
  if (lack) {
    const { link } = target;
    throw new UnsupportedError(lack, {
      operation: `impair ${describeLink(link)}`,
      netns: link.ref.description,
      errno: ERRNO.EOPNOTSUPP,
    });
  }
  const own = engineOf(target);
  let lost = withSpots(target, (spots) => enforce(wanted(spots, values)));
  if (own) {
    engines.delete(own.key);
    lost += own.engine.clear();
  }
  return new Impairment(target, { engine: "kernel", values }, lost);
}

function putUser(target: ImpairTarget, values: ImpairmentValues): Impairment {
  const own = engineOf(target);
  if (own) {
    const lost = own.engine.change(own.swapped ? swap(values) : values);
    return new Impairment(target, { engine: "user", values }, lost);
  }
  const engine = startUserImpairment(target.link, values);
  try {
    const lost = engine.lost + withSpots(target, (spots) => enforce(wanted(spots, {})));
    engines.set(keyOf(target.link), engine);
    return new Impairment(target, { engine: "user", values }, lost);
  } catch (error) {
    throw undone(error, () => engine.clear());
  }
}

/** Reads what impairs a link. */
function current(target: ImpairTarget): State | undefined {
  const own = engineOf(target);
  if (own) {
    const { engine, values, stats } = own.engine;
    return {
      engine,
      values: own.swapped ? swap(values) : values,
      stats: own.swapped ? swap(stats) : stats,
    };
  }
  return withSpots(target, (spots) => {
    const [out, incoming] = DIRECTION_NAMES.map((name) => inspect(spots[name]));
    const program = out?.program ?? incoming?.program;
    if (!out && !incoming) return undefined;
    return {
      engine: "kernel",
      values: {
        ...(out && { out: out.values }),
        ...(incoming && { in: incoming.values }),
        ...(program && { match: program }),
      },
      stats: { ...(out && { out: out.stats }), ...(incoming && { in: incoming.stats }) },
    };
  });
}

/** The same, as the other end sees it. */
function swap<T extends { readonly out?: unknown; readonly in?: unknown }>(both: T): T {
  const { out, in: incoming, ...rest } = both;
  return {
    ...rest,
    ...(incoming === undefined ? {} : { out: incoming }),
    ...(out === undefined ? {} : { in: out }),
  } as T;
}

const keyOf = ({ ref, index }: NamedLink): string => `${ref.cookie}:${index}`;

/** The engine of this process for a link, or for the other end of its pair. */
function engineOf(
  target: ImpairTarget,
): { readonly key: string; readonly engine: ImpairEngine; readonly swapped: boolean } | undefined {
  if (engines.size === 0) return undefined;
  const key = keyOf(target.link);
  const engine = running(key);
  if (engine) return { key, engine, swapped: false };
  return withPeer(target, (peer) => {
    const key = peer && keyOf(peer);
    const engine = key === undefined ? undefined : running(key);
    return engine && { key: key!, engine, swapped: true };
  });
}

/** The engine with a key, unless it has ended with its namespace or scope. */
function running(key: string): ImpairEngine | undefined {
  const engine = engines.get(key);
  if (!engine?.closed) return engine;
  engines.delete(key);
  return undefined;
}

function withPeer<T>(target: ImpairTarget, fn: (peer: NamedLink | undefined) => T): T {
  const peer = target.peer();
  try {
    return fn(peer?.link);
  } finally {
    peer?.close();
  }
}

/** The link, and the other end of its pair. */
function withEnds<T>(target: ImpairTarget, fn: (ends: readonly NamedLink[]) => T): T {
  return withPeer(target, (peer) => fn(peer ? [target.link, peer] : [target.link]));
}

/** The places where each direction can be impaired. */
function withSpots<T>(
  target: ImpairTarget,
  fn: (spots: Readonly<Record<DirectionName, readonly Spot[]>>) => T,
): T {
  const { link } = target;
  return withPeer(target, (peer) =>
    fn({
      out: [{ link, side: "egress" }],
      in: [
        ...(peer ? [{ link: peer, side: "egress" } as const] : []),
        { link, side: "ingress" },
      ],
    }));
}

function wanted(
  spots: Readonly<Record<DirectionName, readonly Spot[]>>,
  values: ImpairmentValues,
): Wanted[] {
  const program = values.match && programOf(values.match);
  return DIRECTION_NAMES.map((name) => ({ spots: spots[name], values: values[name], program }));
}
