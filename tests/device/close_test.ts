import { assertEquals, assertRejects } from "@std/assert";
import { DeviceClosedError, PacketBatch, Tap } from "../../mod.ts";
import { test } from "../leaks.ts";
import { Wire } from "../link/wire.ts";
import { script } from "../script.ts";
import { Lab, packetOf, queued, soFar, texts } from "./lab.ts";

test("close() settles every call that waits", async () => {
  using lab = new Lab();
  const { tap } = lab;
  const iteration = tap.packets();
  const signal = new AbortController().signal;
  const failing: Promise<unknown>[] = [
    tap.read(new Uint8Array(100)),
    tap.read(new Uint8Array(100), { signal }),
    tap.readBatch(new PacketBatch()),
    tap.readBatch(new PacketBatch(), { signal }),
  ];
  const ending: Promise<{ done?: boolean }>[] = [
    iteration.next(),
    tap.packets({ signal }).next(),
    tap.readable.getReader().read(),
  ];
  for (const call of [...failing, ...ending]) assertEquals(await soFar(call), undefined);
  tap.close();
  for (const call of failing) await assertRejects(() => call, DeviceClosedError);
  for (const call of ending) assertEquals((await call).done, true);
  assertEquals((await iteration.next()).done, true);
});

test("close() in a loop over packets ends it", async () => {
  using lab = new Lab();
  lab.send(...texts(5));
  let count = 0;
  for await (const _ of lab.tap) if (++count === 3) lab.tap.close();
  assertEquals([count, lab.tap.closed], [3, true]);
});

test("Closing twice, and disposing what is closed, does nothing", () => {
  using lab = new Lab();
  lab.tap.close();
  lab.tap.close();
  lab.tap[Symbol.dispose]();
  assertEquals(Deno.inspect(lab.tap), `tap "t0" in ${lab.netns.ref.label} (closed)`);
});

test("Closing one device leaves others that wait alone", async () => {
  using kept = new Lab();
  const reading = kept.tap.read(new Uint8Array(100));
  for (let i = 0; i < 3; i++) {
    using lab = new Lab();
    const other = lab.tap.read(new Uint8Array(100));
    assertEquals(await soFar(other), undefined);
    lab.tap.close();
    await assertRejects(() => other, DeviceClosedError);
  }
  assertEquals(await soFar(reading), undefined);
  kept.send("for the one that stays");
  assertEquals(await reading, 60);
});

test("A descriptor's number that goes to another device takes no wait along", async () => {
  using first = new Lab();
  using second = new Lab();
  const { descriptor } = first.tap;
  const reading = first.tap.read(new Uint8Array(100));
  assertEquals(await soFar(reading), undefined);
  first.tap.close();
  // The lowest number that is free: that of the device just closed.
  using next = Tap.create({ name: "t1", netns: first.netns, up: true });
  assertEquals(next.descriptor, descriptor);
  await assertRejects(() => reading, DeviceClosedError);
  using wire = new Wire(first.netns, next, true);
  wire.send(packetOf("not for the first"));
  second.send("other");
  assertEquals([queued(next), queued(second.tap)], [["not for the first"], ["other"]]);
});

/** A program with a TUN, in a process of its own. */
function program(body: string) {
  return script(`
    import { NetNs, PacketBatch, Tun } from "./mod.ts";
    const netns = NetNs.create();
    const tun = Tun.create({ name: "t0", netns });
    const buffer = new Uint8Array(2048);
    addEventListener("unload", () => console.log("ends"));
    ${body}
  `);
}

for (
  const [name, body] of [
    ["is idle", ""],
    ["has read and written", "tun.tryRead(buffer); tun.tryReadBatch(new PacketBatch());"],
    [
      "was waited for, by calls that were aborted",
      `const stop = new AbortController();
       const calls = [tun.read(buffer, stop), tun.readBatch(new PacketBatch(), stop)];
       setTimeout(() => stop.abort(), 20);
       console.log((await Promise.allSettled(calls)).map(({ status }) => status).join());`,
    ],
    [
      "was waited for, and closed",
      `const calls = [tun.read(buffer), tun.readable.getReader().read(), tun.packets().next()];
       setTimeout(() => tun.close(), 20);
       console.log((await Promise.allSettled(calls)).map(({ status }) => status).join());`,
    ],
  ] as const
) {
  test(`A program whose device ${name} ends`, async () => {
    const { stdout, stderr, code } = await program(body);
    assertEquals([code, stderr, stdout.endsWith("ends\n")], [0, "", true], stdout);
    if (body.includes("allSettled")) {
      assertEquals(
        stdout.startsWith(body.includes("stop") ? "rejected,rej" : "rejected,ful"),
        true,
      );
    }
  });
}

test("A read that waits keeps the program running until it has its packet", async () => {
  const { stdout, stderr, code } = await program(`
    // Nothing else does: neither the timer nor the device.
    Deno.unrefTimer(setTimeout(() => netns.ping("10.9.0.2", { timeout: 1 }), 300));
    tun.link.up().addresses.add("10.9.0.1/24");
    do await tun.read(buffer); while (buffer[0] !== 0x45);
    console.log("read", buffer.subarray(16, 20).join("."));
  `);
  assertEquals([code, stderr, stdout], [0, "", "read 10.9.0.2\nends\n"]);
});
