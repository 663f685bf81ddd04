import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DeviceClosedError, receiveDevice } from "../../mod.ts";
import { test } from "../leaks.ts";
import { Lab, packetOf, queued, soFar } from "./lab.ts";
import { withWorkers } from "./workers.ts";

test("A device that is handed over leaves a closed handle, and comes back as another", async () => {
  using lab = new Lab();
  const reading = lab.tap.read(new Uint8Array(100));
  assertEquals(await soFar(reading), undefined);
  const transfer = lab.tap.transfer();
  await assertRejects(() => reading, DeviceClosedError);
  assertEquals(lab.tap.closed, true);
  assertThrows(() => lab.tap.tryRead(new Uint8Array(100)), DeviceClosedError);
  assertThrows(() => lab.tap.transfer(), DeviceClosedError);
  lab.tap.close();
  lab.send("after");
  {
    using device = receiveDevice(structuredClone(transfer));
    assertEquals([Deno.inspect(device), device.closed], [
      `tap "t0" in ${lab.netns.ref.label}`,
      false,
    ]);
    assertEquals(queued(device), ["after"]);
    device.writeSync(packetOf("answer"));
    assertEquals(lab.written(), ["answer"]);
    // The link is not the receiver's.
    assertEquals(lab.tap.link.read().name, "t0");
  }
  assertEquals(lab.netns.links.list().map(({ name }) => name), ["lo"]);
});

test("receiveDevice() refuses what is no transfer, by value", () => {
  for (const it of [undefined, {}, { fd: 1 }, { fd: "1", what: "x" }, { fd: -1, what: "x" }, 5]) {
    assertThrows(
      () => receiveDevice(it as never),
      TypeError,
      "receiveDevice() needs the result of transfer(): got",
    );
  }
});

test("A worker reads and writes a device, and gives it back", async () => {
  const stdout = await withWorkers(`
    using netns = NetNs.create();
    using tun = Tun.create({ name: "t0", netns, up: true, addresses: ["10.9.0.1/24"] });
    const answering = worker(\`
      self.onmessage = async ({ data }) => {
        const device = receiveDevice(data);
        let left = 3;
        for await (const packet of device) {
          if (packet[0] !== 0x45 || packet[20] !== 8) continue;
          packet.set([10, 9, 0, 2, 10, 9, 0, 1], 12);
          packet[20] = 0;
          const sum = packet[22] * 256 + packet[23] + 0x800;
          packet.set([(sum + (sum >> 16)) >> 8 & 255, sum + (sum >> 16) & 255], 22);
          await device.write(packet);
          if (--left === 0) break;
        }
        self.postMessage(device.transfer());
      };\`);
    const back = next(answering);
    answering.postMessage(tun.transfer());
    console.log((await netns.ping("10.9.0.2", { count: 3, interval: 1, timeout: 20_000 })).received);
    {
      using device = receiveDevice(await back);
      const silent = netns.ping("10.9.0.2", { timeout: 200 });
      const buffer = new Uint8Array(2048);
      do await device.read(buffer); while (buffer[0] !== 0x45);
      console.log(buffer.subarray(16, 20).join("."), (await silent).received);
    }
    console.log(netns.links.list().map(({ name }) => name).join());
    answering.terminate();
  `);
  assertEquals(stdout, "3\n10.9.0.2 0\nlo\n");
});

test("A worker that is ended while it reads does not keep the program from ending", async () => {
  const stdout = await withWorkers(`
    const netns = NetNs.create();
    const tun = Tun.create({ name: "t0", netns });
    const reading = worker(\`
      self.onmessage = ({ data }) => {
        receiveDevice(data).read(new Uint8Array(100));
        setTimeout(() => self.postMessage("waits"), 20);
      };\`);
    const waits = next(reading);
    reading.postMessage(tun.transfer());
    console.log(await waits);
    reading.terminate();
    console.log("ends");
  `);
  assertEquals(stdout, "waits\nends\n");
});
