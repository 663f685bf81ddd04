/**
 * The settings and nftables of a node, as steps.
 *
 * @module
 */
import { ERRNO } from "../../ffi/errno.ts";
import { UnsupportedError } from "../rtnetlink/unsupported.ts";
import type { Living } from "./living.ts";
import type { ResolvedInterface, ResolvedNode } from "./resolved.ts";
import { show } from "../options.ts";
import type { Step } from "./steps.ts";

/** A link whose settings are asked for. */
interface LinkContext {
  readonly link: ResolvedInterface;
  /** The link does not exist yet. */
  readonly isNew: boolean;
}

/** Whether the lab creates the namespace of a node. */
export function isOwn({ kind }: ResolvedNode): boolean {
  return kind !== "netns" && kind !== "host-machine";
}

/** The links whose IPv6 settings are the lab's. */
function isCreated({ kind }: ResolvedInterface): boolean {
  return kind !== "loopback" && kind !== "existing";
}

const defaults = new WeakMap<ResolvedNode, Readonly<Record<string, string>>>();

/** The defaults of new links that a node starts with, so that most links need no setting of their own. */
function defaultsOf(node: ResolvedNode): Readonly<Record<string, string>> {
  return defaults.getOrInsertComputed(node, findDefaults);
}

function findDefaults(node: ResolvedNode): Readonly<Record<string, string>> {
  const links = node.interfaces.filter(isCreated);
  if (links.length === 0) return {};
  if (links.every(({ ipv6 }) => !ipv6)) return { disable_ipv6: "1" };
  return links.some(({ ipv6, nodad }) => ipv6 && nodad) ? { accept_dad: "0" } : {};
}

/** The IPv6 settings of a link that differ from those of a fresh namespace. */
function ipv6Of({ ipv6, nodad }: ResolvedInterface): Readonly<Record<string, string>> {
  return ipv6 ? { disable_ipv6: "0", accept_dad: nodad ? "0" : "1" } : { disable_ipv6: "1" };
}

const FRESH: Readonly<Record<string, string>> = { disable_ipv6: "0", accept_dad: "1" };

/** The names of settings of a node that a comparison reads, but those that come with its links. */
export function settingNames(node: ResolvedNode): string[] {
  const defaults = isOwn(node) ? Object.keys(FRESH) : [];
  return [...defaults.map((key) => `net.ipv6.conf.default.${key}`), ...Object.keys(node.sysctls)];
}

/** Settings that name a link: they can be written when it exists. */
function namesLink(node: ResolvedNode, setting: string): string | undefined {
  const [, name] = /^net\.ipv[46]\.(?:conf|neigh)\.([^.]+)\./.exec(setting) ?? [];
  const link = name?.replaceAll("/", ".");
  return node.interfaces.find((it) => it.name === link && it.kind !== "loopback")?.name;
}

/**
 * The settings of a node, or of one of its links, that have to be written.
 *
 * @param node The node.
 * @param living Its state; `undefined` for a namespace that is created.
 * @param context The link; without it, the settings that name no link.
 */
export function nodeSettings(
  node: ResolvedNode,
  living: Living | undefined,
  context?: LinkContext,
): Step[] {
  const steps: Step[] = [];
  const { link, isNew } = context ?? {};
  const add = (name: string, value: string, derived: boolean): void => {
    const has = living && !isNew ? living.sysctl(name) : undefined;
    if (has !== undefined && same(has, value)) return;
    if (derived && living?.sysctl("net.ipv6.conf.all.disable_ipv6") === undefined && living) return;
    steps.push({
      verb: "change",
      node: node.name,
      object: `setting ${name} of ${node.name}`,
      action: { kind: "sysctl", name, value, ...(derived && { derived }) },
    });
  };
  const initial = { ...FRESH, ...defaultsOf(node) };
  if (!link) {
    for (const key in isOwn(node) ? initial : {}) {
      if (!living && FRESH[key] === initial[key]) continue;
      add(`net.ipv6.conf.default.${key}`, initial[key]!, true);
    }
  } else if (isCreated(link)) {
    const wanted = ipv6Of(link);
    for (const key in wanted) {
      if (isNew && isOwn(node) && initial[key] === wanted[key]) continue;
      add(`net.ipv6.conf.${link.name.replaceAll(".", "/")}.${key}`, wanted[key]!, true);
    }
  }
  if (node.uplink && living) {
    const links = link ? [link].filter(isCreated) : [];
    const leading = node.uplink.map((family) => uplinksOf(node, living, family));
    if (node.netns === undefined && leading.every(({ length }) => length === 0)) throw noOutside();
    for (const [i, family] of node.uplink.entries()) {
      const names = link ? links.map(({ name }) => name) : leading[i]!;
      for (const name of names) add(forwardingOf(node, name, { living, family }), "1", false);
    }
  }
  for (const [name, value] of Object.entries(node.sysctls)) {
    if (namesLink(node, name) === link?.name) add(name, value, false);
  }
  return steps;
}

