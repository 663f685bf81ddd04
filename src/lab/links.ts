/**
 * The interfaces of a resolved topology: MTUs, VLANs, options of kinds, order of creation.
 *
 * @module
 */
import { formatIp, parseMac } from "../packet/address.ts";
import type { BridgeVlan } from "../rtnetlink/bridge_vlan.ts";
import type { Addresses } from "./addresses.ts";
import { type Domain, rangeOf } from "./domains.ts";
import { type Draft, type DraftNode, type DraftPort, endpointOf, isOwn } from "./model.ts";
import { byName } from "./names.ts";
import { netText } from "./placement.ts";
import type { Problems } from "./problem.ts";
import type { OptionValue, ResolvedInterface } from "./resolved.ts";

/** The MTU of Ethernet. */
const DEFAULT_MTU = 1500;

/** Bytes that a vxlan adds: Ethernet, vxlan, UDP and IPv4 or IPv6 headers (RFC 7348). */
const VXLAN_BYTES = { ipv4: 50, ipv6: 70 };

/** The interfaces of a node in the order of creation. */
export function interfacesOf(node: DraftNode, { addresses, mtus }: Plan): ResolvedInterface[] {
  const ports = [...node.ports.values()].sort((a, b) =>
    rankOf(a) - rankOf(b) || byName(a.name, b.name)
  );
  return ports.map((port) => interfaceOf(port, { addresses, mtus }));
}

/** The decisions that interfaces need. */
export interface Plan {
  readonly addresses: Addresses;
  readonly mtus: ReadonlyMap<DraftPort, number>;
}

/** `lo`, then bridges, then links with nothing below them, then the others by their depth. */
function rankOf({ kind, parent, node }: DraftPort): number {
  if (kind === "loopback") return 0;
  if (kind === "bridge") return 1;
  return parent?.node === node ? rankOf(parent) + 2 : 2;
}

function interfaceOf(port: DraftPort, { addresses, mtus }: Plan): ResolvedInterface {
  const { name, kind, spec, master, parent } = port;
  const mac = addresses.macs.get(port);
  const mtu = mtus.get(port);
  const nets = addresses.ofPort.get(port)!;
  const ipv6 = addresses.ipv6 && master === undefined &&
    (nets.length > 0 || !["bridge", "ifb", "existing"].includes(kind));
  const vlans = vlansOf(port, addresses.filtering);
  return {
    name,
    kind,
    ...(spec.from === undefined ? {} : { from: spec.from }),
    ...(mac === undefined ? {} : { mac }),
    ...(mtu === undefined ? {} : { mtu }),
    up: spec.up ?? true,
    addresses: nets.map(netText),
    ipv6,
    ...(ipv6 && mac !== undefined ? { linkLocal: linkLocalOf(mac) } : {}),
    nodad: !(spec.dad ?? !isClosed(port)),
    ...(master === undefined ? {} : { master }),
    ...(vlans === undefined ? {} : { vlans }),
    ...(parent === undefined ? {} : { parent: endpointOf(parent) }),
    options: optionsOf(port, addresses.filtering),
  };
}

/** Whether the lab owns all that the interface leads to, so that nobody else can have its address. */
function isClosed({ node, wire, parent, kind }: DraftPort): boolean {
  if (!isOwn(node) || kind === "physical" || kind === "vxlan") return false;
  if (parent !== undefined) return isClosed(parent);
  return wire === undefined || wire.ends.every((end) => isOwn(end.node));
}

/** The IPv6 link-local address of a MAC (RFC 4291, appendix A). */
function linkLocalOf(mac: string): string {
  const [a, b, c, d, e, f] = parseMac(mac);
  const id = [a! ^ 2, b!, c!, 0xff, 0xfe, d!, e!, f!];
  return formatIp(Uint8Array.from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, ...id]));
}

/** The VLANs of a port of a bridge that filters; others have none. */
function vlansOf(
  { node, master, spec }: DraftPort,
  filtering: ReadonlySet<string>,
): BridgeVlan[] | undefined {
  if (master === undefined || !filtering.has(`${node.name}:${master}`)) return undefined;
  const { access = 1, trunk, native } = spec;
  if (trunk === undefined) return [{ vid: access, pvid: true, untagged: true }];
  const tagged = trunk.map(rangeOf).map(([vid, end]): BridgeVlan => ({
    vid,
    ...(end === vid ? {} : { end }),
    pvid: false,
    untagged: false,
  }));
  const plain = native === undefined ? [] : [{ vid: native, pvid: true, untagged: true }];
  return [...tagged.filter(({ vid }) => vid !== native), ...plain].sort((a, b) => a.vid - b.vid);
}

