/**
 * What the running kernel can do.
 *
 * @module
 */
import { SyscallError } from "../../ffi/errno.ts";
import { readText } from "../../ffi/file.ts";
import { type NetNsRef, newNetNs } from "../../ffi/namespace.ts";
import { openTunDevice } from "../../ffi/tun.ts";
import { connectionTo } from "../netlink/connections.ts";
import { show, unknownOption } from "../options.ts";
import { newLink } from "../rtnetlink/link.ts";
import { linkKind, linkKindNames } from "../rtnetlink/link_kinds/mod.ts";
import { hasOption, isUnknownKind } from "./unsupported.ts";

/** What the running kernel can do. */
export interface Capabilities {
  /** Its release, as `uname -r` prints it: `6.12.48+deb13-amd64`. */
  readonly kernel: string;
  /** By the name of each link kind that netloom has a class for: whether the kernel has it. */
  readonly links: Readonly<Record<string, boolean>>;
}

const known = new Map<string, boolean>();

/**
 * Whether the running kernel has a link kind, or an option of one. The kernel is asked once, in a
 * throw-away namespace, and the answer is remembered. As creating such a link does, asking loads the
 * kind's module.
 *
 * @param kind The kernel's name of the kind: `ipvlan`.
 * @param option An option of the kind, `vlanFiltering`, or of a port of it, `port.locked`. Options that
 * every kernel has, back to Linux 6.1, count as there.
 * @returns `false` when the kernel has neither the kind nor a module with it.
 * @throws {SyscallError} EPERM without the privilege to make a namespace.
 * @throws {TypeError} When `kind` is not a name of 1 to 55 bytes, or has no such option.
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
 */
export function supports(kind: string, option?: string): boolean {
  if (typeof kind !== "string" || !/^[\x21-\x7e]{1,55}$/.test(kind)) {
    throw new TypeError(`kind must name a link kind: got ${show(kind)}`);
  }
  const has = known.get(kind) ?? probe([kind])[kind]!;
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
 * What the running kernel can do, of what netloom knows: see {@link supports}.
 *
 * @returns The kernel's release, and the link kinds.
 * @throws {SyscallError} EPERM without the privilege to make a namespace.
 *
 * @example What this machine lacks
 * ```ts
 * import { capabilities } from "@netloom/netloom";
 *
 * const { kernel, links } = capabilities();
 * const lacking = Object.keys(links).filter((kind) => !links[kind]);
 * console.log(`Linux ${kernel} lacks ${lacking.join(", ") || "nothing"}`);
 * ```
 */
export function capabilities(): Capabilities {
  return {
    kernel: readText("/proc/sys/kernel/osrelease").trim(),
    links: probe(linkKindNames()),
  };
}

/** Tries to make a link of each kind: any other answer than that there is no such kind will do. */
function probe(kinds: string[]): Record<string, boolean> {
  const asked = kinds.filter((kind) => !known.has(kind));
  if (asked.length > 0) {
    using netns = newNetNs("netns for trying link kinds");
    if (asked.includes("tun")) loadTun(netns);
    const results = connectionTo(netns).batch(
      asked.map((kind, i) => newLink({ name: `probe${i}`, linkInfo: { kind } })),
    );
    for (const [i, kind] of asked.entries()) {
      const result = results[i]!;
      known.set(kind, result.ok || !isUnknownKind(result.error));
    }
  }
  return Object.fromEntries(kinds.map((kind) => [kind, known.get(kind)!]));
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
