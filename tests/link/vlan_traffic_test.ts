import { assert, assertEquals } from "@std/assert";
import { Bridge, Macvtap, NetNs, Scope, Veth, Vlan, type VlanOptions } from "../../mod.ts";
import { kernelTest } from "./oracle.ts";
import { assertNoAnswer, assertReaches, Rig } from "./rig.ts";
import { deviceTest, Tap } from "./tap.ts";
import { type Frame, frame, Wire } from "./wire.ts";

const PROTOCOLS = { "802.1Q": 0x8100, "802.1ad": 0x88a8 } as const;
const OTHER = "02:00:00:00:00:01";
/** Where switches hear registrations. */
const GVRP = "01:80:c2:00:00:21";

/** A cable whose far end is a device: what it reads has the tags as they are on a wire. */
class Cable implements AsyncDisposable {
  readonly scope: Scope = Scope.open();
  readonly netns: NetNs;
  readonly parent: Veth;
  readonly tap: Tap;

  constructor() {
    const { scope } = this;
    [this.netns] = [this.#quiet()];
    const far = this.#quiet();
    this.parent = Veth.create({
      scope,
      name: "eth0",
      netns: this.netns,
      up: true,
      peer: { name: "eth1", netns: far, up: true },
    });
    const link = Macvtap.create({
      scope,
      name: "tap0",
      netns: far,
      parent: this.parent.peer,
      mode: "passthru",
      up: true,
    });
    this.tap = new Tap(far, link);
  }

  /** A VLAN on the near end. */
  vlan(name: string, options: VlanOptions, parent: Veth | Vlan = this.parent): Vlan {
    const { scope, netns } = this;
    return Vlan.create({ scope, name, netns, parent, up: true, ...options });
  }

  /** A namespace without IPv6, so that nobody speaks unasked. */
  #quiet(): NetNs {
    const netns = NetNs.create(undefined, { scope: this.scope });
    netns.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
    return netns;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.tap[Symbol.dispose]();
    await this.scope[Symbol.asyncDispose]();
  }
}

/** The tags of a frame, from the outside in: protocol, priority, VLAN. */
function tagsOf({ type, payload }: Frame): [protocol: number, priority: number, id: number][] {
  const tags: [number, number, number][] = [];
  let [protocol, at] = [type, 0];
  while (protocol === PROTOCOLS["802.1Q"] || protocol === PROTOCOLS["802.1ad"]) {
    const [high, low] = [payload[at]!, payload[at + 1]!];
    tags.push([protocol, high >> 5, (high & 15) << 8 | low]);
    protocol = payload[at + 2]! << 8 | payload[at + 3]!;
    at += 4;
  }
  return tags;
}

/** A tagged frame. */
function tagged(to: string, priority: number, id: number, text: string): Uint8Array<ArrayBuffer> {
  const head = [priority << 5 | id >> 8, id & 0xff, 0x88, 0xb5];
  const payload = Uint8Array.from([...head, ...new TextEncoder().encode(text)]);
  return frame(to, OTHER, payload, PROTOCOLS["802.1Q"]);
}

kernelTest("vlan", "vlan: those of one VLAN talk, others do not", async () => {
  await using rig = new Rig();
  const { scope, hub, parent } = rig;
  const far = rig.neighbor("10.9.0.11");
  const ends = [[hub, parent, "10.5.0.1"], [far.netns, far.link, "10.5.0.2"]] as const;
  for (const [netns, parent, address] of ends) {
    Vlan.create({
      scope,
      name: "v5",
      netns,
      parent,
      id: 5,
      up: true,
      addresses: [`${address}/24`],
    });
  }
  await assertReaches(hub, "10.5.0.2");
  const [, other] = ends.map(([netns]) => Vlan.get("v5", { netns }));
  other!.delete();
  const moved = { scope, name: "v5", netns: far.netns, parent: far.link, up: true } as const;
  Vlan.create({ ...moved, id: 6, addresses: ["10.5.0.2/24"] });
  await assertNoAnswer(hub, "10.5.0.2");
});

