/**
 * Capabilities of the running kernel: kinds of links and of traffic control, their options, and the error for
 * those it lacks.
 *
 * @module
 */
import { SyscallError } from "../../ffi/errno.ts";
import { readText } from "../../ffi/file.ts";
import { type NetNsRef, newNetNs } from "../../ffi/namespace.ts";
import { openTunDevice } from "../../ffi/packet_io.ts";
import { connectionTo } from "../netlink/connections.ts";
import { show, unknownOption } from "../options.ts";
import { getLinkMessage, type LinkMessage, newLink, setLink } from "../rtnetlink/link.ts";
import { type LinkInfoNest, linkKind, linkKindNames } from "../rtnetlink/link_info.ts";
import { NetlinkError } from "../netlink/error.ts";
import {
  isUnknownKind,
  lackingKind,
  lackingOption,
  UnsupportedError,
} from "../rtnetlink/unsupported.ts";
import type { KindOptions, LinkKind } from "../rtnetlink/link_kinds/kind.ts";
import type { DirectionValues } from "../traffic/impairment_values.ts";
import { trafficControl } from "../traffic/slot.ts";
import type { TrafficCapabilities, TrafficKind } from "../traffic/supports.ts";
import { verify } from "./verify.ts";

/**
 * Capabilities of the running kernel. `qdiscs`, `filters`, `actions` and `impair` need
 * `import "@netloom/netloom/tc"`; without it reading them throws a {@link MissingImportError}.
 */
export interface Capabilities extends TrafficCapabilities {
  /** Its release, as `uname -r` prints it: `6.12.48+deb13-amd64`. */
  readonly kernel: string;
  /** By the name of each link kind that netloom has a class for: whether the kernel has it. */
  readonly links: Readonly<Record<string, boolean>>;
  /** The engines of `link.impair()`. */
  readonly impair: ImpairCapabilities;
}

/** The engines of `link.impair()`, as far as the kernel decides. */
export interface ImpairCapabilities {
  /** The values that the kernel itself can do. */
  readonly kernel: readonly (keyof DirectionValues)[];
  /** Whether the kernel lets this process do it: packets can be led to a TAP and back. */
  readonly user: boolean;
}

const knownKinds = new Map<string, boolean>();

/**
 * Whether the running kernel has a link kind, a queueing discipline, a filter or an action, or an option of
 * one. The kernel is asked once, in a throw-away namespace, and the answer is remembered. As creating such
 * an object does, asking loads the kind's module.
 *
 * @param kind The kernel's name of the link kind, `ipvlan`; or `{ qdisc: "netem" }`, `{ filter: "flower" }`,
 * `{ action: "mirred" }`.
 * @param option An option of the kind, `vlanFiltering`, or of a port of it, `port.locked`. Options that
 * every kernel has, back to Linux 6.1, count as there.
 * Traffic control needs `import "@netloom/netloom/tc"`.
 * @returns `false` when the kernel has neither the kind nor a module with it.
 * @throws {MissingImportError} For traffic control without that import.
 * @throws {SyscallError} EPERM without the privilege to create a namespace.
 * @throws {TypeError} When `kind` is not a name of 1 to 55 bytes (15 of traffic control), or has no such option.
 *
 * @example A link of the best kind there is
 * ```ts
 * import { Ipvlan, Macvlan, NetNs, supports, Veth } from "@netloom/netloom";
 * import { assertEquals } from "@std/assert";
 *
 * using netns = NetNs.create();
 * const parent = Veth.create({ name: "v0", netns, peer: { name: "v1", netns } });
 * const link = supports("ipvlan")
 *   ? Ipvlan.create({ name: "host0", netns, parent, mode: "l2" })
 *   : Macvlan.create({ name: "host0", netns, parent, mode: "bridge" });
 * assertEquals(link.read().parent, parent.index);
 * ```
 *
 * @example A delay where the kernel has netem
 * ```ts
 * import { Link, NetNs, supports } from "@netloom/netloom";
 * import "@netloom/netloom/tc";
 *
 * using netns = NetNs.create();
 * const { qdiscs } = Link.get("lo", { netns });
 * if (supports({ qdisc: "netem" })) qdiscs.add({ kind: "netem", options: { delay: "20ms" } });
 * ```
 */
export function supports(kind: string | TrafficKind, option?: string): boolean {
  if (typeof kind === "object" && kind !== null) {
    return trafficControl.partFor(`supports(${show(kind)})`).supportsTraffic(kind, option);
  }
  if (typeof kind !== "string" || !/^[\x21-\x7e]{1,55}$/.test(kind)) {
    throw new TypeError(`kind must name a link kind: got ${show(kind)}`);
  }
  const has = knownKinds.get(kind) ?? probe([kind])[kind]!;
  return option === undefined ? has : supportsOption(kind, option) && has;
}

function supportsOption(kind: string, option: string): boolean {
  const entry = linkKind(kind);
  const port = entry?.port !== undefined && option.startsWith("port.");
  const name = port ? option.slice("port.".length) : option;
  const options = (port ? entry.port : entry)?.options ?? {};
  if (Object.hasOwn(options, name)) return hasOption(kind, name, port);
  throw unknownOption(option, name, Object.keys(options));
}

/**
 * Reads which kinds of links the running kernel has, and with `import "@netloom/netloom/tc"` which kinds of traffic
 * control: see {@link supports}.
 *
 * @returns The kernel's release, and the kinds that netloom knows.
 * @throws {SyscallError} EPERM without the privilege to create a namespace.
 *
 * @example Link kinds that this machine lacks
 * ```ts
 * import { capabilities } from "@netloom/netloom";
 *
 * const { kernel, links } = capabilities();
 * const lacking = Object.keys(links).filter((kind) => !links[kind]);
 * console.log(`Linux ${kernel} lacks ${lacking.join(", ") || "nothing"}`);
 * ```
 */
