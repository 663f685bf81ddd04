import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  BatchError,
  capabilities,
  Link,
  NetNs,
  supports,
  trace,
  UnsupportedError,
} from "../../mod.ts";
import "../../src/traffic/mod.ts";
import type { FilterOptions, QdiscOptions, TrafficKind } from "../../src/traffic/mod.ts";
import { run } from "../helpers.ts";
import { test } from "../leaks.ts";

/** A line of `tc` for each kind, and the kernel's words where it lacks it. */
const QDISCS: Readonly<Record<string, string>> = {
  bfifo: "root bfifo limit 9000",
  clsact: "clsact",
  fq_codel: "root fq_codel",
  htb: "root htb",
  ingress: "ingress",
  netem: "root netem delay 1ms",
  pfifo: "root pfifo limit 9",
  prio: "root prio",
  tbf: "root tbf rate 1mbit burst 2000 limit 2000",
};
const FILTERS: Readonly<Record<string, string>> = {
  flower: "flower classid 1:1",
  bpf: "bpf bytecode '1,6 0 0 0' classid 1:1",
  fw: "fw classid 1:1",
  matchall: "matchall classid 1:1",
  u32: "u32 match u32 0 0 classid 1:1",
};
const ACTIONS: Readonly<Record<string, string>> = {
  gact: "gact drop",
  mirred: "mirred egress mirror dev lo",
  police: "police rate 1mbit burst 2000",
  skbedit: "skbedit mark 1",
};

/** The refusal of a shell command; empty when it succeeds. */
function refusal(netns: NetNs, line: string): string {
  try {
    run(netns.ref, line);
    return "";
  } catch (error) {
    return String(error);
  }
}

test("supports() agrees with tc about queueing disciplines, filters and actions", () => {
  const { qdiscs, filters, actions } = capabilities();
  for (
    const [lines, names] of [[QDISCS, qdiscs], [FILTERS, filters], [ACTIONS, actions]] as const
  ) {
    assertEquals(Object.keys(names), Object.keys(lines).sort());
  }
  for (const [kind, words] of Object.entries(QDISCS)) {
    using netns = NetNs.create();
    const text = refusal(netns, `tc qdisc add dev lo ${words}`);
    assertEquals(supports({ qdisc: kind }), !text.includes("qdisc kind is unknown"), text);
    assertEquals(qdiscs[kind], supports({ qdisc: kind }), kind);
  }
  for (const [kind, words] of Object.entries(FILTERS)) {
    using netns = NetNs.create();
    run(netns.ref, "tc qdisc add dev lo clsact");
    const text = refusal(
      netns,
      `tc filter add dev lo ingress protocol ip prio 1 handle 1 ${words}`,
    );
    assertEquals(supports({ filter: kind }), !text.includes("TC classifier not found"), text);
    assertEquals(filters[kind], supports({ filter: kind }), kind);
  }
  for (const [kind, words] of Object.entries(ACTIONS)) {
    using netns = NetNs.create();
    const text = refusal(netns, `tc actions add action ${words}`);
    assertEquals(supports({ action: kind }), !text.includes("TC action module"), text);
    assertEquals(actions[kind], supports({ action: kind }), kind);
  }
});

test("supports() of traffic control asks once, and takes one name of a kind", () => {
  assertEquals(supports({ qdisc: "nonsense" }), false);
  assertEquals(supports({ filter: "nonsense" }), false);
  assertEquals(supports({ action: "nonsense" }), false);
  const asked: string[] = [];
  using _trace = trace(({ command }) => asked.push(command));
  supports({ qdisc: "nonsense" });
  supports({ filter: "nonsense" });
  supports({ action: "nonsense" });
  assertEquals(asked, []);
  for (const kind of [{}, { qdisc: "" }, { qdisc: 5 }, { qdisc: "tbf", filter: "u32" }]) {
    const message = "kind must have one of qdisc, filter and action";
    assertThrows(() => supports(kind as TrafficKind), TypeError, message);
  }
  assertThrows(
    () => supports({ qdics: "tbf" } as unknown as TrafficKind),
    TypeError,
    'Unknown option "kind.qdics": did you mean "kind.qdisc"?',
  );
  assertThrows(
    () => supports({ qdisc: "netem" }, "sead"),
    TypeError,
    'Unknown option "sead": did you mean "seed"?',
  );
});

