import { assertEquals, assertRejects } from "@std/assert";
import { DeviceClosedError, NetNs, PacketBatch, Tap } from "../../mod.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { silent } from "../link/rig.ts";
import { Wire } from "../link/wire.ts";
import { packetOf, queued, soFar, textIn } from "./lab.ts";

/** How often devices are opened and closed; `NETLOOM_CYCLES=10000` for the long run. */
const CYCLES = Number(Deno.env.get("NETLOOM_CYCLES") ?? 300);
const SLOTS = 6;

/** One device's life; its packets carry its name, and no other's must come. */
async function live(netns: NetNs, slot: number, cycle: number): Promise<void> {
  const name = `p${slot}`;
  const tag = `${name}/${cycle}`;
  using tap = Tap.attach(name, { netns });
  // No queue that has to hear of the carrier first.
  using wire = new Wire(netns, tap, true, true);
  const buffer = new Uint8Array(2048);
  const text = (n: number) => textIn(buffer.subarray(0, n));
  switch ((cycle + slot) % 5) {
    case 0:
      wire.send(packetOf(tag));
      assertEquals(text(await tap.read(buffer)), tag);
      break;
    case 1: {
      const reading = tap.read(buffer);
      await undefined;
      wire.send(packetOf(tag));
      assertEquals(text(await reading), tag);
      break;
    }
    case 2: {
      const stop = new AbortController();
      const reading = tap.read(new Uint8Array(2048), { signal: stop.signal });
      assertEquals(await soFar(reading), undefined);
      stop.abort(new Error("enough"));
      await assertRejects(() => reading, Error, "enough");
      wire.send(packetOf(tag));
      assertEquals(queued(tap), [tag]);
      break;
    }
    case 3: {
      const calls = [tap.read(buffer), tap.readBatch(new PacketBatch({ packets: 1, size: 64 }))];
      wire.send(packetOf(tag));
      tap.close();
      for (const call of calls) await assertRejects(() => call, DeviceClosedError);
      break;
    }
    case 4: {
      const batch = new PacketBatch({ packets: 4, size: 2048 });
      const reading = tap.readBatch(batch);
      wire.send(packetOf(tag));
      assertEquals([await reading, textIn(batch.packet(0))], [1, tag]);
      await tap.writeBatch(batch);
      assertEquals(wire.drain().length, 1);
      break;
    }
  }
}

test(`Devices opened, aborted and closed ${CYCLES} times never get another's packet, and leak nothing`, async () => {
  using netns = silent(NetNs.create());
  for (let slot = 0; slot < SLOTS; slot++) {
    run(netns.ref, `ip tuntap add p${slot} mode tap`);
    run(netns.ref, `ip link set p${slot} up`);
  }
  const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
  let memory = 0;
  let open = 0;
  for (let cycle = 0; cycle < CYCLES / SLOTS; cycle++) {
    // Side by side: numbers of descriptors go from one to the other.
    await Promise.all(Array.from({ length: SLOTS }, (_, slot) => live(netns, slot, cycle)));
    if (cycle === Math.floor(CYCLES / SLOTS / 4)) {
      memory = Deno.memoryUsage().rss;
      open = descriptors();
    }
  }
  assertEquals(descriptors(), open);
  const grown = Deno.memoryUsage().rss - memory;
  assertEquals(grown < 100 * 2 ** 20, true, `${grown} bytes`);
});
