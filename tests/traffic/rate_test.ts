// A limit as its own counters show it: bytes that passed, against those that the rate allows.
import { assert } from "@std/assert";
import { UdpSocket } from "../../mod.ts";
import "../../src/traffic/mod.ts";
import { run } from "../helpers.ts";
import { kernelTest, Pair } from "./oracle.ts";

kernelTest("tbf", "A tbf lets its rate pass and drops the rest", () => {
  using pair = new Pair();
  const { link, netns } = pair;
  const [rate, burst] = [8_000_000, 10_000];
  link.qdiscs.add({ kind: "tbf", options: { rate, burst, limit: 30_000 } });
  for (const line of ["address add 192.0.2.1/24 dev v0", "link set v0 up", "link set v1 up"]) {
    run(netns.ref, `ip ${line}`);
  }
  run(netns.ref, "ip neighbor replace 192.0.2.2 lladdr 02:00:00:00:00:02 dev v0");
  // The route is there: nothing but the queue keeps datagrams from leaving.
  using socket = UdpSocket.open({ netns, remote: { address: "192.0.2.2", port: 9 } });
  const payload = new Uint8Array(1000);
  const { stats: none } = link.qdiscs.get("root");
  const counted = () => link.qdiscs.get("root").stats;
  const flood = (least: number): void => {
    while (counted().bytes < least) for (let i = 0; i < 20; i++) socket.tryWrite(payload);
  };
  flood(none.bytes + 50_000); // the bucket is empty, the queue full
  const [before, from] = [counted(), performance.now()];
  flood(before.bytes + 400_000);
  const [after, elapsed] = [counted(), performance.now() - from];
  const passed = after.bytes - before.bytes;
  const allowed = rate / 8 * elapsed / 1000;
  // A slow machine makes more time pass: it allows more, and never less.
  assert(passed <= allowed * 1.03 + burst, `${passed} bytes passed, ${allowed} were allowed`);
  assert(after.drops > before.drops, "the sender was slower than the rate");
});
