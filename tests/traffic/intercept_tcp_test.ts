// TCP through an interception that spoils frames at random: retransmissions repair all of it.
import { assert, assertEquals } from "@std/assert";
import { Pair } from "../capture/pair.ts";
import { test } from "../leaks.ts";
import { Random } from "../../src/traffic/user/decisions.ts";
import "../../src/traffic/mod.ts";

const THERE = "10.0.0.2";

async function hashOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))).join();
}

/** Sends bytes from `a` to `b`: what arrived. */
async function transfer(
  { a, b }: Pair,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  using listener = b.listen({ hostname: THERE, port: 5000 });
  const received = (async () => {
    using connection = await listener.accept();
    return new Uint8Array(await new Response(connection.readable).arrayBuffer());
  })();
  const connection = await a.connect({ hostname: THERE, port: 5000 });
  const writer = connection.writable.getWriter();
  await writer.write(bytes);
  await writer.close();
  return await received;
}

test("A TCP transfer survives 10,000 frames that are changed, lost, delayed and doubled at random", async () => {
  using pair = await Pair.open({ ip: true });
  const random = new Random(1n);
  let touched = 0;
  using interception = pair.link.intercept((frame) => {
    const { payload, tcp } = frame.packet;
    // A lost SYN costs a second, and is no other case.
    if (!tcp || tcp.syn || touched >= 10_000) return;
    touched++;
    const dice = random.next() % 1000;
    if (dice < 5) payload[random.next() % payload.length]! ^= 1 << random.next() % 8;
    else if (dice < 8) frame.drop();
    else if (dice < 100) frame.delay(random.next() % 2000 / 1000);
    else if (dice < 150) frame.duplicate();
    else if (dice < 400) frame.replace(frame.bytes);
  }, { filter: { protocol: "tcp" } });
  const bytes = new Uint8Array(12_000_000);
  for (let i = 0; i < bytes.length; i++) bytes[i] = i * 31 ^ i >> 8;
  const arrived = await transfer(pair, bytes);
  assertEquals(await hashOf(arrived), await hashOf(bytes));
  assertEquals(touched, 10_000);
  const { dropped, waiting, errors, overflows } = interception.stats;
  assert(dropped > 0);
  assertEquals([waiting, errors, overflows], [0, 0, 0]);
});

test("Frames that all pass arrive once each, and none is stuck", async () => {
  using pair = await Pair.open({ ip: true });
  using interception = pair.link.intercept(() => {}, { filter: { protocol: "tcp" } });
  using seen = pair.peer.capture({ filter: { protocol: "tcp" }, bufferSize: 1 << 26 });
  const bytes = new Uint8Array(2_000_000);
  assertEquals((await transfer(pair, bytes)).length, bytes.length);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const { frames, passed, waiting, dropped, refused } = interception.stats;
  seen.stop();
  let captured = 0;
  const { drops } = seen.statistics();
  for await (const _ of seen) captured++;
  assertEquals([passed, waiting, dropped, refused, drops], [frames, 0, 0, 0, 0]);
  // What the peer sends may leave it as GSO packets, which are several frames behind the interception.
  assert(captured <= frames && captured > 100, `${captured} of ${frames}`);
});
