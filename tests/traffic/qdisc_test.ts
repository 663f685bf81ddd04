import { assert, assertEquals, assertObjectMatch, assertThrows } from "@std/assert";
import { BatchError, Link, NetlinkError, NetNs, supports, trace } from "../../mod.ts";
import "../../src/traffic/mod.ts";
import { newQdisc, qdiscMessage, readQdisc } from "../../src/rtnetlink/qdisc.ts";
import type { QdiscInfo, QdiscOptions } from "../../src/traffic/mod.ts";
import * as wireClass from "../../src/rtnetlink/qdisc_class.ts";
import { distributionTable } from "../../src/rtnetlink/qdisc_kinds/netem_distribution.ts";
import { source } from "../../src/netlink/bytes.ts";
import { bodyOf, fromHex, type Json, run } from "../helpers.ts";
import { test } from "../leaks.ts";
import { CAPTURED } from "./captured.ts";
import { kernelTest, lacksOf, Pair, tc } from "./oracle.ts";
import { CASES, CLASS_CASES } from "./cases.ts";

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

for (const { entry, words, info, kept = info, needs } of CASES) {
  if (needs) continue;
  kernelTest(entry.kind, `It is the same in the kernel, set here and by: ${words}`, () => {
    using pair = new Pair();
    const { link, netns } = pair;
    const look = () => {
      const read = link.qdiscs.list().map(({ stats: _, ...rest }) => rest);
      // The kernel chooses another seed each time, and another handle.
      const plain = (key: string, value: unknown) => key === "seed" ? undefined : value;
      const seen = JSON.stringify([read, tc(netns.ref, "qdisc show dev v0")], plain);
      return { read, seen: entry.handle ? seen : seen.replace(/"handle":"[1-9a-f]\w+:"/g, "") };
    };
    const command = commandOf(() => link.qdiscs.add(entry));
    const ours = look();
    assertEquals(ours.read.some((it) => matches(it, kept)), true, Deno.inspect(ours.read));
    for (const line of [words, command]) {
      link.qdiscs.flush();
      run(netns.ref, line.replace("if10", "v0"));
      assertEquals(look().seen, ours.seen, line);
    }
  });
}

Deno.test("A seed of netem is a number, or text where a number is not exact", () => {
  const seedIn = (seed: unknown) => {
    const entry = { kind: "netem", options: { seed } } as QdiscOptions;
    return (read(bodyOf(newQdisc(qdiscMessage(entry, 10)))).options as { seed?: unknown }).seed;
  };
  const large = ["9007199254740992", "18446744073709551615"];
  for (const seed of [0, 42, Number.MAX_SAFE_INTEGER, ...large]) assertEquals(seedIn(seed), seed);
  assertEquals(seedIn("42"), 42);
  for (const wrong of [-1, 1.5, 2 ** 53, "18446744073709551616", "-1", "0x7", "", 5n, null]) {
    assertThrows(
      () => seedIn(wrong),
      RangeError,
      "options.seed must be an integer in 0..2^53-1, or",
    );
  }
});

const seedless = lacksOf({ qdisc: "netem" }) ??
  (supports({ qdisc: "netem" }, "seed") ? undefined : "this kernel's netem has no seed");

