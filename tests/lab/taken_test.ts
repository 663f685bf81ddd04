// Links of the machine in nodes: home again with addresses and routes at down(), after a failure, and by the
// command after a kill -9. The test's own namespace stands for the machine, veth pairs for its cards.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { NetNs, type NetNsRef, Veth } from "../../mod.ts";
import { currentNetNs } from "../../ffi/namespace.ts";
import { down, LabError, list, plan, type TopologySpec, up } from "../../src/lab/mod.ts";
import { ip } from "../helpers.ts";
import { test } from "../leaks.ts";
import { faulty, killedAt, stepsUpTo } from "./steps.ts";

/** A card `nic0` of the machine, with a host behind it. */
function card() {
  const host = NetNs.create();
  const veth = Veth.create({
    name: "nic0",
    up: true,
    mtu: 1400,
    addresses: ["192.0.2.1/24", "2001:db8:7::1/64"],
    nodad: true,
    peer: {
      name: "eth0",
      netns: host,
      up: true,
      mtu: 1400,
      addresses: ["192.0.2.2/24", "192.0.2.3/24"],
    },
  });
  using here = NetNs.current();
  here.routes.add({ destination: "198.51.100.0/24", gateway: "192.0.2.2", metric: 7 });
  return {
    host,
    [Symbol.dispose]: () => {
      veth[Symbol.dispose]();
      host[Symbol.dispose]();
    },
  };
}

/** What the machine has: links with addresses, and routes. */
function state(): string {
  const ref: NetNsRef = currentNetNs();
  const links = ip(ref, "-j address").filter(({ ifname }) => ifname !== "lo").map((link) => {
    const { ifindex, ifname, address, mtu, flags, addr_info } = link;
    const addresses = (addr_info as { local: string; scope: string }[]).filter(({ scope }) =>
      scope !== "link"
    ).map(({ local }) => local);
    return [ifindex, ifname, address, mtu, (flags as string[]).includes("UP"), addresses];
  });
  const routes = [...ip(ref, "-j route"), ...ip(ref, "-6 -j route")]
    .filter(({ dst }) => dst !== "fe80::/64").map(({ dst, gateway, dev, metric, protocol }) =>
      [dst, gateway, dev, metric, protocol].join(" ")
    );
  return JSON.stringify([links, routes.sort(), NetNs.list(), list()]);
}

const spec: TopologySpec<"h" | "o"> = {
  nodes: {
    h: {
      interfaces: { wan: { kind: "physical", from: "nic0", addresses: ["192.0.2.7/24"] } },
    },
    o: {},
  },
  links: ["h -- o"],
};

async function start(spec: TopologySpec<"h" | "o">): Promise<void> {
  await using lab = await up(spec, { name: "taken" });
  lab.persist();
}

test("A link of the machine carries traffic in its node, and comes home at down()", async () => {
  using _card = card();
  const before = state();
  assertEquals(plan(spec, { name: "taken" }).touches, ["@machine:nic0"]);
  const line = plan(spec, { name: "taken" }).steps.find(({ command }) => command.includes("nic0"));
  assert(line!.command.startsWith("ip link set dev nic0 "), line!.command);
  assert(line!.command.includes("netns taken.h"), line!.command);
  await start(spec);
  assert(state() !== before);
  {
    using h = NetNs.open("taken.h");
    assertEquals((await h.ping("192.0.2.2", { timeout: 5000 })).received, 1);
  }
  assertEquals(plan(spec, { name: "taken" }).steps, []);
  await down("taken");
  assertEquals(state(), before);
});

test("A link of the machine comes home when the file gives it back", async () => {
  using _card = card();
  const before = state();
  await start(spec);
  await start({ nodes: { h: {}, o: {} }, links: ["h -- o"] });
  await down("taken");
  assertEquals(state(), before);
  await start(spec);
  await start({ nodes: { o: {} } as TopologySpec<"h" | "o">["nodes"], links: [] });
  await down("taken");
  assertEquals(state(), before);
});

test("A lab without a name takes no link of the machine, and an unknown one is named", async () => {
  using _card = card();
  await assertRejects(() => up(spec), LabError, "only into a lab with a name");
  const wrong: TopologySpec<"h"> = {
    nodes: { h: { interfaces: { wan: { kind: "physical", from: "nic1" } } } },
    links: [],
  };
  assertThrows(() => plan(wrong), TypeError, 'no link "nic1"; did you mean "nic0"?');
});

test("A refused message at any step brings the link of the machine home", async () => {
  using _card = card();
  const before = state();
  let messages: number;
  {
    using hook = faulty(0);
    await start(spec);
    messages = hook.count;
  }
  await down("taken");
  for (const n of stepsUpTo(messages)) {
    try {
      using _hook = faulty(n);
      await start(spec);
    } catch {
      // Rolled back, also where going back was refused, by the next command.
    }
    await down("taken");
    assertEquals(state(), before, `message ${n} of ${messages}`);
  }
});

test("After a kill -9 at any send, the next command brings the link of the machine home", async () => {
  using _card = card();
  const before = state();
  let killed = 0;
  for (const job of ["up", "down"] as const) {
    for (let n = 1;; n++) {
      if (job === "down") await start(spec);
      if (!await killedAt(n, { name: "taken", ...(job === "up" && { up: spec }) })) break;
      killed++;
      if (n % 2) await start(spec);
      await down("taken");
      assertEquals(state(), before, `send ${n} of ${job}`);
    }
    await down("taken");
  }
  assert(killed >= 4, `${killed}`);
});
