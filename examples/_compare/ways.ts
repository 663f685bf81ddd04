/**
 * The ways to connect two namespaces.
 *
 * @module
 */
import {
  Bridge,
  forward,
  Ipvlan,
  type LinkEndOptions,
  Macvlan,
  type NetNs,
  type Scope,
  supports,
  Tun,
  Veth,
} from "@netloom/netloom";
import { OvsDatapath } from "@netloom/netloom/openvswitch";

/** The place of a way: two namespaces, and a third one for links between them. */
export interface Site {
  readonly lab: Scope;
  readonly ends: readonly [NetNs, NetNs];
  readonly between: NetNs;
  /** Name of the link at both ends, and prefix of other links. */
  readonly name: string;
  /** The addresses of both ends. */
  readonly addresses: readonly [string, string];
}

/** A way. */
export interface Way {
  /** For tables. */
  readonly name: string;
  /** The reason why this machine does not have it, if so. */
  lacks(): string | undefined;
  /** Builds it. */
  build(site: Site): void;
}

const always = () => undefined;
const kind = (name: string) => () => supports(name) ? undefined : `this kernel lacks ${name}`;

/** Options of an end. */
function end({ ends, name, addresses }: Site, i: 0 | 1): LinkEndOptions {
  return { name, netns: ends[i], up: true, addresses: [`${addresses[i]}/24`] };
}

/** Calls a function for both ends. */
function both<T>(make: (i: 0 | 1) => T): [T, T] {
  return [make(0), make(1)];
}

/** A veth pair from each end, with the other end as a port of `master`. */
function cables(site: Site, master?: Bridge): [Veth, Veth] {
  const { lab: scope, between: netns, name } = site;
  const plug = { netns, up: true, ...(master ? { master } : {}) };
  return both((i) =>
    Veth.create({ scope, ...end(site, i), peer: { name: `${name}-${i}`, ...plug } })
  );
}

/** A parent link, whose peer leads nowhere. */
function parent({ lab: scope, between: netns, name }: Site): Veth {
  const peer = { name: `${name}-nowhere`, netns, up: true };
  return Veth.create({ scope, name: `${name}-parent`, netns, up: true, peer });
}

function tunPair(offloads: boolean): Way["build"] {
  return (site) => {
    const [a, b] = both((i) => Tun.create({ ...end(site, i), scope: site.lab, offloads }));
    // Both end when the scope closes the TUNs.
    const options = offloads ? { batch: 1 } : {};
    forward(a, b, options);
    forward(b, a, options);
  };
}

function ovs(internal: boolean): Way["build"] {
  return (site) => {
    const { lab: scope, between: netns, name, ends, addresses } = site;
    const datapath = OvsDatapath.create({ scope, name: `${name}-dp`, netns });
    const [a, b] = internal
      ? both((i) => {
        const port = datapath.addInternalPort(`${name}-${i}`);
        port.link.move(ends[i]).up().addresses.add(`${addresses[i]}/24`);
        return port;
      })
      : cables(site).map(({ peer }) => datapath.addPort(peer));
    datapath.addFlow(a!, b!);
    datapath.addFlow(b!, a!);
  };
}

const hasOvs = () => OvsDatapath.supported() ? undefined : "this kernel lacks openvswitch";

/** All of them. */
export const WAYS: readonly Way[] = [
  {
    name: "veth",
    lacks: always,
    build: (site) => void Veth.create({ scope: site.lab, ...end(site, 0), peer: end(site, 1) }),
  },
  {
    name: "bridge, 2 veth pairs",
    lacks: kind("bridge"),
    build: (site) => {
      const { lab: scope, between: netns, name } = site;
      cables(site, Bridge.create({ scope, name: `${name}-br`, netns, up: true }));
    },
  },
  {
    name: "macvlan",
    lacks: kind("macvlan"),
    build: (site) => {
      const below = { scope: site.lab, parent: parent(site), mode: "bridge" } as const;
      both((i) => Macvlan.create({ ...below, ...end(site, i) }));
    },
  },
  {
    name: "ipvlan l2",
    lacks: kind("ipvlan"),
    build: (site) => {
      const below = { scope: site.lab, parent: parent(site), mode: "l2" } as const;
      both((i) => Ipvlan.create({ ...below, ...end(site, i) }));
    },
  },
  { name: "TUN pair", lacks: kind("tun"), build: tunPair(false) },
  { name: "TUN pair, offloads", lacks: kind("tun"), build: tunPair(true) },
  { name: "OVS, 2 veth pairs", lacks: hasOvs, build: ovs(false) },
  { name: "OVS, internal ports", lacks: hasOvs, build: ovs(true) },
];
