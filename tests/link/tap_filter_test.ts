import { assertEquals } from "@std/assert";
import { NetNs, Tap } from "../../mod.ts";
import { queued } from "../device/lab.ts";
import { test } from "../leaks.ts";
import { silent } from "./rig.ts";
import { frame, Wire } from "./wire.ts";

const OWN = "02:00:00:00:00:01";
const SINGLE = (i: number) => `02:00:00:00:01:${i.toString(16).padStart(2, "0")}`;
const GROUP = (i: number) => `01:00:5e:00:00:${i.toString(16).padStart(2, "0")}`;

/** What comes of a frame to each address. */
function passes(tap: Tap, wire: Wire, ...macs: string[]): string[] {
  for (const mac of macs) wire.send(frame(mac, OWN, mac));
  return queued(tap);
}

test("A filter given at creation lets frames to its MACs through, and nothing else", () => {
  using netns = silent(NetNs.create());
  const filter = { macs: [SINGLE(1), GROUP(1)] };
  using tap = Tap.create({ name: "t0", netns, up: true, filter });
  using wire = new Wire(netns, tap);
  const all = [SINGLE(1), SINGLE(2), GROUP(1), GROUP(2), "ff:ff:ff:ff:ff:ff"];
  assertEquals(passes(tap, wire, ...all), [SINGLE(1), GROUP(1)]);
  assertEquals(tap.setFilter({ macs: [SINGLE(2)], allMulticast: true }), 1);
  assertEquals(passes(tap, wire, ...all), [SINGLE(2), GROUP(1), GROUP(2), "ff:ff:ff:ff:ff:ff"]);
  assertEquals(tap.setFilter({ macs: [] }), 0);
  assertEquals(passes(tap, wire, ...all), all);
});

test("Single addresses are compared exactly, wherever they stand among many groups", () => {
  using netns = silent(NetNs.create());
  using tap = Tap.create({ name: "t0", netns, up: true });
  using wire = new Wire(netns, tap);
  const groups = Array.from({ length: 12 }, (_, i) => GROUP(i));
  const singles = Array.from({ length: 8 }, (_, i) => SINGLE(i));
  // The kernel compares the first eight, and filters nothing when a later one is no group address.
  assertEquals(tap.setFilter({ macs: [...groups, ...singles] }), 8);
  assertEquals(passes(tap, wire, ...groups, ...singles), [...groups, ...singles]);
  assertEquals(passes(tap, wire, SINGLE(8), SINGLE(9)), []);
  assertEquals(tap.setFilter({ macs: groups }), 8);
  assertEquals(passes(tap, wire, ...groups, ...singles), groups);
});
