/**
 * The addresses of a topology: subnets from the pools, addresses in them, loopbacks and MACs.
 *
 * The lower half of a pool is for segments, the third quarter for wires, the last one for loopbacks.
 *
 * @module
 */
import { show } from "../options.ts";
import { type Domain, domainsOf, filteringBridges, WITHOUT_ADDRESS } from "./domains.ts";
import { type Draft, type DraftPort, endpointOf } from "./model.ts";
import { byName, macOf } from "./names.ts";
import {
  addressText,
  bitsOf,
  isIn,
  type Net,
  netText,
  networkOf,
  parseNet,
  Row,
  type Wish,
} from "./placement.ts";
import type { Problems } from "./problem.ts";
import type { Displaced } from "./resolved.ts";
import type { AddressingSpec } from "./spec.ts";

/** Everything that has an address. */
export interface Addresses {
  readonly domains: readonly Domain[];
  /** The addresses of each interface, IPv4 first. */
  readonly ofPort: ReadonlyMap<DraftPort, readonly Net[]>;
  /** Whether any address is an IPv6 address. */
  readonly ipv6: boolean;
  /** The bridges that filter VLANs, as `NODE:BRIDGE`. */
  readonly filtering: ReadonlySet<string>;
  /** The MAC of each interface that has one. */
  readonly macs: ReadonlyMap<DraftPort, string>;
  readonly displaced: readonly Displaced[];
}

type Family = 4 | 6;

/** The default pool. */
const POOL: AddressingSpec = { ipv4: "10.0.0.0/8" };

/** The kinds with no MAC of their own, or one that netloom does not choose. */
const WITHOUT_MAC = ["loopback", "existing", "physical", "ipvlan", "ipvtap"];

/** Gives every interface its addresses and its MAC. */
export function addressesOf(draft: Draft, problems: Problems): Addresses {
  const displaced: Displaced[] = [];
  const domains = domainsOf(draft);
  const { addressing = POOL } = draft.spec;
  const pools: AddressingSpec = addressing === "none" ? {} : addressing;
  const ofPort = new Map<DraftPort, Net[]>();
  for (const node of draft.nodes.values()) {
    for (const port of node.ports.values()) ofPort.set(port, explicitOf(port));
  }
  for (const [family, text] of [[4, pools.ipv4], [6, pools.ipv6]] as const) {
    const allocation = new Allocation(family, { draft, domains, ofPort, displaced, problems });
    allocation.placeMembers(text === undefined ? undefined : networkOf(parseNet(text)));
  }
  for (const nets of ofPort.values()) nets.sort((a, b) => a.family - b.family);
  checkDuplicates(domains, ofPort, problems);
  const macs = macsOf(draft, displaced, problems);
  const ipv6 = [...ofPort.values()].some((nets) => nets.some(({ family }) => family === 6));
  return { domains, ofPort, ipv6, filtering: filteringBridges(draft), macs, displaced };
}

/** The addresses that the file gives. */
function explicitOf({ spec: { addresses = [], ipv4, ipv6 } }: DraftPort): Net[] {
  return [...addresses, ipv4, ipv6].filter((text) => text !== undefined).map(parseNet);
}

interface Context {
  readonly draft: Draft;
  readonly domains: readonly Domain[];
  readonly ofPort: ReadonlyMap<DraftPort, Net[]>;
  readonly displaced: Displaced[];
  readonly problems: Problems;
}

/** A part of a pool, cut into units of one prefix length. */
interface Area {
  readonly net: Net;
  readonly unit: number;
  readonly row: Row;
  /** The subnet of the file that covers all of it. */
  readonly owner?: string;
}

/** The allocation of one family. */
class Allocation {
  readonly #family: Family;
  readonly #context: Context;
  readonly #key: "ipv4" | "ipv6";

  constructor(family: Family, context: Context) {
    this.#family = family;
    this.#context = context;
    this.#key = family === 4 ? "ipv4" : "ipv6";
  }

  placeMembers(pool: Net | undefined): void {
    const { domains, draft } = this.#context;
    if (pool !== undefined && pool.family !== this.#family) {
      this.#context.problems.at(
        ["addressing", this.#key],
        `must be an ${this.#word} prefix: got ${show(netText(pool))}`,
      );
      return;
    }
    const subnets = new Map<Domain, Net>();
    for (const domain of domains) {
      const given = this.#givenSubnet(domain);
      if (given !== undefined) subnets.set(domain, given);
    }
    const open = domains.filter((domain) => !subnets.has(domain) && this.#needs(domain).length > 0);
    if (pool !== undefined) {
      const given = [...subnets].map(([{ name }, net]) => [name, net] as const);
      const longest = bitsOf(pool);
      const slot = this.#family === 6 && pool.length <= 56 ? 64 : undefined;
      const wires = open.filter(({ wire }) => wire);
      const segments = open.filter(({ wire }) => !wire);
      const unit = this.#family === 4 ? Math.max(24, pool.length + 4) : slot ?? pool.length + 8;
      const low = area(pool, 0n, 1, unit, given);
      const third = area(pool, 2n, 2, slot ?? longest - 1, given);
      this.#allocate(low, segments, (domain) => this.#segmentLength(domain, unit), subnets);
      this.#allocate(third, wires, () => longest - 1, subnets);
      this.#placeLoopbacks(area(pool, 3n, 2, slot ?? longest, given), draft);
    }
    for (const [domain, subnet] of subnets) this.#placeIn(domain, subnet);
  }

  get #word(): string {
    return this.#family === 4 ? "IPv4" : "IPv6";
  }

