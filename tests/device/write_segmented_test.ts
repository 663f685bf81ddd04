import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  DeviceClosedError,
  NetNs,
  PacketBatch,
  SyscallError,
  Tun,
  type TunQueue,
  UdpSocket,
  writeSegmented,
} from "../../mod.ts";
import { VIRTIO_NET_HDR_GSO, VirtioNetHeader } from "../../src/packet/mod.ts";
import { test } from "../leaks.ts";
import { silent } from "../link/rig.ts";
import { type Flow, gsoPacketOf, packetOf, payloadOf, type Position } from "../packet/flows.ts";

const SIZE = 1000;
const soon = () => AbortSignal.timeout(10_000);

/** From 10.0.0.1 port 1001 to 10.0.1.1 port 2000. */
const UDP: Flow = {
  version: 4,
  protocol: "udp",
  number: 1,
  ttl: 64,
  trafficClass: 0,
  dontFragment: true,
  acknowledgment: 0,
  window: 0,
  options: [],
  framed: false,
};
const START: Position = { sequence: 0, identification: 0, flags: 0 };

/** A namespace that has 10.0.1.1 behind a TUN, and a socket there that keeps what comes. */
class Rig implements Disposable {
  readonly netns = silent(NetNs.create());
  readonly tun = Tun.create({
    name: "t0",
    netns: this.netns,
    up: true,
    offloads: true,
    addresses: ["10.0.1.1/16"],
  });
  readonly #socket = UdpSocket.open({
    netns: this.netns,
    local: { address: "10.0.1.1", port: 2000 },
    receiveBuffer: 1 << 24,
  });

  /** Sizes of the next `count` datagrams. */
  async received(count: number): Promise<number[]> {
    const sizes: number[] = [];
    const buffer = new Uint8Array(65_600);
    while (sizes.length < count) sizes.push(await this.#socket.read(buffer, { signal: soon() }));
    assertEquals(this.#socket.tryRead(buffer), -1);
    return sizes;
  }

  [Symbol.dispose](): void {
    this.#socket.close();
    this.tun.close();
    this.netns[Symbol.dispose]();
  }
}

/** A GSO packet that any kernel refuses: its headers, it says, are longer than it is. */
function unwelcome(length: number): Uint8Array<ArrayBuffer> {
  const packet = gsoPacketOf(UDP, START, payloadOf(length), SIZE);
  VirtioNetHeader.parse(packet)!.headerLength = 60_000;
  return packet;
}

/** A packet that is nothing special. */
function plain(length: number): Uint8Array {
  return new Uint8Array([...new Uint8Array(10), ...packetOf(UDP, START, payloadOf(length))]);
}

function batchOf(...packets: Uint8Array[]): PacketBatch {
  const batch = new PacketBatch();
  for (const packet of packets) assert(batch.add(packet));
  return batch;
}

test("writeSegmented() writes the segments of what the kernel refuses, and the rest as it is", async () => {
  using rig = new Rig();
  const batch = batchOf(plain(10), unwelcome(2500), plain(20));
  const error = await assertRejects(() => rig.tun.writeBatch(batch), SyscallError);
  assertEquals(error.code, "EINVAL");
  assertEquals(await rig.received(2), [10, 20]);
  await writeSegmented(rig.tun, batch);
  assertEquals(await rig.received(5), [10, 20, 1000, 1000, 500]);
});

test("writeSegmented() keeps the order of packets once it knows what the kernel refuses", async () => {
  using rig = new Rig();
  await writeSegmented(rig.tun, batchOf(unwelcome(1001)));
  assertEquals(await rig.received(2), [1000, 1]);
  await writeSegmented(rig.tun, batchOf(plain(10), unwelcome(2500), plain(20), unwelcome(1500)));
  assertEquals(await rig.received(7), [10, 1000, 1000, 500, 20, 1000, 500]);
});

test("writeSegmented() writes more segments than its memory holds at once", async () => {
  using rig = new Rig();
  // 64 slots: 60 segments each.
  await writeSegmented(rig.tun, batchOf(unwelcome(60_000), unwelcome(60_000), unwelcome(60_000)));
  assertEquals(await rig.received(180), Array(180).fill(SIZE));
});

test("writeSegmented() leaves GSO packets whole that the kernel takes", async () => {
  using rig = new Rig();
  const { UDP_L4 } = VIRTIO_NET_HDR_GSO;
  const takes = rig.tun.offloads.includes("uso4");
  const packet = gsoPacketOf(UDP, START, payloadOf(2500), SIZE);
  assertEquals(VirtioNetHeader.parse(packet)!.gsoType, UDP_L4);
  await writeSegmented(rig.tun, batchOf(packet));
  assertEquals(await rig.received(3), [1000, 1000, 500]);
  assertEquals(rig.tun.link.stats().rxPackets, takes ? 1 : 3);
});

test("writeSegmented() tells of what is no GSO packet and refused all the same", async () => {
  using rig = new Rig();
  const garbage = new Uint8Array(40).fill(0xee, 10);
  for (const others of [[unwelcome(1500)], []]) {
    const batch = batchOf(plain(10), garbage, ...others, plain(20));
    const error = await assertRejects(() => writeSegmented(rig.tun, batch), SyscallError);
    assertEquals(error.code, "EINVAL");
    const expected = others.length > 0 ? [10, 20, 1000, 500] : [10, 20];
    assertEquals(await rig.received(expected.length), expected);
  }
});

test("writeSegmented() tells when the link is down, and when the device is closed", async () => {
  using rig = new Rig();
  rig.tun.link.down();
  const batch = batchOf(unwelcome(1500));
  const down = await assertRejects(() => writeSegmented(rig.tun, batch), SyscallError);
  assertEquals(down.code, "EIO");
  rig.tun.close();
  await assertRejects(() => writeSegmented(rig.tun, batch), DeviceClosedError);
});

test("writeSegmented() refuses a device without vnetHdr", async () => {
  using netns = silent(NetNs.create());
  using tun: TunQueue = Tun.create({ netns });
  await assertRejects(() => writeSegmented(tun, batchOf(plain(1))), TypeError, "vnetHdr");
});