/** The options of the kind, sorted by name. */
function optionsOf(
  port: DraftPort,
  filtering: ReadonlySet<string>,
): Record<string, OptionValue> {
  const { node, kind, spec } = port;
  const derived: Record<string, OptionValue> = {};
  if (kind === "bridge") {
    derived.stp = node.spec.stp ?? false;
    if (filtering.has(endpointOf(port))) {
      derived.vlanFiltering = true;
      // The VLANs of the ports are complete: none is added by itself.
      derived.vlanDefaultPvid = 0;
    }
  }
  if (kind === "macvlan" || kind === "macvtap") derived.mode = "bridge";
  const options = { ...derived, ...spec.options };
  return Object.fromEntries(Object.entries(options).sort(([a], [b]) => byName(a, b)));
}

/** The MTU of each interface; ends of a wire and members of a segment have one in common. */
export function mtusOf(
  draft: Draft,
  domains: readonly Domain[],
  problems: Problems,
): Map<DraftPort, number> {
  const mtus = new Map<DraftPort, number>();
  for (const wire of draft.wires) {
    const { ends, options, path } = wire;
    const asked = ends.map(({ spec, node }) => spec.mtu ?? options.mtu ?? node.spec.mtu);
    const [a = asked[1], b = asked[0]] = asked;
    if (a !== b) {
      const list = ends.map((end, i) => `${endpointOf(end)} ${asked[i]}`).join(", ");
      problems.at(path, `has ends with different MTUs: ${list}; give the link an mtu`);
    }
    for (const end of ends) mtus.set(end, a ?? DEFAULT_MTU);
  }
  const ports = [...draft.nodes.values()].flatMap((node) => [...node.ports.values()]);
  for (const port of ports.filter(({ wire }) => wire === undefined)) mtuOf(port, mtus);
  for (const { edges } of domains) checkEqual(edges, mtus, problems);
  return mtus;
}

/** The MTU of an interface that is no end of a wire. */
function mtuOf(port: DraftPort, mtus: Map<DraftPort, number>): number | undefined {
  const { kind, spec, node, parent } = port;
  const known = mtus.get(port);
  if (known !== undefined) return known;
  const below = parent && mtuOf(parent, mtus);
  const set = (mtu: number | undefined) => {
    if (mtu !== undefined) mtus.set(port, mtu);
    return mtu;
  };
  if (spec.mtu !== undefined) return set(spec.mtu);
  if (kind === "loopback" || kind === "existing") return undefined;
  if (kind === "bridge") {
    const ports = [...node.ports.values()].filter(({ master }) => master === port.name);
    const first = ports.map((it) => mtus.get(it)).find((mtu) => mtu !== undefined);
    return set(node.spec.mtu ?? first ?? DEFAULT_MTU);
  }
  if (kind === "vxlan") {
    const { remote, local, group } = spec.options ?? {};
    const ipv6 = [remote, local, group].some((address) => String(address).includes(":"));
    return set((below ?? DEFAULT_MTU) - VXLAN_BYTES[ipv6 ? "ipv6" : "ipv4"]);
  }
  if (parent !== undefined) return set(below);
  return kind === "physical" ? undefined : set(node.spec.mtu ?? DEFAULT_MTU);
}

function checkEqual(
  edges: readonly DraftPort[],
  mtus: ReadonlyMap<DraftPort, number>,
  problems: Problems,
): void {
  const wired = edges.filter(({ wire }) => wire !== undefined);
  const first = wired[0];
  if (first === undefined) return;
  const other = wired.find((port) => mtus.get(port) !== mtus.get(first));
  if (other === undefined || other.wire === first.wire) return;
  problems.at(
    other.wire!.path,
    `has MTU ${mtus.get(other)} at ${endpointOf(other)}, but ${
      endpointOf(first)
    } of the same segment ` +
      `has ${mtus.get(first)}`,
  );
}
