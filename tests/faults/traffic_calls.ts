// The calls that create, change and remove traffic control, nftables, impairments and interceptions.
import { NetNs } from "../../mod.ts";
import "../../src/nftables/mod.ts";
import "../../src/traffic/mod.ts";
import { supports } from "../../src/link/supports.ts";
import type { Veth } from "../../src/link/veth.ts";
import { asDisposable, type Call, type Place } from "./trial.ts";

type Act = (place: Place) => Disposable | void;

const lacks = (kind: Parameters<typeof supports>[0], name: string) =>
  supports(kind) ? undefined : `this kernel has no ${name}`;

/** The traffic control of both ends of the pair. */
function trafficOf({ veth }: Place): unknown[] {
  return [veth, veth.peer].flatMap((link: Veth) =>
    [link.qdiscs.list(), link.classes.list(), link.filters.list()].flat()
      // Queues that the kernel gives a link by itself come and go with its carrier.
      .filter((it) => !["noqueue", "noop", "pfifo_fast"].includes(it.kind))
      .map((it) => ({ ...it, xstats: undefined, options: { ...it.options, directPackets: 0 } }))
  );
}

/** A class with two children below an htb, and a filter. */
function shape({ veth }: Place): void {
  veth.qdiscs.add({ kind: "htb", handle: "1:", options: { default: "20" } });
  veth.classes.add([
    { kind: "htb", classid: "1:1", options: { rate: "20mbit" } },
    { kind: "htb", classid: "1:10", parent: "1:1", options: { rate: "15mbit" } },
    { kind: "htb", classid: "1:20", parent: "1:1", options: { rate: "5mbit" } },
  ]);
  veth.filters.add(FILTER);
}

const FILTER = {
  kind: "u32",
  parent: "1:",
  protocol: "ip",
  priority: 1,
  handle: "800::800",
  options: { match: [{ offset: 20, value: 5001, mask: 0xffff }], classid: "1:10" },
} as const;

const TBF = { rate: "10mbit", burst: "32kb", latency: "50ms" } as const;

/** Calls of traffic control, on a shaped link or a plain one. */
function shaping(calls: Readonly<Record<string, Act>>, prepare?: (place: Place) => void) {
  const missing = lacks({ qdisc: "htb" }, "htb") ?? lacks({ filter: "u32" }, "u32");
  return Object.fromEntries(
    Object.entries(calls).map(([name, make]): [string, Call] => [name, {
      ...(prepare && { prepare }),
      make,
      also: trafficOf,
      lacks: missing,
    }]),
  );
}

/** The ruleset, without the numbers that the kernel gives anew. */
function rulesetOf({ near }: Place): string[] {
  return near.nftables.list().map((table) =>
    JSON.stringify(
      table,
      (key, value) =>
        key === "handle" || key === "position"
          ? undefined
          : typeof value === "bigint"
          ? `${value}`
          : value,
    )
  );
}

const TABLE = {
  family: "inet",
  name: "t",
  sets: [{ name: "s", type: "ipv4_addr", elements: ["192.0.2.1", "192.0.2.2"] }],
  chains: [{
    name: "c",
    hook: "input",
    rules: [{ "ip saddr": "@s", counter: true, verdict: "drop" }, {
      "tcp dport": 22,
      verdict: "accept",
    }],
  }, { name: "d" }],
} as const;
const IN_TABLE = { family: "inet", table: "t" } as const;
const IN_CHAIN = { ...IN_TABLE, chain: "c" } as const;

function firewall(calls: Readonly<Record<string, Act>>, prepare?: (place: Place) => void) {
  const missing = withoutNftables();
  return Object.fromEntries(
    Object.entries(calls).map(([name, make]): [string, Call] => [name, {
      prepare: (place) => {
        place.near.nftables.add(TABLE);
        prepare?.(place);
      },
      make,
      also: rulesetOf,
      lacks: missing,
    }]),
  );
}

function withoutNftables(): string | undefined {
  using netns = NetNs.create();
  try {
    netns.nftables.list();
    return undefined;
  } catch (error) {
    return `this kernel has no nftables: ${(error as Error).message}`;
  }
}

const noUserEngine = lacks("tun", "tun") ?? lacks({ qdisc: "clsact" }, "clsact");