export function capabilities(): Capabilities {
  const links = probe(linkKindNames());
  const base = { kernel: readText("/proc/sys/kernel/osrelease").trim(), links };
  if (trafficControl.part) return { ...base, ...trafficOf("capabilities()", links) };
  for (const name of TRAFFIC) {
    Object.defineProperty(base, name, {
      get: () => trafficOf(`capabilities().${name}`, links)[name],
    });
  }
  return base as Capabilities;
}

const TRAFFIC = ["qdiscs", "filters", "actions", "impair"] as const;

/** The capabilities of traffic control. */
function trafficOf(
  member: string,
  links: Capabilities["links"],
): Pick<Capabilities, typeof TRAFFIC[number]> {
  const { trafficCapabilities, kernelValues } = trafficControl.partFor(member);
  const all = trafficCapabilities();
  const { qdiscs, filters, actions } = all;
  const user = [links.tun, qdiscs.clsact, filters.bpf, actions.mirred].every((it) => it === true);
  return { ...all, impair: { kernel: kernelValues(), user } };
}

/** Tries to create a link of each kind: any answer other than "unknown kind" shows that it exists. */
function probe(kinds: string[]): Record<string, boolean> {
  const asked = kinds.filter((kind) => !knownKinds.has(kind));
  if (asked.length > 0) {
    using netns = newNetNs("netns for trying link kinds");
    if (asked.includes("tun")) loadTun(netns);
    const results = connectionTo(netns).batch(
      asked.map((kind, i) => newLink({ name: `probe${i}`, linkInfo: { kind } })),
    );
    for (const [i, kind] of asked.entries()) {
      const result = results[i]!;
      knownKinds.set(kind, result.ok || !isUnknownKind(result.error));
    }
  }
  return Object.fromEntries(kinds.map((kind) => [kind, knownKinds.get(kind)!]));
}

/** The kernel has no alias for the kind's module: the first use of the device loads it. */
function loadTun(netns: NetNsRef): void {
  try {
    openTunDevice(netns, "try /dev/net/tun").close();
  } catch (error) {
    // Without the node or the module there is no such kind, which the probe will find.
    if (!(error instanceof SyscallError)) throw error;
  }
}

/**
 * The error to throw for a refused creation or change: an {@link UnsupportedError} when the kernel lacks
 * the kind or one of the options, otherwise the refusal itself.
 */
export function explainRefusal(kind: string, info: LinkInfoNest | undefined, error: Error): Error {
  if (!(error instanceof NetlinkError)) return error;
  if (isUnknownKind(error)) return new UnsupportedError(lackingKind(kind), error);
  if (!["EOPNOTSUPP", "EINVAL", "ERANGE"].includes(error.code)) return error;
  for (
    const [name, options, asked] of [
      [kind, linkKind(kind), info?.data],
      [info?.portKind, linkKind(info?.portKind)?.port, info?.portData],
    ] as const
  ) {
    if (name === undefined || !options?.requires || !asked || asked instanceof Uint8Array) continue;
    const port = options !== linkKind(name);
    const names = Object.keys(options.decode ? options.decode(asked) : asked);
    for (const option of names) {
      const requirement = options.requires[option];
      if (!requirement || hasOption(name, option, port)) continue;
      const owner = port ? `port of a ${name}` : name;
      return new UnsupportedError(lackingOption(owner, option, requirement), error);
    }
  }
  return error;
}

const knownOptions = new Map<string, boolean>();

/** Whether the running kernel has an option of a kind, or of a port of it; tried in a throw-away namespace. */
function hasOption(kindName: string, option: string, port = false): boolean {
  const key = `${kindName}${port ? ".port" : ""}.${option}`;
  let has = knownOptions.get(key);
  if (has === undefined) knownOptions.set(key, has = tryOption(linkKind(kindName)!, option, port));
  return has;
}

function tryOption(kind: LinkKind, option: string, port: boolean): boolean {
  const options: KindOptions<object, object, object> = port ? kind.port! : kind;
  const requirement = options.requires?.[option];
  if (!requirement) return true;
  using netns = newNetNs("netns for trying an option");
  const { probe } = requirement;
  const asked = typeof probe === "object" && probe !== null && !Array.isArray(probe)
    ? probe
    : { [option]: probe };
  const data = options.encode ? options.encode(asked) : asked;
  try {
    tryData(netns, kind.kind, data, kind.parent !== undefined, port);
    return true;
  } catch (error) {
    if (error instanceof NetlinkError) return false;
    throw error;
  }
}

/** Creates a link with the options, or a port of one, and verifies that the kernel took them. */
function tryData(
  netns: NetNsRef,
  kind: string,
  data: object,
  parent: boolean,
  port: boolean,
): void {
  const connection = connectionTo(netns);
  const below = { name: "below", linkInfo: { kind: "veth", data: { peer: { name: "other" } } } };
  const send = (message: LinkMessage) => {
    connection.request(newLink(message));
    return connection.request(getLinkMessage(message.name!));
  };
  const lower = parent || port ? send(below).index! : undefined;
  if (!port) {
    const linkInfo = { kind, data };
    const got = send({ name: "probe", ...(lower !== undefined && { parent: lower }), linkInfo });
    return verify({ linkInfo }, got, "probe", netns);
  }
  const master = send({ name: "probe", linkInfo: { kind } }).index!;
  const linkInfo = { portKind: kind, portData: data };
  connection.request(setLink({ index: lower!, master }));
  connection.request(setLink({ index: lower!, linkInfo }));
  verify({ linkInfo }, connection.request(getLinkMessage(lower!)), "probe", netns);
}
