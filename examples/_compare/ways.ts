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
  OvsDatapath,
  type Scope,
  supports,
  Tun,
  Veth,
} from "@netloom/netloom";

/** The addresses of both ends, in every way. */
export const ADDRESSES = ["192.168.123.1", "192.168.123.2"] as const;

/** A way, and how it is built between two namespaces, with a third one for what is in between. */
export interface Way {
  /** For tables. */
  readonly name: string;
  /** Why this machine does not have it, if so. */
  lacks(): string | undefined;
  /** Builds it. */
  build(lab: Scope, ends: readonly [NetNs, NetNs], between: NetNs): void;
}

const always = () => undefined;
const kind = (name: string) => () => supports(name) ? undefined : `this kernel lacks ${name}`;

/** What both ends have. */
function end(netns: NetNs, i: number): LinkEndOptions {
  return { name: "eth0", netns, up: true, addresses: [`${ADDRESSES[i]}/24`] };
}

/** A cable from each end, plugged in by `plug`. */
function cables(lab: Scope, ends: readonly NetNs[], between: NetNs, master?: Bridge): Veth[] {
  return ends.map((netns, i) => {
    const peer = { name: `port${i}`, netns: between, up: true, ...(master ? { master } : {}) };
    return Veth.create({ scope: lab, ...end(netns, i), peer });
  });
}

/** A link for others to sit on, with nothing at the end of its cable. */
function parent(lab: Scope, netns: NetNs): Veth {
  const peer = { name: "nowhere", netns, up: true };
  return Veth.create({ scope: lab, name: "parent", netns, up: true, peer });
}

function tunPair(offloads: boolean): Way["build"] {
  return (lab, ends) => {
    const [a, b] = ends.map((netns, i) => Tun.create({ ...end(netns, i), scope: lab, offloads }));
    // Ends when the scope closes them.
    const options = offloads ? { batch: 1 } : {};
    forward(a!, b!, options);
    forward(b!, a!, options);
  };
}

function ovs(internal: boolean): Way["build"] {
  return (lab, ends, between) => {
    const datapath = OvsDatapath.create({ scope: lab, name: "dp0", netns: between });
    const ports = internal
      ? ends.map((netns, i) => {
        const port = datapath.addInternalPort(`eth${i}`);
        port.link.move(netns).up().addresses.add(`${ADDRESSES[i]}/24`);
        return port;
      })
      : cables(lab, ends, between).map(({ peer }) => datapath.addPort(peer));
    datapath.addFlow(ports[0]!, ports[1]!);
    datapath.addFlow(ports[1]!, ports[0]!);
  };
}

const hasOvs = () => OvsDatapath.supported() ? undefined : "this kernel lacks openvswitch";

/** All of them. */
export const WAYS: readonly Way[] = [
  {
    name: "veth",
    lacks: always,
    build: (lab, [a, b]) => {
      Veth.create({ scope: lab, ...end(a, 0), peer: end(b, 1) });
    },
  },
  {
    name: "bridge, 2 veth pairs",
    lacks: kind("bridge"),
    build: (lab, ends, netns) => {
      cables(lab, ends, netns, Bridge.create({ scope: lab, name: "br0", netns, up: true }));
    },
  },
  {
    name: "macvlan",
    lacks: kind("macvlan"),
    build: (lab, ends, between) => {
      const below = { scope: lab, parent: parent(lab, between), mode: "bridge" } as const;
      ends.forEach((netns, i) => Macvlan.create({ ...below, ...end(netns, i) }));
    },
  },
  {
    name: "ipvlan l2",
    lacks: kind("ipvlan"),
    build: (lab, ends, between) => {
      const below = { scope: lab, parent: parent(lab, between), mode: "l2" } as const;
      ends.forEach((netns, i) => Ipvlan.create({ ...below, ...end(netns, i) }));
    },
  },
  { name: "TUN pair", lacks: kind("tun"), build: tunPair(false) },
  { name: "TUN pair, offloads", lacks: kind("tun"), build: tunPair(true) },
  { name: "OVS, 2 veth pairs", lacks: hasOvs, build: ovs(false) },
  { name: "OVS, internal ports", lacks: hasOvs, build: ovs(true) },
];
