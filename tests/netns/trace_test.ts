// Command lines of traces: named, complete, and accepted by iproute2.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Bridge, NetNs, trace, Veth } from "../../mod.ts";
import { ip, run } from "../helpers.ts";
import { test } from "../leaks.ts";

/** Creates a small network in two named namespaces. */
function build(): NetNs[] {
  const hub = NetNs.create("trace-hub");
  const host = NetNs.create("trace-host");
  const bridge = Bridge.create({ name: "br0", netns: hub, mac: "02:00:00:00:00:01", up: true });
  Veth.create({
    name: "eth0",
    netns: host,
    mac: "02:00:00:00:00:02",
    addresses: ["192.0.2.1/24"],
    up: true,
    peer: { name: "port0", master: bridge, mac: "02:00:00:00:00:03", up: true },
  });
  host.routes.add({ destination: "198.51.100.0/24", gateway: "192.0.2.9" });
  return [hub, host];
}

function shown({ ref }: NetNs): unknown[] {
  const links = ip(ref, "-j address").map(({ ifname, address, addr_info }) => ({
    ifname,
    address,
    // Link-local addresses come from the MAC, later.
    addresses: (addr_info as { family: string; local: string }[])
      .filter(({ family }) => family === "inet").map(({ local }) => local),
  }));
  return [...links, ...ip(ref, "-j route").map(({ dst, gateway }) => ({ dst, gateway }))];
}

test("The changes of a trace are lines that iproute2 runs, to the same effect", () => {
  const lines: string[] = [];
  let expected: unknown[];
  {
    using _trace = trace(({ command }) => lines.push(command), { changes: true });
    const all = build();
    expected = all.map(shown);
    for (const netns of all) netns[Symbol.dispose]();
    for (const name of ["trace-hub", "trace-host"]) if (NetNs.exists(name)) NetNs.delete(name);
  }
  assert(lines.every((line) => !line.includes("/proc/")), lines.join("\n"));
  assertEquals(lines.filter((line) => line.startsWith("ip netns")), [
    "ip netns add trace-hub",
    "ip netns add trace-host",
    "ip netns delete trace-hub",
    "ip netns delete trace-host",
  ]);
  using home = NetNs.create();
  // An index in a line is that of the link then: both times links come in the same order.
  for (const line of lines.filter((line) => !line.includes("netns delete"))) run(home.ref, line);
  const again = ["trace-hub", "trace-host"].map((name) => NetNs.open(name));
  assertEquals(again.map(shown), expected);
  for (const name of ["trace-hub", "trace-host"]) NetNs.delete(name);
  for (const netns of again) netns[Symbol.dispose]();
});

test("trace() refuses unknown options", () => {
  assertThrows(
    () => trace(() => {}, { change: true } as never),
    TypeError,
    'did you mean "changes"?',
  );
});
