/**
 * The queueing disciplines, filters and actions that the running kernel has, and the error for those it
 * lacks.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import { newNetNs } from "../../ffi/namespace.ts";
import type { Explain } from "../netlink/collection.ts";
import type { Connection } from "../netlink/connection.ts";
import { connectionTo } from "../netlink/connections.ts";
import { NetlinkError } from "../netlink/error.ts";
import { checkOptions, show, unknownOption } from "../options.ts";
import { newFilter } from "../rtnetlink/filter.ts";
import {
  type Action,
  actionKind,
  actionKindNames,
  tryAction,
} from "../rtnetlink/filter_kinds/actions.ts";
import { filterKind, filterKindNames } from "../rtnetlink/filter_kinds/mod.ts";
import { getQdisc, newQdisc, qdiscMessage, type QdiscOptions } from "../rtnetlink/qdisc.ts";
import { qdiscKind, qdiscKindNames } from "../rtnetlink/qdisc_kinds/mod.ts";
import type { TcMessage } from "../rtnetlink/traffic_control.ts";
import { QDISC_PARENTS } from "../rtnetlink/fields.ts";
import { lackingOption, UnsupportedError } from "../rtnetlink/unsupported.ts";

/** A kind of traffic control, by the kernel's name. */
export type TrafficKind =
  /** A queueing discipline: `netem`. */
  | { readonly qdisc: string }
  /** A filter: `flower`. */
  | { readonly filter: string }
  /** An action of filters: `mirred`. */
  | { readonly action: string };

/** By the name of each kind that netloom knows: whether the kernel has it. */
export interface TrafficCapabilities {
  /** Queueing disciplines. */
  readonly qdiscs: Readonly<Record<string, boolean>>;
  /** Filters. */
  readonly filters: Readonly<Record<string, boolean>>;
  /** Actions of filters. */
  readonly actions: Readonly<Record<string, boolean>>;
}

type Sort = "qdisc" | "filter" | "action";

/** Loopback, the only link of a new namespace. */
const LO = 1;

/** The kernel's words for a kind that it does not know. */
const UNKNOWN: Readonly<Record<Sort, string>> = {
  qdisc: "Specified qdisc kind is unknown",
  filter: "TC classifier not found",
  action: "Failed to load TC action module",
};

const WHAT: Readonly<Record<Sort, string>> = {
  qdisc: "the queueing discipline",
  filter: "the filter",
  action: "the action",
};

/** The place of filters that are tried: the handle of clsact and of ingress. */
const HOOK = 0xffff0000;

const requests: Readonly<Record<Sort, (kind: string) => Parameters<Connection["request"]>[0]>> = {
  qdisc: (kind) => {
    const ingress = qdiscKind(kind)?.ingress;
    const place = ingress
      ? { parent: QDISC_PARENTS.ingress!, handle: HOOK }
      : { parent: QDISC_PARENTS.root! };
    return newQdisc({ index: LO, kind, ...place });
  },
  filter: (kind) => newFilter({ index: LO, parent: HOOK + 0xfff2, info: 0x10300, kind }),
  action: tryAction,
};

const SORTS: Readonly<Record<Sort, true>> = { qdisc: true, filter: true, action: true };

const known = new Map<string, boolean>();

/** Whether a refusal says that the kernel does not know the kind. */
function isUnknown(error: Error, sort: Sort): boolean {
  return error instanceof NetlinkError && error.errno === ERRNO.ENOENT &&
    error.ack.message === UNKNOWN[sort];
}

/** Tries kinds in a namespace of its own. Any answer other than "unknown" shows that the kernel has one. */
function probe(sort: Sort, kinds: readonly string[]): Readonly<Record<string, boolean>> {
  const key = (kind: string) => `${sort} ${kind}`;
  const asked = kinds.filter((kind) => !known.has(key(kind)));
  if (asked.length > 0) {
    using netns = newNetNs("netns for trying traffic control");
    const connection = connectionTo(netns);
    // Without a place for filters the kernel does not look at their kinds, and takes none.
    const nowhere = sort === "filter" && !connection.batch([requests.qdisc("clsact")])[0]!.ok;
    for (const kind of asked) {
      const [result] = connection.batch([requests[sort](kind)]);
      known.set(key(kind), !nowhere && (result!.ok || !isUnknown(result!.error, sort)));
    }
  }
  return Object.fromEntries(kinds.map((kind) => [kind, known.get(key(kind))!]));
}