test("The seed in the kernel is the one of add(), as JSON has it", { lacks: seedless }, () => {
  using pair = new Pair();
  for (const seed of [7, "18446744073709551615"]) {
    pair.link.qdiscs.replace({ kind: "netem", options: { seed } });
    const { options } = JSON.parse(JSON.stringify(pair.link.qdiscs.get("root")));
    assertEquals(options.seed, seed);
  }
});

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
    const collection = pair.link.qdiscs;
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
  const collection = pair.link.qdiscs;
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
  const collection = Link.get("lo", { netns }).qdiscs;
  const before = collection.list();
  const tbf = { rate: "10mbit", burst: "32kb", limit: "64kb" };
  for (
    const [entry, Class, message] of [
      [
        { kind: "tbf", options: { ...tbf, rat: 1 } },
        TypeError,
        'Unknown option "options.rat": did you mean "options.rate"?',
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
      [{ kind: "tbff" }, TypeError, 'got "tbff"; did you mean "tbf"?'],
      [
        { kind: "tbf", rate: "1mbit" },
        TypeError,
        'Unknown option "rate": did you mean "options.rate"? Allowed are handle, kernelKind, kind, options, parent',
      ],
      [{ kind: "pfifo", options: 5 }, TypeError, "options must be an object: got 5"],
      [null, TypeError, "options must be an object: got null"],
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

const { readClass, newClass, classMessage } = wireClass;

for (const { entry, words, info } of CLASS_CASES) {
  Deno.test(`The message is that of: ${words}`, () => {
    const readBody = (body: string) => {
      const bytes = fromHex(body);
      const { stats: _, ...rest } = readClass(source(bytes), 0, bytes.length);
      return rest;
    };
    const ours = readBody(bodyOf(newClass(classMessage(entry, 10))));
    assertEquals(ours, readBody(CAPTURED[words]!));
    assertObjectMatch(ours as unknown as Json, info as Json);
  });
}

Deno.test("A class that is refused names the kind or the option that may be meant", () => {
  const refused = (entry: object, message: string) =>
    assertThrows(() => classMessage({ classid: "1:1", ...entry } as never, 10), TypeError, message);
  refused({ kind: "hbt" }, 'kind must be one of "htb": got "hbt"; did you mean "htb"?');
  refused({ kind: "htb", rate: "1mbit" }, 'did you mean "options.rate"? Allowed are');
});

kernelTest("htb", "Classes are the same in the kernel, set here and by tc", () => {
  using pair = new Pair();
  const { link, netns } = pair;
  const prepare = () => link.qdiscs.add({ kind: "htb", handle: "1:" });
  const look = () => {
    const read = link.classes.list().map(({ stats: _1, xstats: _2, ...rest }) => rest);
    // The one of Linux 6.1 does not know JSON here.
    return [read, run(netns.ref, "tc -d class show dev v0")] as const;
  };
  prepare();
  const lines: string[] = [];
  {
    using _trace = trace(({ command }) => lines.push(command));
    link.classes.add(CLASS_CASES.map(({ entry }) => entry));
  }
  const ours = look();
  for (const words of [lines, CLASS_CASES.map((it) => it.words)]) {
    link.qdiscs.flush();
    prepare();
    for (const line of words) run(netns.ref, line.replace("if10", "v0"));
    const [read, shown] = look();
    assertEquals(read, ours[0]);
    assertEquals(shown, ours[1]);
  }
  const all = link.classes.list();
  assertEquals(link.classes.get("1:10"), all.find(({ classid }) => classid === "1:10"));
  link.classes.flush();
  assertEquals(link.classes.list(), []);
  link.classes.add(all.toSorted((a, b) => a.classid < b.classid ? -1 : 1)); // what list() gave
  link.classes.change({ kind: "htb", classid: "1:10", parent: "1:1", options: { rate: "1mbit" } });
  const changed = link.classes.get("1:10");
  assertEquals(changed.kind === "htb" && [changed.options.rate, changed.options.ceil], [1e6, 1e6]);
  const busy = assertThrows(() => link.classes.delete("1:1"), NetlinkError);
  assertEquals(busy.code, "EBUSY");
  link.classes.delete(["1:10", "1:1"]);
  const error = assertThrows(() => link.classes.get("1:10"), NetlinkError);
  assertEquals(error.code, "ENOENT");
  assert(error.message.startsWith('get class "1:10" of veth "v0"'), error.message);
});

Deno.test("The tables of distributions are those of iproute2", () => {
  // Not exactly: its programs search a grid and stop at its edge.
  const most = { normal: 80, pareto: 0, paretonormal: 20 } as const;
  for (const name of ["normal", "pareto", "paretonormal"] as const) {
    const text = readDistribution(name);
    const theirs = text.replace(/^#.*$/gm, "").trim().split(/\s+/).map(Number);
    const ours = distributionTable(name)!;
    assertEquals(ours.length, theirs.length);
    const off = ours.map((value, i) => Math.abs(value - theirs[i]!));
    assert(Math.max(...off) <= most[name], `${name}: ${Math.max(...off)}`);
    assert(off.reduce((a, b) => a + b) / off.length < 1, name);
  }
});

function readDistribution(name: string): string {
  const folders = ["/usr/lib/tc", "/usr/share/tc", `/usr/lib/${Deno.build.arch}-linux-gnu/tc`];
  for (const folder of folders) {
    try {
      return Deno.readTextFileSync(`${folder}/${name}.dist`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  throw new Error(`iproute2 has no table of the distribution ${name}`);
}

test("Collections of traffic control refuse entries that are none, and show them", () => {
  using netns = NetNs.create();
  const lo = Link.get("lo", { netns });
  for (const collection of [lo.qdiscs, lo.classes, lo.filters]) {
    for (const wrong of [null, 5]) {
      for (const verb of ["add", "replace", "change", "delete"] as const) {
        const call = collection[verb].bind(collection) as (entry: unknown) => void;
        assertThrows(() => call(wrong), TypeError, `got ${wrong}`);
      }
    }
  }
});
