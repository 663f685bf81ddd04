// NAT to the outside, with a namespace that stands for the machine.
import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { NetNs, UnsupportedError, Veth } from "../../mod.ts";
import { plan, type TopologySpec, up } from "../../src/lab/mod.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";

/** A namespace for the machine with a way to a host, which has no route back into the lab. */
function machine(options: { readonly defaultRoute: boolean }) {
  const outside = NetNs.create();
  const host = NetNs.create();
  Veth.create({
    name: "wan0",
    netns: outside,
    up: true,
    addresses: ["203.0.113.1/24", "2001:db8::1/64"],
    nodad: true,
    peer: {
      name: "eth0",
      netns: host,
      up: true,
      addresses: ["203.0.113.2/24", "2001:db8::2/64"],
      nodad: true,
    },
  });
  if (options.defaultRoute) {
    Veth.create({
      name: "other",
      netns: outside,
      up: true,
      addresses: ["192.0.2.1/24"],
      peer: { name: "other", netns: host, up: true },
    });
    outside.routes.add({ destination: "default", gateway: "203.0.113.2" });
    outside.routes.add({ destination: "::/0", gateway: "2001:db8::2" });
  }
  const path = `/proc/self/fd/${outside.ref.fd.value}`;
  return {
    outside,
    path,
    [Symbol.dispose]: () => {
      outside[Symbol.dispose]();
      host[Symbol.dispose]();
    },
  };
}

const spec = (path: string): TopologySpec<"h" | "out"> => ({
  addressing: { ipv4: "10.0.0.0/8", ipv6: "fd00::/48" },
  nodes: { h: {}, out: { kind: "nat", outside: { path } } },
  links: ["h -- out"],
});

/** Everything that a NAT may change outside. */
function state({ outside }: { readonly outside: NetNs }): string {
  const { ref } = outside;
  const settings = ["wan0", "all", "default"].flatMap((link) => [
    outside.sysctl(`net.ipv4.conf.${link}.forwarding`),
    outside.sysctl(`net.ipv6.conf.${link}.forwarding`),
  ]);
  const routes = outside.routes.list().filter(({ protocol }) => protocol !== "kernel").map((
    { destination, oif },
  ) => `${destination} ${oif}`);
  const links = outside.links.list().map(({ name }) => name);
  return JSON.stringify([settings, routes.sort(), links, run(ref, "nft list ruleset")]);
}

for (const name of [undefined, "natted"]) {
  const whose = name === undefined ? "without a name" : "with a name";
  test(`A lab ${whose} reaches the outside through its NAT, and leaves it as it was`, async () => {
    using there = machine({ defaultRoute: false });
    const before = state(there);
    {
      await using lab = await up(spec(there.path), name === undefined ? {} : { name });
      for (const address of ["203.0.113.2", "2001:db8::2"]) {
        const { received } = await lab.node("h").netns.ping(address, { timeout: 5000 });
        assertEquals(received, 1, address);
      }
      assertStringIncludes(
        run(there.outside.ref, "nft list tables"),
        `table ip netloom_${name ?? "lab"}`,
      );
      if (name !== undefined) assertEquals(plan(spec(there.path), { name }).steps, []);
    }
    assertEquals(state(there), before);
  });
}

test("The plan of a NAT has its table and the interfaces of others that forward for it", () => {
  using there = machine({ defaultRoute: true });
  const { steps, touches } = plan(spec(there.path));
  const node = touches[0]!;
  assertEquals(touches, [node, `${node}:wan0`], "wan0 has the default routes");
  const inside = `nsenter --net=${there.path} `;
  const commands = steps.filter((step) => step.node === node).map(({ command }) => command);
  assertEquals(commands.filter((it) => it.includes(" nft ")).length, 1);
  assertEquals(commands.filter((it) => it.includes("netloom_lab {")).length, 1);
  assertEquals(
    commands.filter((it) => it.startsWith(`${inside}sysctl -w 'net.ipv4.conf.wan0.forwarding=1'`))
      .length,
    1,
  );
  assertEquals(commands.filter((it) => it.includes("route")), [], "the outside needs no route");
});

test("Two labs of one file have tables of their own outside", async () => {
  using there = machine({ defaultRoute: false });
  const before = state(there);
  const apart = (n: number) => ({ ...spec(there.path), addressing: { ipv4: `10.${n}.0.0/16` } });
  const reaches = async (lab: { node(name: "h"): { netns: NetNs } }) =>
    (await lab.node("h").netns.ping("203.0.113.2", { timeout: 5000 })).received;
  {
    await using one = await up(apart(1), { name: "one" });
    {
      await using two = await up(apart(2), { name: "two" });
      assertEquals([await reaches(one), await reaches(two)], [1, 1]);
    }
    const tables = run(there.outside.ref, "nft list tables");
    assertEquals([tables.includes("netloom_one"), tables.includes("netloom_two")], [true, false]);
    assertEquals(await reaches(one), 1);
  }
  assertEquals(state(there), before);
});

test("A NAT without a way to the outside names pasta, and nothing is created", async () => {
  const inside: TopologySpec<"h" | "out"> = {
    nodes: { h: {}, out: { kind: "nat" } },
    links: ["h -- out"],
  };
  assertThrows(() => plan(inside), UnsupportedError, "pasta --config-net");
  await assertRejects(() => up(inside, { name: "nowhere" }), UnsupportedError, "no route");
  assertEquals(NetNs.list().filter((it) => it.startsWith("nowhere.")), []);
});