/**
 * Whether the running kernel has a kind of traffic control, or an option of a queueing discipline.
 *
 * @param kind The kind.
 * @param option An option of a queueing discipline.
 * @throws {TypeError} For an unknown option, and for a malformed kind.
 */
export function supportsTraffic(kind: TrafficKind, option?: string): boolean {
  const [sort, name] = parse(kind);
  const has = probe(sort, [name])[name]!;
  if (option === undefined) return has;
  const options = (sort === "qdisc" && qdiscKind(name)?.options) || {};
  if (!Object.hasOwn(options, option)) throw unknownOption(option, option, Object.keys(options));
  return has && hasOption(name, option);
}

function parse(kind: TrafficKind): [Sort, string] {
  checkOptions(kind, SORTS, "kind");
  const [[sort, name] = ["qdisc", undefined], ...more] = Object.entries(kind);
  if (more.length === 0 && typeof name === "string" && /^[\x21-\x7e]{1,15}$/.test(name)) {
    return [sort as Sort, name];
  }
  throw new TypeError(`kind must have one of qdisc, filter and action, a name: got ${show(kind)}`);
}

/** The kinds of traffic control that the running kernel has. */
export function trafficCapabilities(): TrafficCapabilities {
  return {
    qdiscs: probe("qdisc", qdiscKindNames()),
    filters: probe("filter", filterKindNames()),
    actions: probe("action", actionKindNames()),
  };
}

/** Whether the kernel has an option of a queueing discipline: kernels ignore those that they do not know. */
function hasOption(kind: string, option: string): boolean {
  const requirement = qdiscKind(kind)?.requires?.[option];
  if (!requirement) return true;
  const key = `option ${kind}.${option}`;
  let has = known.get(key);
  if (has === undefined) known.set(key, has = tryOption(kind, { [option]: requirement.probe }));
  return has;
}

function tryOption(kind: string, options: object): boolean {
  using netns = newNetNs("netns for trying an option");
  const message = qdiscMessage({ kind, options } as QdiscOptions, LO);
  const connection = connectionTo(netns);
  connection.request(newQdisc(message));
  const { options: got } = connection.request(getQdisc({ index: LO, parent: message.parent! }));
  return Object.keys(options).every((option) => Object.hasOwn(got, option));
}

/**
 * Refuses options of a queueing discipline that the kernel would ignore.
 *
 * @param message The queueing discipline.
 * @param where The operation and the namespace, for the error.
 * @throws {UnsupportedError} When the kernel has the kind without an option of the message.
 */
export function checkSupport(
  { kind = "", given = {} }: TcMessage,
  where: { readonly operation: string; readonly netns: string },
): void {
  const { requires = {} } = qdiscKind(kind) ?? {};
  for (const option in requires) {
    const asked = (given as Readonly<Record<string, unknown>>)[option] !== undefined;
    if (!asked || !supportsTraffic({ qdisc: kind }) || hasOption(kind, option)) continue;
    const lacking = lackingOption(kind, option, requires[option]!);
    throw new UnsupportedError(lacking, { ...where, errno: ERRNO.EOPNOTSUPP });
  }
}

/** A refusal as an {@link UnsupportedError}, when the kernel lacks the kind or an action. */
export const explainRefusal: Explain<TcMessage> = (error, { kind = "", given }) => {
  if (isUnknown(error, "qdisc")) return unsupported(error, "qdisc", kind);
  if (isUnknown(error, "filter")) return unsupported(error, "filter", kind);
  if (!isUnknown(error, "action")) return error;
  const { actions = [] } = given as { actions?: readonly Action[] };
  const missing = actions.find(({ kind }) => !probe("action", [kind])[kind]);
  return missing ? unsupported(error, "action", missing.kind) : error;
};

function unsupported(error: NetlinkError, sort: Sort, kind: string): UnsupportedError {
  const source = sourceOf(sort, kind);
  const brings = source
    ? `CONFIG_${source.config}, module ${source.module}, brings it`
    : "netloom knows no module with it";
  const hint = `the running kernel lacks ${WHAT[sort]} ${kind}: ${brings}`;
  return new UnsupportedError({ kind, ...source, hint }, error);
}

function sourceOf(sort: Sort, kind: string): { config: string; module: string } | undefined {
  if (sort === "qdisc") {
    const { config, module = `sch_${kind}` } = qdiscKind(kind) ?? {};
    return config === undefined ? undefined : { config, module };
  }
  const [entry, prefix] = sort === "filter" ? [filterKind(kind), "cls"] : [actionKind(kind), "act"];
  return entry && { config: entry.config, module: `${prefix}_${kind}` };
}
