import { assert, assertEquals, assertObjectMatch, assertThrows } from "@std/assert";
import { BatchError, Link, NetlinkError, NetNs, trace } from "../../mod.ts";
import { newQdisc, qdiscMessage, readQdisc } from "../../src/rtnetlink/qdisc.ts";
import { type QdiscInfo, type QdiscOptions, qdiscs } from "../../src/traffic/mod.ts";
import { source } from "../../src/netlink/bytes.ts";
import { bodyOf, fromHex, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { CAPTURED } from "./captured.ts";
import { kernelTest, Pair, tc } from "./oracle.ts";
import { CASES } from "./cases.ts";

const read = (body: string): QdiscInfo => {
  const bytes = fromHex(body);
  return readQdisc(source(bytes), 0, bytes.length);
};

for (const { entry, words, info, exact = true } of CASES) {
  Deno.test(`The message is that of: ${words}`, () => {
    const body = CAPTURED[words];
    assert(body !== undefined, "not captured");
    const message = qdiscMessage(entry, 10);
    const [ours, theirs] = [bodyOf(newQdisc(message)), body];
    // The kernel's report has the same form.
    const [{ stats: _1, ...own }, { stats: _2, ...other }] = [read(ours), read(theirs)];
    assertEquals(own, other);
    assertObjectMatch(own as unknown as Json, info as Json);
    if (exact) assertEquals(ours.replaceAll("0280", "0200"), theirs.replaceAll("0280", "0200"));
  });
}

for (const { entry, words, info, needs } of CASES) {
  if (needs) continue;
  kernelTest(entry.kind, `It is the same in the kernel, set here and by: ${words}`, () => {
    using pair = new Pair();
    const { link, netns } = pair;
    const look = () => {
      const read = qdiscs(link).list().map(({ stats: _, ...rest }) => rest);
      const seen = JSON.stringify([read, tc(netns.ref, "qdisc show dev v0")]);
      // One that the kernel gives is another one each time.
      return { read, seen: entry.handle ? seen : seen.replace(/"handle":"[1-9a-f]\w+:"/g, "") };
    };
    const command = commandOf(() => qdiscs(link).add(entry));
    const ours = look();
    assertEquals(ours.read.some((it) => matches(it, info)), true, Deno.inspect(ours.read));
    for (const line of [words, command]) {
      qdiscs(link).flush();
      run(netns.ref, line.replace("if10", "v0"));
      assertEquals(look().seen, ours.seen, line);
    }
  });
}

function matches(value: object, wanted: object): boolean {
  try {
    assertObjectMatch(value as Json, wanted as Json);
    return true;
  } catch {
    return false;
  }
}

/** The `tc` line that `fn` is equivalent to. */
function commandOf(fn: () => unknown): string {
  const lines: string[] = [];
  using _trace = trace(({ command }) => lines.push(command));
  fn();
  return lines.findLast((line) => line.startsWith("tc qdisc "))!;
}

kernelTest(
  "tbf",
  "get(), change() and delete() take one by its place, its handle and what list() gave",
  () => {
    using pair = new Pair();
    const collection = qdiscs(pair.link);
    const options = { rate: "8mbit", burst: 32000, limit: 64000 } as const;
    collection.add({ kind: "tbf", handle: "1:", options });
    collection.change({ kind: "tbf", options: { ...options, rate: "16mbit" } });
    const info = collection.get("1:");
    assertEquals(info, collection.get("root"));
    assertEquals(info, collection.get({ parent: "root" }));
    assertEquals([info.kind === "tbf" && info.options.rate, info.parent], [16e6, "root"]);
    const [shown] = tc(pair.netns.ref, "qdisc show dev v0 root");
    assertEquals((shown!.options as Json).rate, 2e6);
    collection.delete(info);
    assertEquals(collection.list(), []);
    collection.add(info); // what list() gave
    assertEquals({ ...collection.get("root"), refcnt: info.refcnt }, info);
    collection.replace({ kind: "pfifo", handle: "2:", options: { limit: 7 } });
    assertEquals(collection.get("root").kind, "pfifo");
    collection.delete("2:");
    const error = assertThrows(() => collection.get("2:"), NetlinkError);
    assertEquals(error.code, "ENOENT");
    assert(error.message.startsWith('get qdisc "2:" of veth "v0"'), error.message);
  },
);

kernelTest("clsact", "add() adds all or none, and flush() restores the kernel's default", () => {
  using pair = new Pair();
  const collection = qdiscs(pair.link);
  const before = collection.list();
  const error = assertThrows(
    () => collection.add([{ kind: "pfifo" }, { kind: "clsact" }, { kind: "pfifo" }]),
    BatchError,
  );
  assertEquals([error.index, error.refused], [2, 1]);
  assert(error.message.includes("the others are removed again"), error.message);
  assertEquals(collection.list(), before);
  collection.add([{ kind: "pfifo" }, { kind: "clsact" }]);
  assertEquals(collection.list().map(({ kind }) => kind).sort(), ["clsact", "pfifo"]);
  collection.flush();
  collection.flush();
  assertEquals(collection.list(), before);
});

test("A queueing discipline that is refused names the option; nothing is set", () => {
  using netns = NetNs.create();
  const collection = qdiscs(Link.get("lo", { netns }));
  const before = collection.list();
  const tbf = { rate: "10mbit", burst: "32kb", limit: "64kb" };
  for (
    const [entry, Class, message] of [
      [
        { kind: "tbf", options: { ...tbf, rat: 1 } },
        TypeError,
        'Unknown option "options.rat": did you mean "rate"?',
      ],
      [
        { kind: "tbf", options: { rate: 1 } },
        RangeError,
        "options.rate must be at least 8 bits per second: got 1",
      ],
      [{ kind: "tbf" }, TypeError, "options.rate is required: tbf has no default for it"],
      [
        { kind: "tbf", options: { ...tbf, latency: 1 } },
        TypeError,
        "options must have one of limit and latency",
      ],
      [
        { kind: "tbf", options: { ...tbf, peakrate: "20mbit" } },
        TypeError,
        "options.peakrate and options.mtu must be given together",
      ],
      [
        { kind: "tbf", options: { ...tbf, burst: "32" } },
        TypeError,
        'options.burst must be a size: bytes, or text such as "32kb": got "32"',
      ],
      [
        { kind: "tbf", options: { ...tbf, rate: "8bit" } },
        RangeError,
        "options.burst: the time to send it must be in 0..4294967295 ticks of 64 ns",
      ],
      [
        { kind: "tbf", options: { ...tbf, linklayer: "atn" } },
        TypeError,
        'options.linklayer must be one of "ethernet", "atm": got "atn"',
      ],
      [
        { kind: "tbf", parent: "rot", options: tbf },
        TypeError,
        'parent must be a handle such as "1:", "1:10", "root", "ingress": got "rot"',
      ],
      [
        { kind: "tbf", handle: "1:2", options: tbf },
        TypeError,
        'handle must end with ":": got "1:2"',
      ],
      [
        { kind: "pfifo", options: { limit: -1 } },
        RangeError,
        "options.limit must be in 0..4294967295: got -1",
      ],
      [{ kind: "tbff" }, TypeError, 'kind must be one of "bfifo", "clsact"'],
      [
        [{ kind: "pfifo" }, { kind: "bfifo", options: { limit: "x" } }],
        TypeError,
        "entries[1]: options.limit must be a size",
      ],
    ] as const
  ) {
    assertThrows(() => collection.add(entry as unknown as QdiscOptions), Class, message);
  }
  assertEquals(collection.list(), before);
});