  /** The interfaces of a domain that want an address of the family and have none. */
  #needs({ ports, wire }: Domain): DraftPort[] {
    if (wire && ports.length < 2) return [];
    return ports.filter((port) =>
      port.spec.addresses?.length !== 0 && !WITHOUT_ADDRESS.includes(port.kind) &&
      this.#netsOf(port).length === 0
    );
  }

  /** The addresses of the family that an interface has by now. */
  #netsOf(port: DraftPort): Net[] {
    return this.#context.ofPort.get(port)!.filter(({ family }) => family === this.#family);
  }

  /** The subnet that links give, or the first address of the file. */
  #givenSubnet({ edges, ports }: Domain): Net | undefined {
    let found: Net | undefined;
    for (const { wire } of edges) {
      for (const [i, text] of (wire?.options.subnets ?? []).entries()) {
        const net = networkOf(parseNet(text));
        if (net.family !== this.#family) continue;
        if (found !== undefined && netText(found) !== netText(net)) {
          const at = [...wire!.path.slice(0, 2), "subnets", i];
          const message = `differs from ${netText(found)} of the same segment: got ${show(text)}`;
          this.#context.problems.at(at, message);
        }
        found ??= net;
      }
    }
    const explicit = ports.flatMap((port) => this.#netsOf(port))
      .find((net) => net.length < bitsOf(net));
    return found ?? (explicit && networkOf(explicit));
  }

  /** The prefix length of a segment: at most half full, so that few addresses collide. */
  #segmentLength({ ports }: Domain, unit: number): number {
    let length = unit;
    if (this.#family === 4) { while (2 ** (32 - length) - 2 < 2 * ports.length) length--; }
    return length;
  }

  #allocate(
    area: Area,
    domains: readonly Domain[],
    lengthOf: (domain: Domain) => number,
    subnets: Map<Domain, Net>,
  ): void {
    if (domains.length === 0) return;
    const { displaced, problems } = this.#context;
    const lengths = new Map(domains.map((domain) => [domain.name, lengthOf(domain)]));
    const wishes = domains.map(({ name }): Wish => ({
      name,
      units: 1n << BigInt(Math.max(0, area.unit - lengths.get(name)!)),
    }));
    const net = (name: string, unit: bigint) => unitNet(area, unit, lengths.get(name)!);
    const places = area.row.place(wishes, ({ name }, unit) => netText(net(name, unit)), displaced);
    const missing = domains.filter(({ name }) => !places.has(name));
    for (const domain of domains) {
      const unit = places.get(domain.name);
      if (unit !== undefined) subnets.set(domain, net(domain.name, unit));
    }
    if (missing.length === 0) return;
    const what = domains[0]!.wire ? "wires" : "segments";
    problems.at(
      ["addressing", this.#key],
      area.owner === undefined
        ? `is too small for ${domains.length} ${what}: ${missing.length} find no subnet, ` +
          `the first is ${show(missing[0]!.name)}; take a larger pool`
        : `has no place for ${domains.length} ${what}: the subnet of ${show(area.owner)} covers it`,
    );
  }

  #placeLoopbacks(area: Area, draft: Draft): void {
    const wanted = [...draft.nodes.values()].flatMap((node) => {
      const { loopback = node.kind === "router" } = node.spec;
      const lo = node.ports.get("lo");
      return loopback && lo && this.#netsOf(lo).length === 0 ? [lo] : [];
    });
    const wishes = wanted.map((lo) => ({ name: endpointOf(lo) }));
    const net = (unit: bigint): Net => {
      const { address, family } = unitNet(area, unit, area.unit);
      const length = bitsOf({ family });
      return { family, address: area.unit < length ? address + 1n : address, length };
    };
    const { displaced, ofPort, problems } = this.#context;
    const places = area.row.place(wishes, (_, unit) => netText(net(unit)), displaced);
    for (const lo of wanted) {
      const unit = places.get(endpointOf(lo));
      if (unit !== undefined) ofPort.get(lo)!.push(net(unit));
      else {
        const message = `is too small for ${wanted.length} loopbacks; take a larger pool`;
        return problems.at(["addressing", this.#key], message);
      }
    }
  }

  /** Gives the interfaces of a domain their addresses in its subnet. */
  #placeIn(domain: Domain, subnet: Net): void {
    const { ofPort, displaced, problems } = this.#context;
    const needs = this.#needs(domain).sort((a, b) => byName(endpointOf(a), endpointOf(b)));
    if (needs.length === 0) return;
    const bits = bitsOf(subnet) - subnet.length;
    // IPv4 has no host 0 and no last one; IPv6 has no host 0, which is any router (RFC 4291).
    const plain = bits > 1;
    const net = (host: bigint): Net => ({ ...subnet, address: subnet.address + host });
    if (domain.wire && needs.length === 2 && bits > 0) {
      for (const [i, port] of needs.entries()) {
        ofPort.get(port)!.push(net(BigInt(plain ? i + 1 : i)));
      }
      return;
    }
    const count = 1n << BigInt(Math.min(bits, 32));
    const row = new Row(plain && this.#family === 4 ? count - 1n : count);
    if (plain) row.take("the network", 0n);
    for (const port of domain.ports) {
      for (const net of this.#netsOf(port)) {
        if (isIn({ ...net, length: bitsOf(net) }, subnet)) {
          row.take(endpointOf(port), net.address - subnet.address);
        }
      }
    }
    const places = domain.wire
      ? new Map(needs.map((port) => [endpointOf(port), row.takeFirst(endpointOf(port), 0n)]))
      : row.place(
        needs.map((port) => ({ name: endpointOf(port) })),
        (_, host) => netText(net(host)),
        displaced,
      );
    for (const port of needs) {
      const host = places.get(endpointOf(port));
      if (host !== undefined) ofPort.get(port)!.push(net(host));
      else {
        const message = `finds no free address in ${netText(subnet)} for ${endpointOf(port)}`;
        return problems.at(port.path, message);
      }
    }
  }
}

/** A part of a pool: half, third or last quarter, without the subnets that the file gives. */
function area(
  pool: Net,
  index: bigint,
  depth: number,
  unit: number,
  given: readonly (readonly [name: string, net: Net])[],
): Area {
  const bits = bitsOf(pool);
  const length = pool.length + depth;
  const address = pool.address + (length > bits ? 0n : index << BigInt(bits - length));
  const net: Net = { family: pool.family, address, length: Math.min(length, bits) };
  const owner = given.find(([, other]) => isIn(net, other))?.[0];
  const row = new Row(
    owner !== undefined || unit < length || length > bits ? 0n : 1n << BigInt(unit - length),
  );
  for (const [name, other] of given) {
    if (isIn(other, net)) {
      const step = BigInt(bits - unit);
      const first = (other.address >> step) - (address >> step);
      row.take(name, first, 1n << BigInt(Math.max(0, unit - other.length)));
    }
  }
  return { net, unit, row, ...(owner === undefined ? {} : { owner }) };
}

function unitNet({ net, unit }: Area, index: bigint, length: number): Net {
  const address = net.address + (index << BigInt(bitsOf(net) - unit));
  return { family: net.family, address, length };
}

function checkDuplicates(
  domains: readonly Domain[],
  ofPort: ReadonlyMap<DraftPort, readonly Net[]>,
  problems: Problems,
): void {
  for (const { ports } of domains) {
    const owners = new Map<string, DraftPort>();
    for (const port of ports) {
      for (const net of ofPort.get(port)!) {
        const text = addressText(net);
        const before = owners.get(text);
        if (before === undefined) owners.set(text, port);
        else problems.at(port.path, `has the address ${text}, which ${endpointOf(before)} has`);
      }
    }
  }
}

/** The MACs of all interfaces: those of the file, and 40 bits that the name hashes to. */
function macsOf(draft: Draft, displaced: Displaced[], problems: Problems): Map<DraftPort, string> {
  const macs = new Map<DraftPort, string>();
  const owners = new Map<string, string>();
  const ports = [...draft.nodes.values()].flatMap((node) => [...node.ports.values()])
    .filter(({ kind }) => !WITHOUT_MAC.includes(kind))
    .map((port) => ({ port, name: endpointOf(port) }))
    .sort((a, b) => byName(a.name, b.name));
  for (const { port, name } of ports) {
    const { mac } = port.spec;
    if (mac === undefined) continue;
    const text = mac.split(/[:-]/).map((part) => part.padStart(2, "0")).join(":").toLowerCase();
    macs.set(port, text);
    owners.set(text, name);
  }
  for (const { port, name } of ports) {
    if (macs.has(port)) continue;
    let mac = macOf(name, 0);
    const by = owners.get(mac);
    for (let salt = 1; owners.has(mac); salt++) mac = macOf(name, salt);
    if (by !== undefined) displaced.push({ object: name, wanted: macOf(name, 0), got: mac, by });
    macs.set(port, mac);
    owners.set(mac, name);
  }
  for (const node of draft.nodes.values()) {
    for (const { kind, spec, path } of node.ports.values()) {
      if (spec.mac === undefined || !WITHOUT_MAC.includes(kind)) continue;
      problems.at([...path, "mac"], `has no meaning for a ${kind}`, "key");
    }
  }
  return macs;
}