const { qdiscs, filters, actions } = capabilities();

/** Kinds that the kernel lacks, as options, and their names in errors. */
const lacking: readonly {
  name: string;
  config: string;
  module: string;
  set: (lo: Link) => void;
}[] = [
  ...Object.keys(qdiscs).filter((kind) => !qdiscs[kind]).map((kind) => ({
    name: kind,
    config: `CONFIG_NET_SCH_${kind.toUpperCase()}`,
    module: `sch_${kind}`,
    set: ({ qdiscs }: Link) => qdiscs.add({ kind } as QdiscOptions),
  })),
  ...Object.keys(filters).filter((kind) => !filters[kind]).map((kind) => ({
    name: kind,
    config: `CONFIG_NET_CLS_${kind.toUpperCase()}`,
    module: `cls_${kind}`,
    set: ({ filters }: Link) =>
      filters.add({ kind, parent: "ingress", priority: 1 } as FilterOptions),
  })),
  ...Object.keys(actions).filter((kind) => !actions[kind]).map((kind) => ({
    name: kind,
    config: `CONFIG_NET_ACT_${kind.toUpperCase()}`,
    module: `act_${kind}`,
    set: ({ filters }: Link) =>
      filters.add({
        kind: "u32",
        parent: "ingress",
        priority: 1,
        options: {
          actions: [
            { kind: "mirred", action: "mirror", dev: "lo" },
            { kind, ...(kind === "police" ? { rate: "1mbit", burst: 2000 } : {}) },
          ],
        },
      } as unknown as FilterOptions),
  })),
];

for (const { name, config, module, set } of lacking) {
  test(`Without ${name} in the kernel, an UnsupportedError names ${config}`, () => {
    using netns = NetNs.create();
    const lo = Link.get("lo", { netns });
    lo.qdiscs.add({ kind: "clsact" });
    const error = assertThrows(() => set(lo), UnsupportedError);
    const { kind, code } = error;
    assertEquals([kind, error.config, error.module, code], [name, config, module, "ENOENT"]);
    assert(error.message.includes(`${config}, module ${module}, brings it`), error.message);
    assertEquals([lo.qdiscs.list().length, lo.filters.list()], [2, []]);
  });
}

const missing = Object.keys(qdiscs).find((kind) => !qdiscs[kind]);

test(
  "Of many, the error says that the kernel lacks a kind, and has it as its cause",
  { lacks: missing === undefined ? "for kernels without it" : undefined },
  () => {
    using netns = NetNs.create();
    const lo = Link.get("lo", { netns });
    const before = lo.qdiscs.list();
    const entries = [{ kind: "clsact" }, { kind: missing }] as QdiscOptions[];
    const error = assertThrows(() => lo.qdiscs.add(entries), BatchError);
    assert(error.cause instanceof UnsupportedError && error.cause.kind === missing);
    assert(error.message.includes(`the running kernel lacks the queueing discipline ${missing}`));
    assertEquals(lo.qdiscs.list(), before);
  },
);

test(
  "An option that netem of the kernel ignores is refused",
  { lacks: supports({ qdisc: "netem" }) ? undefined : "this kernel has no netem" },
  () => {
    using netns = NetNs.create();
    const { qdiscs } = Link.get("lo", { netns });
    const [major, minor] = capabilities().kernel.split(".").map(Number) as [number, number];
    const has = major > 6 || major === 6 && minor >= 6;
    assertEquals(supports({ qdisc: "netem" }, "seed"), has);
    const before = qdiscs.list();
    const set = () => qdiscs.add({ kind: "netem", options: { loss: "1%", seed: 7 } });
    if (has) {
      set();
      const { kind, options } = qdiscs.get("root");
      assertEquals(kind === "netem" && options.seed, 7);
    } else {
      const error = assertThrows(set, UnsupportedError);
      assertEquals([error.kind, error.option, error.linux], ["netem", "seed", "6.6"]);
      assertEquals(qdiscs.list(), before);
    }
  },
);