type Family = NonNullable<ResolvedNode["uplink"]>[number];

/**
 * The links by which the outside of a NAT leads on: those of its default routes; without any, all that have a
 * route. They have to forward the answers.
 */
function uplinksOf(node: ResolvedNode, living: Living, family: Family): string[] {
  const own = new Set(node.interfaces.filter(isCreated).map(({ name }) => name));
  const names = new Map([...living.links.values()].map(({ index, name }) => [index, name!]));
  const routes = living.routes.filter((route) =>
    route.family === (family === "ipv4" ? "inet" : "inet6") && route.type === "unicast" &&
    route.table === "main" && !/^f[ef]/.test(route.destination ?? "")
  );
  const isDefault = ({ destination = "default" }: (typeof routes)[number]) =>
    destination === "default" || destination.endsWith("/0");
  const leading = routes.some(isDefault) ? routes.filter(isDefault) : routes;
  const links = leading.flatMap(({ oif, nexthops = [] }) => [oif, ...nexthops.map((it) => it.oif)])
    .map((index) => names.get(index));
  return [...new Set(links)].filter((name) => name !== undefined && name !== "lo" && !own.has(name))
    .sort() as string[];
}

/** The setting by which one link forwards. IPv6 has one that leaves router advertisements alone. */
function forwardingOf(
  { name: node }: ResolvedNode,
  link: string,
  { living, family }: { readonly living: Living; readonly family: Family },
): string {
  const escaped = link.replaceAll(".", "/");
  if (family === "ipv4") return `net.ipv4.conf.${escaped}.forwarding`;
  const all = "net.ipv6.conf.all.forwarding";
  if (living.sysctl(all) === "1") return all;
  if (living.sysctl("net.ipv6.conf.lo.force_forwarding") !== undefined) {
    return `net.ipv6.conf.${escaped}.force_forwarding`;
  }
  throw new UnsupportedError({
    kind: "nat",
    option: "ipv6",
    linux: "6.17",
    hint:
      `the running kernel forwards IPv6 on all links or none: Linux 6.17 or later does it for ` +
      `single ones. Set ${all} to 1 yourself, or leave ipv6 out of "addressing"`,
  }, { operation: `forward IPv6 in node ${show(node)}`, netns: "", errno: ERRNO.EOPNOTSUPP });
}

/** An ordinary user's namespaces have no link to the networks of the machine. */
function noOutside(): UnsupportedError {
  return new UnsupportedError({
    kind: "nat",
    hint:
      "this namespace has no route to the outside. As an ordinary user run the command inside " +
      "pasta, which has one: pasta --config-net -- COMMAND (Debian package passt)",
  }, { operation: "lead a nat to the outside", netns: "", errno: ERRNO.ENETUNREACH });
}

/** Whether a setting of a node may have been written because the node is the outside of a NAT. */
export function isForwarding(name: string): boolean {
  return /\.(force_)?forwarding$/.test(name);
}

/** Whether the kernel has the value; it separates several numbers by tabs. */
function same(has: string, wanted: string): boolean {
  return has.replace(/\s+/g, " ") === wanted.trim().replace(/\s+/g, " ");
}

/** The tables that a script of nft names. */
export function tablesOf(script: string): string[] {
  const names = [...script.matchAll(/^\s*(?:add\s+)?table\s+(?:(\w+)\s+)?([\w-]+)\s*(?:\{|;|$)/gm)];
  return [...new Set(names.map(([, family = "ip", name]) => `${family} ${name}`))];
}

/**
 * The script that puts the tables of a node in the place of those it had.
 *
 * @param node The node.
 * @param before The scripts that may be in force.
 * @param isKnown Whether the first of them is in force: the kernel reports tables in another form.
 */
export function nodeTables(
  node: ResolvedNode,
  before: readonly string[],
  isKnown: boolean,
): Step[] {
  if (isKnown && (before[0] ?? "") === node.nftables) return [];
  const tables = [...before, node.nftables].flatMap(tablesOf);
  const clear = [...new Set(tables)].map((it) => `add table ${it}; delete table ${it};`).join(" ");
  const script = `${clear}\n${node.nftables}`.trim();
  if (script === "") return [];
  const verb = before.some((it) => it) ? "change" : "create";
  const object = `nftables of ${node.name}`;
  return [{ verb, node: node.name, object, action: { kind: "nft", script } }];
}
