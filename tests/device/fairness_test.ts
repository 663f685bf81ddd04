import { assertEquals } from "@std/assert";
import { Bridge, forward, PacketBatch, Tap } from "../../mod.ts";
import { test } from "../leaks.ts";
import { Lab, packetOf, texts } from "./lab.ts";

const buffer = new Uint8Array(2048);
const batch = new PacketBatch({ packets: 4, size: 2048 });
const outgoing = new PacketBatch({ packets: 4, size: 2048 });
for (let i = 0; i < 4; i++) outgoing.add(packetOf("x"));

/** Steps of loops that never have to wait: what they read is there already. */
const LOADS: Record<string, (lab: Lab) => Promise<unknown>> = {
  "read()": (lab) => (lab.send("x"), lab.tap.read(buffer)),
  "write()": (lab) => lab.tap.write(packetOf("x")),
  "readBatch()": (lab) => (lab.send("x"), lab.tap.readBatch(batch)),
  "writeBatch()": (lab) => lab.tap.writeBatch(outgoing),
};

/** How often a timer of 10 ms runs in half a second. */
async function ticks(load: (until: number) => Promise<void>): Promise<number> {
  let count = 0;
  const timer = setInterval(() => count++, 10);
  try {
    await load(performance.now() + 500);
  } finally {
    clearInterval(timer);
  }
  return count;
}

for (const [name, step] of Object.entries(LOADS)) {
  test(`Timers run while ${name} never has to wait`, async () => {
    using lab = new Lab();
    const count = await ticks(async (until) => {
      while (performance.now() < until) await step(lab);
    });
    // 50 on a machine with nothing else to do, 4 on a busy one; 0 without turns.
    assertEquals(count > 0, true);
  });
}

test("Timers run while iteration and streams never have to wait", async () => {
  using lab = new Lab();
  const reader = lab.tap.readable.getReader();
  const iteration = lab.tap.packets();
  const count = await ticks(async (until) => {
    while (performance.now() < until) {
      lab.send("x", "y");
      await iteration.next();
      await reader.read();
    }
  });
  assertEquals(count > 0, true);
});

for (const packets of [1, 64]) {
  test(`Timers run, and a signal is heard, while forward() has a full load, ${packets} at a time`, async () => {
    // What is written to the second comes back at the first, through a bridge: a storm.
    using lab = new Lab();
    using second = Tap.create({ name: "t1", netns: lab.netns, up: true });
    const bridge = Bridge.create({ name: "br0", netns: lab.netns, up: true });
    for (const tap of [lab.tap, second]) bridge.addPort(tap).set({ state: "forwarding" });
    const stop = new AbortController();
    const count = await ticks(async (until) => {
      const forwarding = forward(lab.tap, second, { batch: packets, signal: stop.signal });
      lab.send(...texts(200));
      const goesOn = () => performance.now() < until || second.link.stats().rxPackets <= 1000;
      while (goesOn()) await new Promise((resolve) => setTimeout(resolve, 10));
      stop.abort();
      const stats = await forwarding;
      // The signal may come between reading packets and writing them.
      const fits = stats.dropped <= packets;
      assertEquals([stats.packets > 1000, fits], [true, true], JSON.stringify(stats));
    });
    assertEquals(count > 0, true);
  });
}
