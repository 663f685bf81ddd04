import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DeviceClosedError, forward, Macvtap, NetlinkError, NetNs, Tap } from "../../mod.ts";
import { queued, soFar, textIn, texts } from "../device/lab.ts";
import { run } from "../helpers.ts";
import { Rig, silent } from "./rig.ts";
import { deviceTest } from "./tap.ts";
import { frame, textOf, Wire } from "./wire.ts";

const OTHER = "02:00:00:00:00:01";

deviceTest(
  "macvtap",
  "openDevice() carries a frame each way, also for a link that was renamed",
  async () => {
    await using rig = new Rig();
    const { scope, hosts: [netns], parent } = rig;
    const link = Macvtap.create({ scope, name: "tap0", netns, parent, mode: "bridge", up: true });
    using outside = new Wire(rig.outside, rig.port);
    const mac = link.read().mac!;
    for (const name of ["tap0", "renamed", "by-ip"]) {
      // Before Linux 6.2 only links that are down are renamed.
      link.down();
      if (name === "renamed") link.rename(name);
      if (name === "by-ip") run(netns.ref, "ip link set dev renamed name by-ip");
      link.up();
      using device = link.openDevice();
      assertEquals([device.vnetHdr, device.headerLength, device.offloads], [false, 0, []]);
      const buffer = new Uint8Array(2048);
      const reading = device.read(buffer);
      assertEquals(await soFar(reading), undefined);
      outside.send(frame(mac, OTHER, `to ${name}`));
      assertEquals(textIn(buffer.subarray(0, await reading)), `to ${name}`);
      await device.write(frame(OTHER, mac, `from ${name}`));
      const answer = await outside.until((it) => textOf(it) === `from ${name}`);
      assertEquals([answer.to, answer.from], [OTHER, mac]);
    }
  },
);

deviceTest(
  "macvtap",
  "Links of one index in several namespaces have devices of their own",
  async () => {
    // Of one rig they have different ones on Linux 6.1 and 6.12: each is made beside its parent first.
    await using rig = new Rig();
    await using other = new Rig();
    const links = [rig, other].map(({ scope, hosts: [netns], parent }) =>
      Macvtap.create({ scope, name: "tap0", netns, parent, mode: "bridge", up: true })
    );
    assertEquals(links[0]!.index, links[1]!.index);
    using first = links[0]!.openDevice();
    using second = links[1]!.openDevice();
    const buffer = new Uint8Array(2048);
    for (const [at, { outside, port }] of [rig, other].entries()) {
      const [own, others] = at === 0 ? [first, second] : [second, first];
      const mac = links[at]!.read().mac!;
      using wire = new Wire(outside, port);
      await own.write(frame(OTHER, mac, "from the link"));
      await wire.until((it) => textOf(it) === "from the link");
      wire.send(frame(mac, OTHER, "to the link"));
      assertEquals(textIn(buffer.subarray(0, await own.read(buffer))), "to the link");
      assertEquals(queued(others), []);
    }
  },
);

deviceTest(
  "macvtap",
  "Opened again it gives a further queue, and both have all frames between them",
  async () => {
    await using rig = new Rig();
    const { scope, hosts: [netns], parent } = rig;
    const link = Macvtap.create({
      ...{ scope, name: "tap0", netns, parent, mode: "bridge", up: true },
      numRxQueues: 2,
      numTxQueues: 2,
    });
    using first = link.openDevice();
    using second = link.openDevice({ sendBuffer: 100_000 });
    assertEquals(second.sendBuffer, 100_000);
    using outside = new Wire(rig.outside, rig.port);
    const mac = link.read().mac!;
    const all = texts(60);
    // The senders tell flows apart.
    for (const [i, text] of all.entries()) {
      outside.send(frame(mac, `02:00:00:00:01:${i.toString(16).padStart(2, "0")}`, text));
    }
    const got: string[] = [];
    while (got.length < all.length) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      got.push(...queued(first), ...queued(second));
    }
    assertEquals(got.toSorted(), all.toSorted());
    second.close();
    outside.send(frame(mac, OTHER, "to the one left"));
    const buffer = new Uint8Array(2048);
    assertEquals(textIn(buffer.subarray(0, await first.read(buffer))), "to the one left");
  },
);

deviceTest(
  "macvtap",
  "A device with offloads has the virtio-net header, and takes it",
  async () => {
    await using rig = new Rig();
    const { scope, hosts: [netns], parent } = rig;
    const link = Macvtap.create({ scope, name: "tap0", netns, parent, mode: "bridge", up: true });
    using device = link.openDevice({ offloads: true });
    assertEquals([device.vnetHdr, device.headerLength], [true, 10]);
    assertEquals(device.offloads.includes("checksum"), true);
    const { tap, vnetHdr } = device.features();
    assertEquals({ tap, vnetHdr }, { tap: true, vnetHdr: true });
    using outside = new Wire(rig.outside, rig.port);
    const mac = link.read().mac!;
    outside.send(frame(mac, OTHER, "hello"));
    const buffer = new Uint8Array(2048);
    const n = await device.read(buffer);
    assertEquals([buffer[0], textIn(buffer.subarray(10, n))], [0, "hello"]);
    const answer = new Uint8Array(70);
    answer.set(frame(OTHER, mac, "answer"), 10);
    await device.write(answer);
    await outside.until((it) => textOf(it) === "answer");
  },
);

deviceTest("macvtap", "A program between a macvtap and a TAP joins their networks", async () => {
  await using rig = new Rig();
  const { scope, hosts: [netns], parent } = rig;
  const link = Macvtap.create({ scope, name: "tap0", netns, parent, mode: "passthru", up: true });
  using device = link.openDevice();
  using guest = silent(NetNs.create());
  using tap = Tap.create({ name: "t0", netns: guest, up: true, addresses: ["10.9.0.77/24"] });
  const forwarding = Promise.all([forward(device, tap), forward(tap, device)]);
  const { received } = await guest.ping("10.9.0.254", { count: 3, interval: 1, timeout: 5000 });
  assertEquals(received, 3);
  device.close();
  tap.close();
  await forwarding;
});

deviceTest(
  "macvtap",
  "openDevice() refuses bad options by name, and says that the link is gone",
  async () => {
    await using rig = new Rig();
    const { scope, hosts: [netns], parent } = rig;
    const link = Macvtap.create({ scope, name: "tap0", netns, parent, mode: "bridge" });
    const open = (options: object) => () => link.openDevice(options as never);
    assertThrows(open({ packetInfo: true }), TypeError, 'Unknown option "packetInfo"');
    assertThrows(
      open({ vnetHdr: 1 }),
      TypeError,
      "vnetHdr must be a boolean: got 1",
    );
    assertThrows(open({ sendBuffer: 0 }), RangeError, "sendBuffer must be in");
    assertThrows(open({ offloads: ["tso5"] }), TypeError, 'offloads has "tso5"');
    assertThrows(open({ offloads: true, vnetHdr: false }), TypeError, "need vnetHdr");
    {
      using device = link.openDevice();
      link.up();
      const reading = device.read(new Uint8Array(2048));
      assertEquals(await soFar(reading), undefined);
      link.delete();
      // The kernel wakes nobody: closing does.
      device.close();
      await assertRejects(() => reading, DeviceClosedError);
    }
    assertEquals(assertThrows(() => link.openDevice(), NetlinkError).code, "ENODEV");
  },
);