for (const protocol of ["802.1Q", "802.1ad"] as const) {
  for (const [id, priority] of [[5, 0], [4094, 7]] as const) {
    deviceTest(
      "vlan",
      `vlan: a tag of ${protocol}, id ${id}, priority ${priority} is on the wire`,
      async () => {
        await using cable = new Cable();
        const vlan = cable.vlan("v0", { id, protocol, egressQosMap: { 0: priority } });
        using wire = new Wire(cable.netns, vlan);
        wire.send(frame(OTHER, vlan.read().mac!, "hello"));
        const got = await cable.tap.until(({ to }) => to === OTHER);
        assertEquals(tagsOf(got), [[PROTOCOLS[protocol], priority, id]]);
      },
    );
  }
}

deviceTest("vlan", "vlan: a VLAN over one of 802.1ad is QinQ", async () => {
  await using cable = new Cable();
  const outer = cable.vlan("outer", { id: 100, protocol: "802.1ad" });
  const inner = cable.vlan("inner", { id: 7 }, outer);
  using wire = new Wire(cable.netns, inner);
  wire.send(frame(OTHER, inner.read().mac!, "hello"));
  const got = await cable.tap.until(({ to }) => to === OTHER);
  assertEquals(tagsOf(got), [[0x88a8, 0, 100], [0x8100, 0, 7]]);
});

deviceTest("vlan", "vlan: maps take a priority from one tag to another", async () => {
  await using cable = new Cable();
  const { scope, netns, tap } = cable;
  const bridge = Bridge.create({ scope, name: "br0", netns, up: true });
  const mapped = cable.vlan("v5", { id: 5, ingressQosMap: { 3: 70000 } });
  const mapping = cable.vlan("v6", { id: 6, egressQosMap: { 70000: 6 } });
  for (const link of [mapped, mapping]) link.set({ master: bridge });
  for (const [priority, expected] of [[3, 6], [2, 0]] as const) {
    tap.frames.length = 0;
    tap.send(tagged("02:00:00:00:00:02", priority, 5, "through"));
    const got = await tap.until((it) => tagsOf(it)[0]?.[2] === 6);
    assertEquals(tagsOf(got), [[0x8100, expected, 6]]);
  }
});

deviceTest("vlan", "vlan: without reorderHdr packets keep the tag", async () => {
  await using cable = new Cable();
  const vlan = cable.vlan("v5", { id: 5 });
  const mac = vlan.read().mac!;
  for (const reorderHdr of [true, false]) {
    vlan.set({ reorderHdr });
    using wire = new Wire(cable.netns, vlan, true);
    cable.tap.send(tagged(mac, 0, 5, "hello"));
    const got = await wire.until(({ from }) => from === OTHER);
    assertEquals(got.type, reorderHdr ? 0x88b5 : 0x8100);
  }
});

for (const [option, protocol] of [["gvrp", undefined], ["mvrp", 0x88f5]] as const) {
  kernelTest("vlan", `vlan: ${option} registers the VLAN with the switch`, async () => {
    await using rig = new Rig();
    const { scope, hub: netns, parent } = rig;
    using wire = new Wire(rig.outside, rig.port, true);
    Vlan.create({ scope, name: "v5", netns, parent, id: 5, up: true, [option]: true });
    const { type, payload } = await wire.until(({ to }) => to === GVRP);
    // GVRP has a length where MVRP has its type.
    if (protocol === undefined) assert(type < 1500);
    else assertEquals(type, protocol);
    assert(payload.some((byte, i) => byte === 0 && payload[i + 1] === 5));
  });
}

kernelTest("vlan", "vlan: looseBinding keeps it up when the parent goes down", async () => {
  await using rig = new Rig();
  const { scope, hub: netns, parent } = rig;
  const [tight, loose] = [false, true].map((looseBinding, i) =>
    Vlan.create({ scope, name: `v${i}`, netns, parent, id: 5 + i, looseBinding, up: true })
  );
  parent.down();
  const up = [tight, loose].map((link) => link!.read().up);
  assertEquals(up, [false, true]);
});

kernelTest("vlan", "vlan: bridgeBinding has it follow the ports in the VLAN", async () => {
  await using rig = new Rig();
  const { scope, outside: netns, bridge: parent, port } = rig;
  parent.set({ vlanFiltering: true });
  const [free, bound] = [false, true].map((bridgeBinding, i) =>
    Vlan.create({ scope, name: `v${i}`, netns, parent, id: 5 + i, bridgeBinding, up: true })
  );
  assertEquals([free, bound].map((link) => link!.read().carrier), [true, false]);
  port.vlans.add({ vid: 6 });
  await bound!.waitFor(({ carrier }) => carrier === true, { timeout: 20_000 });
});
