import { assertEquals } from "@std/assert";
import { DevicePoll } from "../../mod.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { Lab, queued } from "./lab.ts";

test("DevicePoll.wait() tells which devices have something to read", () => {
  using a = new Lab();
  using b = new Lab();
  using c = new Lab();
  const labs = [a, b, c];
  const poll = new DevicePoll(labs.map(({ tap }) => tap));
  const ready = () => labs.map((_, i) => poll.ready(i));
  assertEquals([poll.wait({ timeout: 0 }), ready()], [0, [false, false, false]]);
  b.send("one");
  assertEquals([poll.wait(), ready()], [1, [false, true, false]]);
  c.send("two");
  assertEquals([poll.wait({ timeout: Infinity }), ready()], [2, [false, true, true]]);
  assertEquals([queued(b.tap), queued(c.tap)], [["one"], ["two"]]);
  assertEquals([poll.wait({ timeout: 0.5 }), ready()], [0, [false, false, false]]);
});

test("DevicePoll.wait() tells of a device whose link is gone", () => {
  using lab = new Lab();
  const poll = new DevicePoll([lab.tap]);
  run(lab.netns.ref, "ip link del t0");
  assertEquals([poll.wait(), poll.ready(0)], [1, true]);
});