/** The table of all of them. */
export const TRAFFIC_CALLS: Readonly<Record<string, Call>> = {
  ...shaping({
    "qdiscs.add()": ({ veth }) =>
      void veth.qdiscs.add({ kind: "tbf", handle: "10:", options: TBF }),
    "qdiscs.add() of two": ({ veth }) =>
      void veth.qdiscs.add([{ kind: "clsact" }, { kind: "tbf", handle: "10:", options: TBF }]),
  }),
  ...shaping({
    "qdiscs.replace()": ({ veth }) =>
      void veth.qdiscs.replace({ kind: "tbf", handle: "10:", options: TBF }),
    "qdiscs.change()": ({ veth }) =>
      void veth.qdiscs.change({ kind: "tbf", handle: "10:", options: { ...TBF, rate: "20mbit" } }),
    "qdiscs.delete()": ({ veth }) => void veth.qdiscs.delete("root"),
    "qdiscs.flush()": ({ veth }) => void veth.qdiscs.flush(),
  }, ({ veth }) => void veth.qdiscs.add({ kind: "tbf", handle: "10:", options: TBF })),
  ...shaping({
    "classes.add()": ({ veth }) =>
      void veth.classes.add([
        { kind: "htb", classid: "1:30", parent: "1:1", options: { rate: "1mbit" } },
        { kind: "htb", classid: "1:40", parent: "1:1", options: { rate: "1mbit" } },
      ]),
    "classes.replace()": ({ veth }) =>
      void veth.classes.replace({
        kind: "htb",
        classid: "1:20",
        parent: "1:1",
        options: { rate: "1mbit" },
      }),
    "classes.change()": ({ veth }) =>
      void veth.classes.change({
        kind: "htb",
        classid: "1:20",
        parent: "1:1",
        options: { rate: "1mbit" },
      }),
    "classes.delete()": ({ veth }) => void veth.classes.delete("1:20"),
    "filters.add()": ({ veth }) => void veth.filters.add({ ...FILTER, handle: "800::801" }),
    "filters.replace()": ({ veth }) =>
      void veth.filters.replace({
        ...FILTER,
        options: { ...FILTER.options, classid: "1:20" },
      }),
    "filters.change()": ({ veth }) =>
      void veth.filters.change({
        ...FILTER,
        options: { ...FILTER.options, classid: "1:20" },
      }),
    "filters.delete()": ({ veth }) =>
      void veth.filters.delete(veth.filters.list().filter(({ handle }) => handle === "800::800")),
    "filters.flush()": ({ veth }) => void veth.filters.flush(),
  }, shape),
  ...shaping({
    "classes.flush()": ({ veth }) => void veth.classes.flush(),
  }, (place) => {
    shape(place);
    place.veth.filters.flush();
  }),
  "link.impair() of the kernel": {
    make: ({ veth }) => veth.impair({ rate: "10mbit" }),
    also: trafficOf,
    lacks: lacks({ qdisc: "tbf" }, "tbf"),
  },
  "link.impair() of this process": {
    make: ({ veth }) => veth.impair({ delay: "10ms", engine: "user" }),
    // Where nothing works any more this process keeps the redirect: its end restores the link.
    modes: ["once"],
    also: trafficOf,
    apart: ["read"], // frames: an error ends the loop, which says so
    lacks: noUserEngine,
  },
  "Impairment.clear()": {
    prepare: ({ veth }) => void veth.impair({ rate: "10mbit" }),
    make: ({ veth }) => void veth.impairment()?.clear(),
    also: trafficOf,
    lacks: lacks({ qdisc: "tbf" }, "tbf"),
  },
  "link.intercept()": {
    make: ({ veth }) => asDisposable(veth.intercept(() => {})),
    also: trafficOf,
    apart: ["read"], // frames: an error ends the loop, which says so
    lacks: noUserEngine,
  },
  ...firewall({
    "nftables.add()": ({ near }) => void near.nftables.add({ ...TABLE, name: "u" }),
    "nftables.replace()": ({ near }) =>
      void near.nftables.replace([{ ...TABLE, chains: [] }, { ...TABLE, name: "u" }]),
    "nftables.delete()": ({ near }) => void near.nftables.delete({ family: "inet", name: "t" }),
    "nftables.flush()": ({ near }) => void near.nftables.flush(),
    "nftables.monitor()": ({ near }) => asDisposable(near.nftables.monitor()),
    "chains.add()": ({ near }) => void near.nftables.chains.add({ ...IN_TABLE, name: "e" }),
    "chains.replace()": ({ near }) =>
      void near.nftables.chains.replace({ ...IN_TABLE, name: "c", hook: "input", policy: "drop" }),
    "chains.delete()": ({ near }) => void near.nftables.chains.delete({ ...IN_TABLE, name: "d" }),
    "chains.flush()": ({ near }) => void near.nftables.chains.flush(),
    "rules.add()": ({ near }) =>
      void near.nftables.rules.add([
        { ...IN_CHAIN, rule: { "udp dport": [53, 54], verdict: "accept" } },
        { ...IN_CHAIN, rule: { iifname: "lo", verdict: "accept" } },
      ]),
    "rules.replace()": ({ near }) => {
      const { handle } = near.nftables.rules.list()[0]!;
      near.nftables.rules.replace({
        ...IN_CHAIN,
        handle,
        rule: { iifname: "lo", verdict: "drop" },
      });
    },
    "rules.delete()": ({ near }) => {
      const { handle } = near.nftables.rules.list()[0]!;
      near.nftables.rules.delete({ ...IN_CHAIN, handle });
    },
    "rules.flush()": ({ near }) => void near.nftables.rules.flush(),
    "sets.add()": ({ near }) =>
      void near.nftables.sets.add({
        ...IN_TABLE,
        name: "r",
        type: "inet_service",
        elements: [22, 80],
      }),
    "sets.replace()": ({ near }) =>
      void near.nftables.sets.replace({
        ...IN_TABLE,
        name: "s",
        type: "ipv4_addr",
        elements: ["192.0.2.9"],
      }),
    "elements.add()": ({ near }) =>
      void near.nftables.elements.add({ ...IN_TABLE, set: "s", elements: ["192.0.2.3"] }),
    "elements.replace()": ({ near }) =>
      void near.nftables.elements.replace({ ...IN_TABLE, set: "s", elements: ["192.0.2.3"] }),
    "elements.delete()": ({ near }) =>
      void near.nftables.elements.delete({ ...IN_TABLE, set: "s", elements: ["192.0.2.1"] }),
    "elements.flush()": ({ near }) =>
      void near.nftables.elements.flush({ ...IN_TABLE, set: "s" } as never),
    "netns.masquerade()": ({ near }) => near.masquerade({ out: "br0", from: "10.0.0.0/24" }),
    "netns.drop()": ({ near }) => near.drop({ from: "10.0.0.9", proto: "icmp" }),
  }),
  ...firewall({
    "sets.delete()": ({ near }) => void near.nftables.sets.delete({ ...IN_TABLE, name: "s" }),
    "sets.flush()": ({ near }) => void near.nftables.sets.flush(),
  }, ({ near }) => near.nftables.rules.flush()),
};
