import * as brctl from "../../src/link/brctl.ts";
// Bad input: a typed error that names what was wrong, and nothing left.
import { assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import { type NetNsRef, newNetNs } from "../../ffi/namespace.ts";
import { Bridge, Link, NetlinkError, NetNs, Scope, SyscallError, Veth } from "../../mod.ts";
import { NetNsRoutes } from "../../src/netns/routes.ts";
import { NetNsAddresses, NetNsLinks, NetNsNeighbors } from "../../src/netns/tables.ts";
import { test } from "../leaks.ts";
import { machine } from "../machine.ts";
import { script } from "../script.ts";

type Attempt = (netns: { ref: NetNsRef }) => unknown;
type ErrorClass = new (...args: never[]) => Error;

/** In each the links "br-there" (a bridge) and "v-there" (a veth) exist. */
const ATTEMPTS: Record<string, [attempt: Attempt, type: ErrorClass, names: string[]]> = {
  "an existing bridge name": [
    (netns) => Bridge.create({ name: "br-there", netns }),
    NetlinkError,
    ['create bridge "br-there"', "EEXIST"],
  ],
  "a veth whose own name is taken": [
    (netns) => Veth.create({ name: "v-there", netns, peer: { name: "v1", netns } }),
    NetlinkError,
    ['create veth "v-there"', "EEXIST"],
  ],
  "a veth whose peer's name is taken": [
    (netns) => Veth.create({ name: "v1", netns, peer: { name: "v-there", netns } }),
    NetlinkError,
    ['"v-there"', "EEXIST"],
  ],
  "a master that does not exist": [
    (netns) => Veth.create({ name: "v1", netns, master: "nobody", peer: { name: "v2", netns } }),
    NetlinkError,
    ['"nobody"', "ENODEV"],
  ],
  "a parent that does not exist": [
    (netns) => Link.create({ kind: "macvlan", name: "m0", netns, parent: "nobody" }),
    NetlinkError,
    ['"nobody"', "ENODEV"],
  ],
  "a master that is no bridge": [
    (netns) => Veth.create({ name: "v1", netns, master: "lo", peer: { name: "v2", netns } }),
    NetlinkError,
    ["EOPNOTSUPP"],
  ],
  "a name of 16 bytes": [
    (netns) => Bridge.create({ name: "a234567890123456", netns }),
    RangeError,
    ['"a234567890123456"', "15"],
  ],
  "a name with a slash": [
    (netns) => Bridge.create({ name: "a/b", netns }),
    TypeError,
    ['"a/b"'],
  ],
  "an empty name": [(netns) => Bridge.create({ name: "", netns }), TypeError, ['""']],
  "a peer's name of 16 bytes": [
    (netns) => Veth.create({ name: "v1", netns, peer: { name: "a234567890123456", netns } }),
    RangeError,
    ['"a234567890123456"'],
  ],
  "a scope of one end": [
    (netns) => {
      const peer = { name: "v2", netns, scope: {} };
      Veth.create({ name: "v1", netns, peer });
    },
    TypeError,
    ['Unknown option "peer.scope"'],
  ],
  "a misspelled option of the peer": [
    (netns) => {
      const peer = { name: "v2", netns, mastr: "br-there" };
      Veth.create({ name: "v1", netns, peer });
    },
    TypeError,
    ['Unknown option "peer.mastr": did you mean "peer.master"?'],
  ],
  "a namespace that leads out of the directory": [
    () => NetNs.create("../x"),
    TypeError,
    ['"../x"'],
  ],
  "a namespace that does not exist": [
    () => Bridge.create({ name: "br0", netns: { name: "no-such" } }),
    SyscallError,
    ['"no-such"', "ENOENT"],
  ],
  "a malformed address": [
    (netns) => Bridge.create({ name: "br0", netns, addresses: ["10.0.0.256/24"] }),
    TypeError,
    ['"10.0.0.256/24"'],
  ],
  "a prefix length that is too long": [
    (netns) => Bridge.create({ name: "br0", netns, addresses: ["10.0.0.1/33"] }),
    RangeError,
    ['"10.0.0.1/33"'],
  ],
  "a malformed address of the peer": [
    (netns) =>
      Veth.create({ name: "v1", netns, peer: { name: "v2", netns, addresses: ["fd00::1::/64"] } }),
    TypeError,
    ['"fd00::1::/64"'],
  ],
  "a malformed Ethernet address": [
    (netns) => Bridge.create({ name: "br0", netns, mac: "02:00:00:00:00" }),
    TypeError,
    ["mac", '"02:00:00:00:00"'],
  ],
  "a multicast Ethernet address": [
    (netns) => Bridge.create({ name: "br0", netns, mac: "01:00:00:00:00:01" }),
    NetlinkError,
    ['bridge "br0"'],
  ],
  "a bridge option out of range, which the kernel would take": [
    (netns) => Bridge.create({ name: "br0", netns, forwardDelay: 999999 }),
    RangeError,
    ["forwardDelay", "999999", "0..3000"],
  ],
  "a port option out of range": [
    (netns) =>
      Veth.create({
        name: "v1",
        netns,
        master: "br-there",
        port: { priority: 64 },
        peer: { name: "v2", netns },
      }),
    RangeError,
    ["priority", "64"],
  ],
  "an option of another type": [
    (netns) => Bridge.create({ name: "br0", netns, mtu: "1500" as unknown as number }),
    TypeError,
    ["mtu", '"1500"'],
  ],
  "an unknown option": [
    (netns) => Bridge.create({ name: "br0", netns, ["forwardDelya" as "stp"]: true }),
    TypeError,
    ["forwardDelya"],
  ],
  "an unknown option of a peer": [
    (netns) =>
      Veth.create({ name: "v1", netns, peer: { name: "v2", netns, ["adresses" as "alias"]: "x" } }),
    TypeError,
    ["adresses"],
  ],
  "an unknown option of a namespace": [
    () => NetNs.create("bad-input", { ["loopbak" as "loopback"]: false }),
    TypeError,
    ['Unknown option "loopbak"'],
  ],
  "a loopback that is no boolean": [
    () => NetNs.create("bad-input", { loopback: "yes" as never }),
    TypeError,
    ['loopback must be a boolean: got "yes"'],
  ],
  "an unknown option of a scope": [
    () => Scope.open({ name: "bad-input", ["replcae" as "replace"]: true }),
    TypeError,
    ['Unknown option "replcae"'],
  ],
  "an unknown option of a lookup, which would look elsewhere": [
    (netns) => Link.get("lo", { ["netsn" as "netns"]: netns }),
    TypeError,
    ['Unknown option "netsn": did you mean "netns"? Allowed are netns'],
  ],
  "an option of a route that the kernel only reports": [
    (netns) =>
      new NetNsRoutes(netns).add(
        { destination: "default", dev: "v-there", ["mark" as "metric"]: 5 },
      ),
    TypeError,
    ['Unknown option "mark"', "metric"],
  ],
  "a route under the kernel's name for the link": [
    (netns) => new NetNsRoutes(netns).add({ destination: "default", ["oif" as "dev"]: 5 }),
    TypeError,
    ['Unknown option "oif"', "dev"],
  ],
  "an unknown option of a nexthop": [
    (netns) =>
      new NetNsRoutes(netns).add({
        destination: "default",
        nexthops: [{ dev: "v-there" }, { ["wieght" as "weight"]: 5 }],
      }),
    TypeError,
    ['Unknown option "nexthops[1].wieght": did you mean "nexthops[1].weight"'],
  ],
  "a route that leads nowhere": [
    (netns) => new NetNsRoutes(netns).add({ destination: "10.0.0.0/8" }),
    TypeError,
    ['Route "10.0.0.0/8" needs gateway, dev, nexthops or nexthopId'],
  ],
  "a route with host bits": [
    (netns) => new NetNsRoutes(netns).add({ destination: "10.9.0.1/16", dev: "v-there" }),
    TypeError,
    ['did you mean "10.9.0.0/16"?'],
  ],
  "a gateway under the name it has in ip": [
    (netns) =>
      new NetNsRoutes(netns).add({ destination: "default", ["via" as "gateway"]: "10.0.0.1" }),
    TypeError,
    ["via", "gateway"],
  ],
  "an option of a neighbor that forwarding entries have": [
    (netns) =>
      new NetNsNeighbors(netns).add({
        dev: "v-there",
        address: "10.0.0.1",
        ["vlan" as "lladdr"]: "5",
      }),
    TypeError,
    ['Unknown option "vlan"', "lladdr"],
  ],
  "a flag of a neighbor that forwarding entries have": [
    (netns) =>
      new NetNsNeighbors(netns).add({
        dev: "v-there",
        address: "10.0.0.1",
        flags: ["sticky" as "router"],
      }),
    TypeError,
    ["flags[0] must be one of", '"sticky"'],
  ],
  "an attribute of an address that is no option": [
    (netns) =>
      Link.get("v-there", { netns }).addresses.add({
        address: "fd00::1/64",
        ["multicast" as "peer"]: "ff02::1",
      }),
    TypeError,
    ['Unknown option "multicast"'],
  ],
  "a flag of an address that only the kernel sets": [
    (netns) =>
      Link.get("v-there", { netns }).addresses.add({
        address: "fd00::1/64",
        flags: ["tentative" as "nodad"],
      }),
    TypeError,
    ["flags[0] must be one of", '"tentative"'],
  ],
  "a flag of an IPv4 address that IPv6 has": [
    (netns) =>
      Link.get("v-there", { netns }).addresses.add({ address: "10.0.0.1/8", flags: ["nodad"] }),
    TypeError,
    ['flags[0]: "nodad" is for IPv6 addresses'],
  ],
  "an unknown family": [
    (netns) => Link.get("v-there", { netns }).addresses.flush("ipv4" as "inet"),
    TypeError,
    ['family must be one of "inet", "inet6": got "ipv4"'],
  ],
  "an unknown family of routes": [
    (netns) => new NetNsRoutes(netns).list({ family: 2 as unknown as "inet" }),
    TypeError,
    ['family must be one of "inet", "inet6": got 2'],
  ],
  "an unknown family of neighbors": [
    (netns) => new NetNsNeighbors(netns).list({ family: "IPv4" as "inet" }),
    TypeError,
    ["family must be one of"],
  ],
  "an unknown option of a new address": [
    (netns) =>
      Link.get("v-there", { netns }).addresses.add({
        address: "10.0.0.1/8",
        ["pier" as "peer"]: "10.0.0.2",
      }),
    TypeError,
    ["pier", "peer"],
  ],
  "an unknown filter of the links": [
    (netns) => new NetNsLinks(netns).list({ ["mastr" as "master"]: 1 }),
    TypeError,
    ["mastr"],
  ],
  "an unknown filter of the addresses": [
    (netns) => new NetNsAddresses(netns).list({ ["index" as "dev"]: 1 }),
    TypeError,
    ["index"],
  ],
  "an unknown filter of the routes": [
    (netns) => new NetNsRoutes(netns).list({ ["oif" as "dev"]: 1 }),
    TypeError,
    ["oif"],
  ],
  "an unknown filter of the neighbors": [
    (netns) => new NetNsNeighbors(netns).list({ ["index" as "dev"]: 1 }),
    TypeError,
    ["index"],
  ],
  "an unknown option of a VLAN": [
    (netns) =>
      Bridge.get("br-there", { netns }).vlans.add({ vid: 10, ["untaged" as "untagged"]: true }),
    TypeError,
    ["untaged"],
  ],
  "an unknown bound of VLANs to delete": [
    (netns) => Bridge.get("br-there", { netns }).vlans.delete({ vid: 10, ["to" as "end"]: 12 }),
    TypeError,
    ['"to"'],
  ],
  "one address where a list belongs": [
    (netns) =>
      Bridge.create({ name: "br0", netns, addresses: "10.0.0.1/8" as unknown as string[] }),
    TypeError,
    ["addresses must be an array", '"10.0.0.1/8"'],
  ],
  "port options without a bridge": [
    (netns) => Veth.create({ name: "v1", netns, peer: { name: "v2", netns, port: { cost: 3 } } }),
    TypeError,
    ['port of link "v2" needs a master'],
  ],
  "a name that is taken, of a rename": [
    (netns) => Link.get("v-there", { netns }).rename("br-there"),
    NetlinkError,
    ['rename veth "v-there" to "br-there"', "EEXIST"],
  ],
  "an address that is not there": [
    (netns) => Link.get("v-there", { netns }).addresses.delete("10.0.0.1/8"),
    NetlinkError,
    ['delete address 10.0.0.1/8 from veth "v-there"', "EADDRNOTAVAIL"],
  ],
  "a setting that the kernel refuses without saying which": [
    (netns) => Link.get("v-there", { netns }).set({ mac: "01:00:5e:00:00:01" }),
    NetlinkError,
    ['set mac of veth "v-there"', "EADDRNOTAVAIL"],
  ],
  "an empty alternative name, which the kernel would take": [
    (netns) => Bridge.create({ name: "br0", netns, altNames: ["good", ""] }),
    TypeError,
    ["altNames", '""'],
  ],
  "a master whose index is no integer": [
    (netns) => Veth.create({ name: "v1", netns, master: 1.5, peer: { name: "v2", netns } }),
    TypeError,
    ["master", "1.5"],
  ],
  "an MTU the link cannot have": [
    (netns) => Veth.create({ name: "v1", netns, mtu: 70000, peer: { name: "v2", netns } }),
    NetlinkError,
    ["EINVAL"],
  ],
  "a kind the kernel does not know": [
    (netns) => Link.create({ kind: "nonesuch", name: "x0", netns }),
    Error,
    ["nonesuch"],
  ],
  "a master in another namespace": [
    (netns) => {
      using other = NetNs.create();
      const bridge = Bridge.create({ name: "br0", netns: other });
      return Veth.create({ name: "v1", netns, master: bridge, peer: { name: "v2", netns } });
    },
    TypeError,
    ["master"],
  ],
  "an unknown option of brctl": [
    (netns) => brctl.setpathcost("br-there", { netns, cost: 5, ["prot" as "port"]: "v-there" }),
    TypeError,
    ['Unknown option "prot"'],
  ],
  "a bridge that brctl cannot find": [
    (netns) => brctl.stp("nobody", true, { netns }),
    NetlinkError,
    ['"nobody"', "ENODEV"],
  ],
};

for (const [name, [attempt, type, names]] of Object.entries(ATTEMPTS)) {
  test(`Refused, with nothing left: ${name}`, () => {
    using ref = newNetNs("netns bad-input");
    const netns = { ref };
    Bridge.create({ name: "br-there", netns });
    Veth.create({ name: "v-there", netns, peer: { name: "v-peer", netns } });
    const before = machine(ref);
    let error: unknown;
    try {
      attempt(netns);
    } catch (thrown) {
      error = thrown;
    }
    assertInstanceOf(error, type);
    for (const part of names) assertStringIncludes((error as Error).message, part);
    assertEquals(machine(ref), before);
  });
}

test("Waiting refuses an unknown option, which would wait for ever", async () => {
  using netns = NetNs.create();
  const lo = Link.get("lo", { netns });
  const options = { ["timout" as "timeout"]: 1 };
  await assertRejects(() => lo.waitFor(() => false, options), TypeError, '"timout"');
  await using lab = Scope.open();
  await assertRejects(() => lab.ready(options), TypeError, '"timout"');
});

test("Without privileges the error names what to do, and nothing is left", async () => {
  const before = machine();
  const source = `import { Bridge, NetNs } from "./mod.ts";
    for (const make of [() => NetNs.create("denied"), () => NetNs.create(),
        () => Bridge.create({ name: "br0" })]) {
      try { make(); } catch (error) { console.log(error.name, error.message); }
    }`;
  const drop = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"];
  const { code, stdout, stderr } = await script(source, { through: drop, flags: ["-A"] });
  assertEquals([code, stderr], [0, ""]);
  for (const line of stdout.trim().split("\n")) {
    assertStringIncludes(line, "EPERM");
    assertStringIncludes(line, "unshare -Urmn");
  }
  assertEquals(stdout.trim().split("\n").length, 3);
  assertEquals(machine(), before);
});
