import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Capture, type Frame, Link, NetNs } from "../../mod.ts";
import { test, traces } from "../leaks.ts";
import { BROADCAST, frame as ethernet, Wire } from "../link/wire.ts";
import { Pair } from "./pair.ts";

const SMALL = { snaplen: 400, bufferSize: 131_072 };
const FROM = "02:00:00:00:00:01";

/** Mappings of packet sockets. */
function mappings(): string[] {
  const lines = Deno.readTextFileSync("/proc/self/maps").split("\n");
  return lines.filter((line) => /socket:/.test(line));
}

test("A view of a frame becomes empty when its block returns to the kernel", async () => {
  using pair = await Pair.open();
  using capture = pair.peer.capture({ bufferSize: 131_072, snaplen: 400 });
  using wire = new Wire(pair.a, pair.link);
  wire.send(ethernet(BROADCAST, FROM, "first"));
  const { value: first } = await capture.next();
  const [view, copy] = [first!.data, first!.copy()];
  assertEquals(view.length, 60);
  const next = capture.next();
  assertEquals(view.length, 0);
  assertThrows(() => first!.data, TypeError, "copy()");
  assertEquals(copy.data, ethernet(BROADCAST, FROM, "first"));
  wire.send(ethernet(BROADCAST, FROM, "second"));
  const second = (await next).value!;
  const last = second.data;
  capture.close();
  assertEquals(last.length, 0);
  assertThrows(() => second.data, TypeError);
  assertThrows(() => second.copy(), TypeError);
});

test("An abort ends and frees a capture at once, with and without a pending call", async () => {
  using pair = await Pair.open();
  const { signal: gone } = { signal: AbortSignal.abort("gone") };
  assertThrows(() => pair.link.capture({ signal: gone }));
  const controller = new AbortController();
  const capture = pair.link.capture({ signal: controller.signal });
  const idle = pair.link.capture({ signal: controller.signal });
  const pending = capture.next();
  assertEquals(mappings().length, 2);
  controller.abort(new Error("enough"));
  assertEquals(mappings(), []);
  await assertRejects(() => pending, Error, "enough");
  await assertRejects(() => idle.next(), Error, "enough");
  assertEquals(await capture.next(), { done: true, value: undefined });
  assertEquals(await idle.next(), { done: true, value: undefined });
});

test("Leaving the loop, disposal and close() free a capture", async () => {
  using pair = await Pair.open();
  using wire = new Wire(pair.a, pair.link);
  const kept: Capture[] = [];
  for (const leave of ["break", "throw", "dispose", "asyncDispose", "close"]) {
    const capture = pair.peer.capture(SMALL);
    kept.push(capture);
    wire.send(ethernet(BROADCAST, FROM));
    const loop = async () => {
      for await (const _ of capture) {
        if (leave === "break") break;
        if (leave === "throw") throw new Error("thrown");
        if (leave === "dispose") capture[Symbol.dispose]();
        if (leave === "asyncDispose") await capture[Symbol.asyncDispose]();
        if (leave === "close") capture.close();
      }
    };
    if (leave === "throw") await assertRejects(loop, Error, "thrown");
    else await loop();
    assertEquals(mappings(), [], leave);
    assertEquals(capture.statistics().packets, 1);
    assertEquals(capture.tryNext(), undefined);
    capture.close();
    capture.stop();
  }
});

test("300 captures leave no descriptor and no mapping", async () => {
  using pair = await Pair.open();
  using wire = new Wire(pair.a, pair.link);
  const before = traces();
  for (let i = 0; i < 300; i++) {
    const controller = new AbortController();
    const capture = pair.peer.capture({ ...SMALL, signal: controller.signal });
    if (i % 2 === 0) {
      const pending = capture.next();
      controller.abort(i);
      assertEquals(await pending.catch((reason) => reason), i);
    } else {
      wire.send(ethernet(BROADCAST, FROM, `frame ${i}`));
      for await (const { data } of capture) {
        // Never one of another round.
        assertEquals(data, ethernet(BROADCAST, FROM, `frame ${i}`));
        break;
      }
    }
  }
  assertEquals(mappings(), []);
  assertEquals(traces(), before);
});

test("A capture ends with its link, after the earlier frames", async () => {
  using pair = await Pair.open();
  using capture = pair.peer.capture();
  using waited = pair.peer.capture({ filter: { protocol: "arp" } });
  const pending = waited.next();
  using wire = new Wire(pair.a, pair.link);
  wire.send(ethernet(BROADCAST, FROM, "last words"));
  pair.link.delete();
  const frames: Frame[] = [];
  for await (const frame of capture) frames.push(frame.copy());
  assertEquals(frames.length, 1);
  assertEquals(await pending, { done: true, value: undefined });
});

test("A capture ends when its link moves away", async () => {
  using pair = await Pair.open();
  using elsewhere = NetNs.create();
  using other = Link.get("v1", { netns: pair.b });
  using capture = other.capture();
  const pending = capture.next();
  pair.peer.move(elsewhere);
  assertEquals(await pending, { done: true, value: undefined });
});

test("A capture continues after its link was down", async () => {
  using pair = await Pair.open();
  using capture = pair.peer.capture();
  const pending = capture.next();
  pair.peer.down();
  await new Promise((resolve) => setTimeout(resolve, 20));
  pair.peer.up();
  await pair.carries();
  using wire = new Wire(pair.a, pair.link);
  wire.send(ethernet(BROADCAST, FROM, "back"));
  assertEquals((await pending).value!.length, 60);
  pair.peer.down();
  using again = pair.peer.capture();
  const first = again.next();
  pair.peer.up();
  await pair.carries();
  wire.send(ethernet(BROADCAST, FROM, "again"));
  assertEquals((await first).value!.length, 60);
});

test("A capture ends with the handle of its namespace", async () => {
  const netns = NetNs.create();
  const capture = netns.capture();
  const pending = capture.next();
  netns[Symbol.dispose]();
  assertEquals(await pending, { done: true, value: undefined });
  assertEquals(mappings(), []);
});

test("stop() delivers the frames captured before, and none captured later", async () => {
  using pair = await Pair.open();
  using capture = pair.peer.capture({ latency: 100 });
  using wire = new Wire(pair.a, pair.link);
  const pending = capture.next();
  wire.send(ethernet(BROADCAST, FROM, "before"));
  capture.stop();
  wire.send(ethernet(BROADCAST, FROM, "after"));
  assertEquals((await pending).value!.data, ethernet(BROADCAST, FROM, "before"));
  assertEquals(await capture.next(), { done: true, value: undefined });
});
