import { assertEquals, assertThrows } from "@std/assert";
import { Bridge, NetlinkError, NetNs, Scope, trace, Veth } from "../../mod.ts";
import { OvsDatapath, type OvsPort } from "../../src/link/openvswitch.ts";
import { ip, type Json } from "../helpers.ts";
import { test } from "../leaks.ts";

const supported = OvsDatapath.supported();

/** A test for kernels with Open vSwitch. */
function ovsTest(name: string, fn: () => void | Promise<void>): void {
  test(name, { lacks: supported ? undefined : "this kernel has no openvswitch" }, fn);
}

/** Two namespaces, and one for the datapath between them. */
class Lab implements AsyncDisposable {
  readonly scope: Scope = Scope.open();
  readonly hub: NetNs = NetNs.create(undefined, { scope: this.scope });
  readonly hosts: readonly [NetNs, NetNs] = [this.#netns(), this.#netns()];
  readonly datapath: OvsDatapath = OvsDatapath.create({
    name: "dp0",
    netns: this.hub,
    scope: this.scope,
  });

  #netns(): NetNs {
    return NetNs.create(undefined, { scope: this.scope });
  }

  /** A cable from each host to the datapath. */
  cables(): [OvsPort, OvsPort] {
    const [a, b] = this.hosts.map((netns, i) => {
      const end = { name: "eth0", netns, up: true, addresses: [`10.9.0.${i + 1}/24`] };
      const peer = { name: `port${i}`, netns: this.hub, up: true };
      return this.datapath.addPort(Veth.create({ ...end, scope: this.scope, peer }).peer);
    });
    return [a!, b!];
  }

  /** An internal port in each host. */
  internal(): [OvsPort, OvsPort] {
    const [a, b] = this.hosts.map((netns, i) => {
      const port = this.datapath.addInternalPort(`eth${i}`);
      port.link.move(netns).up().addresses.add(`10.9.0.${i + 1}/24`);
      return port;
    });
    return [a!, b!];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.scope[Symbol.asyncDispose]();
  }
}

function kindOf(netns: NetNs, name: string): unknown {
  const [link] = ip(netns.ref, `-d -j link show dev ${name}`) as [Json];
  return (link.linkinfo as Json | undefined)?.info_kind;
}

for (const which of ["cables", "internal"] as const) {
  ovsTest(
    `OvsDatapath joins two namespaces by ${which}, once there are flows both ways`,
    async () => {
      await using lab = new Lab();
      const { datapath, hosts: [a] } = lab;
      const [first, second] = lab[which]();
      await lab.scope.ready();
      datapath.addFlow(first, second);
      assertEquals((await a.ping("10.9.0.2", { timeout: 300 })).received, 0);
      datapath.addFlow(second, first);
      assertEquals(
        (await a.ping("10.9.0.2", { count: 3, interval: 0, timeout: 5000 })).received,
        3,
      );
    },
  );
}

ovsTest(
  "OvsDatapath.create() makes what ip sees as an openvswitch link, and disposal removes it",
  () => {
    using netns = NetNs.create();
    {
      using datapath = OvsDatapath.create({ name: "dp0", netns });
      assertEquals(kindOf(netns, "dp0"), "openvswitch");
      assertEquals(ip(netns.ref, "-j link show dev dp0")[0]!.ifindex, datapath.index);
      const port = datapath.addInternalPort("inside");
      assertEquals([port.number, kindOf(netns, "inside")], [1, "openvswitch"]);
      datapath.deletePort("inside");
      assertThrows(() => ip(netns.ref, "link show dev inside"), Error, "does not exist");
    }
    assertThrows(() => ip(netns.ref, "link show dev dp0"), Error, "does not exist");
  },
);

ovsTest("Disposing a datapath that is gone is no error", () => {
  using netns = NetNs.create();
  const datapath = OvsDatapath.create({ name: "dp0", netns });
  datapath[Symbol.dispose]();
  datapath[Symbol.dispose]();
});

ovsTest("OvsDatapath says what it could not do, and where", async () => {
  await using lab = new Lab();
  const { datapath, hub } = lab;
  const [first, second] = lab.cables();
  datapath.addFlow(first, second);
  const master = Bridge.create({ name: "br0", netns: hub });
  Veth.create({ name: "in-bridge", netns: hub, master, peer: { name: "other", netns: hub } });
  const cases: [() => void, string][] = [
    [() => OvsDatapath.create({ name: "dp0", netns: hub }), "EEXIST"],
    [() => datapath.addFlow(first, second), "EEXIST"],
    [() => datapath.addPort("port0"), "EEXIST"],
    [() => datapath.addPort("lo"), "EINVAL"],
    [() => datapath.addPort("in-bridge"), "EBUSY"],
    [() => datapath.addInternalPort("port0"), "EEXIST"],
    [() => datapath.deletePort("none"), "ENODEV"],
  ];
  for (const [fn, code] of cases) assertEquals(assertThrows(fn, NetlinkError).code, code);
});

ovsTest("A trace of Open vSwitch has ovs-dpctl's lines, run in the namespace", () => {
  using netns = NetNs.create("netloom-ovs");
  const lines: string[] = [];
  {
    using _trace = trace(({ command }) => lines.push(command));
    using _datapath = OvsDatapath.create({ name: "dp0", netns });
  }
  assertEquals(
    lines.filter((line) => line.includes("-dp ")),
    ["add-dp", "del-dp"].map((it) => `ip netns exec netloom-ovs ovs-dpctl ${it} dp0`),
  );
});

Deno.test("OvsDatapath.create() refuses malformed options", () => {
  assertThrows(() => OvsDatapath.create({ name: "a/b" }), TypeError, "name");
  assertThrows(() => OvsDatapath.create({ name: "dp0", nets: 1 } as never), TypeError, "nets");
});

test(
  "Without Open vSwitch, OvsDatapath.create() says what brings it",
  { lacks: supported ? "for kernels without it" : undefined },
  () => {
    using netns = NetNs.create();
    assertThrows(
      () => OvsDatapath.create({ name: "dp0", netns }),
      NetlinkError,
      "CONFIG_OPENVSWITCH, module openvswitch, brings it",
    );
  },
);
