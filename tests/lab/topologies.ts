// Resolved topologies by hand, for tests and benchmarks.
import type {
  Endpoint,
  ResolvedInterface,
  ResolvedNode,
  ResolvedNodeKind,
  ResolvedTopology,
  ResolvedWire,
} from "../../src/lab/resolved.ts";

let macs = 0;

/** An interface of kind veth, changed by `rest`. */
export function port(name: string, rest: Partial<ResolvedInterface> = {}): ResolvedInterface {
  const n = ++macs;
  const bytes = [n >> 16, n >> 8, n].map((it) => (it & 255).toString(16).padStart(2, "0"));
  return {
    name,
    kind: "veth",
    ...(["loopback", "existing", "physical"].includes(rest.kind ?? "veth")
      ? {}
      : { mac: `02:6e:6c:${bytes.join(":")}`, mtu: 1500 }),
    up: true,
    addresses: [],
    ipv6: false,
    nodad: true,
    options: {},
    ...rest,
  };
}

/** A node of a kind. */
export function node(
  name: string,
  interfaces: readonly ResolvedInterface[],
  rest: Partial<ResolvedNode> = {},
): ResolvedNode {
  const kind: ResolvedNodeKind = rest.kind ?? "host";
  return {
    name,
    kind,
    interfaces,
    routes: [],
    rules: [],
    sysctls: kind === "router" ? { "net.ipv4.ip_forward": "1" } : {},
    nftables: "",
    run: [],
    environment: {},
    files: [],
    hosts: [],
    ...rest,
  };
}

/** A wire without faults. */
export function wire(a: Endpoint, b: Endpoint): ResolvedWire {
  return { ends: [a, b], impair: {} };
}

/** A topology of these nodes and wires. */
export function topology(
  nodes: readonly ResolvedNode[],
  wires: readonly ResolvedWire[],
  rest: Partial<ResolvedTopology> = {},
): ResolvedTopology {
  const hosts = nodes.map(({ name, interfaces }) => ({
    name,
    addresses: interfaces.flatMap(({ addresses }) => addresses.map((it) => it.split("/")[0]!)),
  })).filter(({ addresses }) => addresses.length > 0);
  return { version: 1, nodes, wires, hosts, schedule: [], displaced: [], ...rest };
}

/** A default route. */
export function via(gateway: string): ResolvedNode["routes"][number] {
  const destination = gateway.includes(":") ? "::/0" : "0.0.0.0/0";
  return { destination, type: "unicast", nexthops: [{ gateway }], derived: true };
}

/** Two hosts on a switch, and a third one behind a router. */
export function small(): ResolvedTopology {
  return topology([
    node("h1", [port("eth0", { addresses: ["10.0.0.1/24"] })], { routes: [via("10.0.0.254")] }),
    node("h2", [port("eth0", { addresses: ["10.0.0.2/24"] })], { routes: [via("10.0.0.254")] }),
    node("h3", [port("eth0", { addresses: ["10.0.1.1/24"] })], { routes: [via("10.0.1.254")] }),
    node("r1", [
      port("eth0", { addresses: ["10.0.0.254/24"] }),
      port("eth1", { addresses: ["10.0.1.254/24"] }),
    ], { kind: "router" }),
    node("sw", [
      port("br0", { kind: "bridge" }),
      port("h1", { master: "br0" }),
      port("h2", { master: "br0" }),
      port("r1", { master: "br0" }),
    ], { kind: "switch" }),
  ], [
    wire("h1:eth0", "sw:h1"),
    wire("h2:eth0", "sw:h2"),
    wire("h3:eth0", "r1:eth1"),
    wire("r1:eth0", "sw:r1"),
  ]);
}

/** A grid of routers with an address on each end of each wire. */
export function grid(width: number, height: number): ResolvedTopology {
  const interfaces = new Map<string, ResolvedInterface[]>();
  const wires: ResolvedWire[] = [];
  const nameOf = (x: number, y: number) => `n${x}-${y}`;
  const end = (name: string, address: string): Endpoint => {
    const list = interfaces.get(name) ?? [];
    interfaces.set(name, list);
    list.push(port(`eth${list.length}`, { addresses: [address] }));
    return `${name}:eth${list.length - 1}`;
  };
  const join = (a: string, b: string) => {
    const at = wires.length * 2;
    const address = (n: number) => `10.${n >> 16}.${n >> 8 & 255}.${n & 255}/31`;
    wires.push(wire(end(a, address(at)), end(b, address(at + 1))));
  };
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      if (x + 1 < width) join(nameOf(x, y), nameOf(x + 1, y));
      if (y + 1 < height) join(nameOf(x, y), nameOf(x, y + 1));
    }
  }
  const nodes = [...interfaces].map(([name, list]) => node(name, list, { kind: "router" }));
  return topology(nodes, wires);
}
