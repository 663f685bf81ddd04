import { assertEquals, assertThrows } from "@std/assert";
import { NetNs, SyscallError, Tap, Tun, type TunQueue } from "../../mod.ts";
import { ip, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { silent } from "../link/rig.ts";
import { Wire } from "../link/wire.ts";
import { packetOf, queued, soFar, texts } from "./lab.ts";
import { withWorkers } from "./workers.ts";

/** What `ip` says of queues. */
function queuesOf(netns: NetNs): unknown[] {
  const [link] = ip(netns.ref, "-d -j link show dev t0") as [{ linkinfo: { info_data: Json } }];
  const { multi_queue, numqueues, numdisabled } = link.linkinfo.info_data;
  return [multi_queue, numqueues, numdisabled];
}

test("Queues are opened, detached, attached again and closed, as ip sees them", async () => {
  using netns = silent(NetNs.create());
  using tap = Tap.create({ name: "t0", netns, multiQueue: true, up: true });
  assertEquals(queuesOf(netns), [true, 1, 0]);
  using second = tap.openQueue();
  using third = tap.openQueue({ sendBuffer: 100_000 });
  assertEquals(queuesOf(netns), [true, 3, 0]);
  assertEquals(Deno.inspect(second), `queue of tap "t0" in ${netns.ref.label}`);
  assertEquals([tap.attached, second.attached, third.attached], [true, true, true]);
  second.detach();
  third.detach();
  assertEquals([queuesOf(netns), second.attached], [[true, 1, 2], false]);
  // What is sent comes to the one that is left.
  using wire = new Wire(netns, tap, true);
  for (const text of texts(20)) wire.send(packetOf(text));
  assertEquals(queued(tap), texts(20));
  assertEquals(second.tryRead(new Uint8Array(100)), -1);
  second.writeSync(packetOf("from one that is detached"));
  assertEquals(wire.drain().length, 1);
  second.attach();
  tap.detach();
  assertEquals(queuesOf(netns), [true, 1, 2]);
  for (const text of texts(20)) wire.send(packetOf(text));
  assertEquals(queued(second), texts(20));
  second.writeSync(packetOf("from the second"));
  assertEquals(wire.drain().length, 2);
  const reading = second.read(new Uint8Array(100));
  assertEquals(await soFar(reading), undefined);
  wire.send(packetOf("late"));
  assertEquals(await reading, 60);
  third.close();
  assertEquals(queuesOf(netns), [true, 1, 1]);
  tap.attach();
  assertEquals(queuesOf(netns), [true, 2, 0]);
  assertEquals(tap.options().numQueues, 2);
});

test("Attaching what is attached, and detaching twice, is refused", () => {
  using netns = silent(NetNs.create());
  using tap = Tap.create({ name: "t0", netns, multiQueue: true });
  assertThrows(
    () => tap.attach(),
    SyscallError,
    `attach a queue of tap "t0" in ${netns.ref.label}`,
  );
  assertEquals(tap.attached, true);
  tap.detach();
  assertThrows(
    () => tap.detach(),
    SyscallError,
    `detach a queue of tap "t0" in ${netns.ref.label}`,
  );
  assertEquals(tap.attached, false);
});

test("A link with one queue has no second, and its queue stays attached", () => {
  using netns = silent(NetNs.create());
  using tun = Tun.create({ name: "t0", netns });
  const error = assertThrows(() => tun.openQueue(), SyscallError);
  assertEquals([error.code, error.message.startsWith('open a queue of tun "t0"')], [
    "EINVAL",
    true,
  ]);
  assertThrows(() => tun.detach(), SyscallError, "EINVAL");
  assertEquals(tun.attached, true);
});

test("Closing the handle that owns the link leaves its other queues without one", () => {
  using netns = silent(NetNs.create());
  const tap = Tap.create({ name: "t0", netns, multiQueue: true });
  using second = tap.openQueue();
  tap.close();
  assertEquals(netns.links.list().map(({ name }) => name), ["lo"]);
  assertThrows(() => second.tryRead(new Uint8Array(100)), SyscallError, "EBADFD");
});

test("A further queue takes its headers and offloads from the link, and can have no others", () => {
  using netns = silent(NetNs.create());
  const [common, addresses] = [{ name: "t0", netns, up: true }, ["10.9.0.1/24"]];
  using tun = Tun.create({ ...common, addresses, multiQueue: true, offloads: true });
  /** Whether packets from the kernel have partial checksums, VIRTIO_NET_HDR_F_NEEDS_CSUM. */
  const partial = (queues: TunQueue[]): boolean => {
    run(netns.ref, `bash -c 'echo x > /dev/udp/10.9.0.2/7'`);
    const buffer = new Uint8Array(2048);
    return queues.some((queue) => queue.tryRead(buffer) > 0 && buffer[0] === 1);
  };
  assertEquals(partial([tun]), true);
  using second = tun.openQueue();
  assertEquals([second.vnetHdr, second.headerLength, second.offloads], [true, 10, tun.offloads]);
  assertEquals(partial([tun, second]), true);
  for (const options of [{ vnetHdr: false }, { packetInfo: true }]) {
    const [key, value] = Object.entries(options)[0]!;
    assertThrows(
      () => tun.openQueue(options),
      TypeError,
      `${key} of tun "t0" in ${netns.ref.label} is ${!value}, for all of its queues`,
    );
  }
  assertThrows(() => tun.openQueue({ name: "x" } as never), TypeError, 'Unknown option "name"');
  assertEquals(tun.options().numQueues, 2);
});

test("Queues served by workers have all packets of many flows between them, each flow in order", async () => {
  const stdout = await withWorkers(`
    using netns = NetNs.create();
    using tun = Tun.create({
      name: "t0", netns, multiQueue: true, up: true, addresses: ["10.9.0.1/24"], txqlen: 10_000,
    });
    const source = \`
      self.onmessage = async ({ data }) => {
        const device = receiveDevice(data);
        const batch = new netloom.PacketBatch({ packets: 64, size: 256 });
        const buffer = new Uint8Array(256);
        self.postMessage("ready");
        for (;;) {
          const count = await device.readBatch(batch);
          const seen = [];
          for (let i = 0; i < count; i++) {
            const packet = batch.packet(i);
            // IPv4, UDP, to port 7: the source port, and the number in it.
            if (packet[0] !== 0x45 || packet[9] !== 17) continue;
            seen.push([packet[20] * 256 + packet[21], packet[28] * 256 + packet[29]]);
          }
          if (seen.length > 0) self.postMessage(seen);
        }
      };\`;
    const [flows, numbers] = [40, 25];
    const queues = [tun.openQueue(), tun.openQueue(), tun.openQueue()];
    const devices = [tun, ...queues];
    const info = tun.options();
    console.log(info.numQueues, info.numDisabledQueues);
    const workers = devices.map(() => worker(source));
    const flowsOf = workers.map(() => new Map());
    let total = 0;
    let done;
    const all = new Promise((resolve) => done = resolve);
    for (const [i, it] of workers.entries()) {
      const ready = next(it);
      it.postMessage(devices[i].transfer());
      await ready;
      it.onmessage = ({ data }) => {
        for (const [port, number] of data) {
          if (!flowsOf[i].has(port)) flowsOf[i].set(port, []);
          flowsOf[i].get(port).push(number);
          if (++total === flows * numbers) done();
        }
      };
    }
    const sockets = netns.run(() => Array.from({ length: flows }, () =>
      Deno.listenDatagram({ transport: "udp", hostname: "10.9.0.1", port: 0 })));
    for (let n = 0; n < numbers; n++) {
      for (const socket of sockets) {
        await socket.send(new Uint8Array([n >> 8, n & 255]), { transport: "udp", hostname: "10.9.0.2", port: 7 });
      }
    }
    await all;
    const ports = sockets.map(({ addr }) => addr.port).sort();
    const got = flowsOf.flatMap((flows) => [...flows.keys()]).sort();
    console.log(JSON.stringify(got) === JSON.stringify(ports), flowsOf.filter(({ size }) => size > 0).length > 1);
    const expected = JSON.stringify(Array.from({ length: numbers }, (_, n) => n));
    console.log(flowsOf.every((flows) => [...flows.values()].every((it) => JSON.stringify(it) === expected)));
    Deno.exit();
  `);
  assertEquals(stdout, "4 0\ntrue true\ntrue\n");
});
