// Where the stacks of errors begin: V8 keeps ten frames, and the library may have more below the user's line.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { NetNs, trace, Tun, Veth } from "../../mod.ts";
import { Bridge, Link, Vlan } from "../../mod.ts";
import { test } from "../leaks.ts";
import { script } from "../script.ts";
import { caught } from "./oracle.ts";

const frames = (error: Error) => error.stack!.split("\n").filter((line) => /^ +at /.test(line));
const user = (line: string) => line.includes(import.meta.url);

/** A namespace with the bridge `br0`, which has an address. */
function place(): NetNs {
  const netns = NetNs.create();
  Bridge.create({ name: "br0", netns, up: true, addresses: ["10.0.0.1/24"] });
  return netns;
}

const CREATES: Record<string, (netns: NetNs) => unknown> = {
  "a name that is taken": (netns) => Bridge.create({ name: "br0", netns }),
  "a number out of range": (netns) => Bridge.create({ name: "b", netns, priority: 1e9 }),
  "an unknown option": (netns) => Bridge.create({ name: "b", netns, colour: 1 } as never),
  "a bad address": (netns) => Bridge.create({ name: "b", netns, addresses: ["10.0.0.1/33"] }),
  "an address twice": (netns) =>
    Bridge.create({ name: "b", netns, addresses: ["10.0.0.1/24", "10.0.0.1/24"] }),
  "a peer's name that is taken": (netns) =>
    Veth.create({ name: "v", netns, peer: { name: "br0", netns } }),
  "a kind that no kernel has": (netns) => Link.create({ kind: "nosuch", name: "x", netns }),
  "no kind": (netns) => Link.create({ name: "x", netns } as never),
  "a VLAN out of range": (netns) => Vlan.create({ name: "v1", netns, parent: "br0", id: 5000 }),
  "a TUN of a taken name": (netns) => Tun.create({ name: "br0", netns }),
  "a namespace that is gone": () => NetNs.open("nosuch"),
  "a namespace without a name": () => NetNs.create(""),
};

test("The first frame of an error of create() and open() is the user's line", () => {
  using netns = place();
  for (const [what, call] of Object.entries(CREATES)) {
    const error = caught(() => call(netns));
    const [first] = frames(error);
    assert(first !== undefined && user(first), `${what}: ${error.stack}`);
    assert(error.stack!.includes(error.message), `${what}: ${error.stack}`);
  }
});

const OTHERS: Record<string, (netns: NetNs) => unknown> = {
  "addresses.add()": (netns) => Link.get("br0", { netns }).addresses.add("10.0.0.1/24"),
  "addresses.add() of many": (netns) =>
    Link.get("br0", { netns }).addresses.add(["10.0.0.2/24", "10.0.0.1/24"]),
  "routes.add() of a bad prefix": (netns) => netns.routes.add({ destination: "10.9.0.1/16" }),
  "routes.add() without a way": (netns) =>
    netns.routes.add({ destination: "10.9.0.0/16", gateway: "10.77.0.2" }),
  "neighbors.add()": (netns) => netns.neighbors.add({ dev: "br0", address: "x", lladdr: "y" }),
  "Link.get()": (netns) => Link.get("nosuch", { netns }),
  "Link.set()": (netns) => Link.get("br0", { netns }).set({ mtu: 1e6 }),
  "Bridge.addPort()": (netns) => Bridge.get("br0", { netns }).addPort("lo"),
  "fdb.add()": (netns) =>
    Bridge.get("br0", { netns }).fdb.add({ mac: "02:00:00:00:00:01", port: "nosuch" }),
  "port.vlans.add()": (netns) => Bridge.get("br0", { netns }).port("nosuch").set({ cost: 1 }),
  "sysctl()": (netns) => netns.sysctl("net.ipv4.nosuch"),
  "links.list()": (netns) => netns.links.list({ nosuch: 1 } as never),
  "batch()": (netns) => netns.batch(({ add }) => add({} as never)),
};

test("The user's line is among the first frames of an error", () => {
  using netns = place();
  for (const [what, call] of Object.entries(OTHERS)) {
    const error = caught(() => call(netns));
    const at = frames(error).findIndex(user);
    assert(at >= 0 && at < 7, `${what}: ${error.stack}`);
  }
});

test("An error that a function of the user throws inside a call keeps its stack", () => {
  using netns = place();
  const fails = () => {
    throw new TypeError("mine");
  };
  using _trace = trace(fails);
  const error = caught(() => Bridge.create({ name: "b", netns }));
  assertEquals(error.message, "mine");
  assertMatch(frames(error)[0]!, /at fails /);
});

test("An uncaught error shows the user's line of code", async () => {
  const source = `import { Bridge, NetNs } from "./mod.ts";
const netns = NetNs.create();
Bridge.create({ name: "br0", netns, priority: 1e9 });`;
  const { stderr } = await script(source);
  assertMatch(
    stderr,
    /RangeError: priority must be in 0\.\.65535: got 1000000000\nBridge\.create\(\{ name: "br0", netns, priority: 1e9 \}\);\n +\^\n +at file:\S+\$deno\$stdin\.\w+:3:8\n$/,
  );
});
