// A namespace with monitors, iproute2's view of it, and events as short lines.
import { type NetNsRef, newNetNs, within } from "../../ffi/namespace.ts";
import { connectionTo } from "../../src/netlink/connections.ts";
import type { Monitor } from "../../src/observe/monitor.ts";
import type { MonitorEvent, SnapshotEvent } from "../../src/observe/event.ts";
import { setLink, upFlags } from "../../src/rtnetlink/link.ts";
import { bridge, ip, type Json } from "../helpers.ts";
import "../../src/link/mod.ts"; // decodes the options of links

/** Calls `use` with two new namespaces. IPv6 is off in them, or has no automatic addresses. */
export async function inNetNs(
  use: (ref: NetNsRef, other: NetNsRef) => Promise<void>,
  options: { ipv6?: boolean } = {},
): Promise<void> {
  using ref = newNetNs("the test's netns");
  using other = newNetNs("the test's other netns");
  for (const netns of [ref, other]) {
    const off = (path: string, value: string) =>
      within(netns, () => Deno.writeTextFileSync(`/proc/sys/net/ipv6/conf/${path}`, value));
    if (options.ipv6) off("default/addr_gen_mode", "1");
    else for (const which of ["all", "default"]) off(`${which}/disable_ipv6`, "1");
  }
  // For a change of an alias, as for many others, the kernel sends an event only while the link is up.
  connectionTo(ref).request(setLink({ index: 1, ...upFlags(true) }));
  connectionTo(other).request(setLink({ index: 1, ...upFlags(true) }));
  await use(ref, other);
}

let marks = 0;

/** Reads the events so far: up to a change that it makes itself and leaves out. */
export async function collect(events: Monitor, ref: NetNsRef): Promise<MonitorEvent[]> {
  const seen: MonitorEvent[] = [];
  let pending = events.next();
  const idle = Symbol();
  // Doubtful entries are read again when the queue is empty, so wait for that before the mark.
  for (;;) {
    const first = await Promise.race([
      pending,
      new Promise<typeof idle>((resolve) => setTimeout(() => resolve(idle), 5)),
    ]);
    if (first === idle) break;
    if (first.done) return seen;
    seen.push(first.value);
    pending = events.next();
  }
  // After an overrun the first mark may be part of the new reading, ahead of other events.
  let next: Promise<IteratorResult<MonitorEvent>> | undefined = pending;
  for (const alias of [`mark ${++marks}`, `mark ${++marks}`]) {
    connectionTo(ref).request(setLink({ index: 1, alias }));
    for (;;) {
      const { value, done } = await (next ?? events.next());
      next = undefined;
      if (done) return seen;
      if (value.type === "link" && value.link.alias === alias) break;
      seen.push(value);
    }
  }
  return seen;
}

/** The first event, which is the snapshot. */
export async function snapshotOf(events: Monitor): Promise<SnapshotEvent> {
  const { value } = await events.next();
  if (value?.type !== "snapshot") throw new Error(`The first event is ${value?.type}`);
  return value;
}

/** An event as a line: `link change br0 mtu`. */
export function line(event: MonitorEvent): string {
  if (event.type === "snapshot" || event.type === "overrun") return event.type;
  const what = event.type === "link"
    ? event.link.name
    : event.type === "address"
    ? event.address.address
    : event.type === "route"
    ? event.route.destination
    : event.type === "neighbor"
    ? event.neighbor.address
    : event.type === "fdb"
    ? event.fdb.mac
    : event.type === "rule"
    ? `${event.rule.family} ${event.rule.priority}`
    : event.type === "qdisc"
    ? `${event.qdisc.kind} ${event.qdisc.parent}`
    : event.type === "class"
    ? event.class.classid
    : `${event.filter.kind} ${event.filter.parent} ${event.filter.priority}`;
  const changed = event.action === "change" ? ` ${[...event.changed].sort().join(",")}` : "";
  return `${event.type} ${event.action} ${what}${changed}`;
}

/** The tables as sorted lines, with the properties that iproute2 shows too. */
export type View = Record<
  Exclude<keyof SnapshotEvent, "type" | "rules" | "qdiscs" | "classes" | "filters">,
  string[]
>;

const text = (...values: unknown[]) => values.map((value) => value ?? "-").join(" ");
const sorted = (lines: Iterable<string>) => [...lines].sort();

/** An alias, unless it is a mark of a test. */
const unmarked = (alias: unknown) => /^(mark|end) \d+$/.test(String(alias)) ? undefined : alias;

/** The tables of a namespace as iproute2 shows them. */
export function viewOf(ref: NetNsRef): View {
  const routes = ["-4", "-6"].flatMap((family) => ip(ref, `${family} -j route show table all`));
  const flags = (all: string[]) =>
    all.filter((flag) => flag !== "NO-CARRIER" && flag !== "M-DOWN").sort().join();
  const nexthop = (it: Json) => text(it.gateway ?? (it.via as Json | undefined)?.host, it.dev);
  return {
    links: sorted(
      ip(ref, "-j link show").map((it) =>
        text(it.ifindex, it.ifname, it.mtu, it.address, it.operstate, flags(it.flags as string[])) +
        ` ${text(it.master, unmarked(it.ifalias))}`
      ),
    ),
    addresses: sorted(
      ip(ref, "-j address show").flatMap((it) =>
        (it.addr_info as Json[]).filter((a) => a.local !== undefined).map((a) =>
          text(it.ifname, `${a.local}/${a.prefixlen}`, a.scope, a.label)
        )
      ),
    ),
    routes: sorted(
      routes.map((it) =>
        text(it.type ?? "unicast", it.dst, it.table ?? "main", it.metric, it.protocol ?? "boot") +
        " " +
        ((it.nexthops as Json[] | undefined) ?? [it]).map(nexthop).sort().join()
      ),
    ),
    neighbors: sorted(
      ip(ref, "-j neigh show nud all").map((it) =>
        text(it.dst, it.dev, it.lladdr, (it.state as string[]).join().toLowerCase())
      ),
    ),
    fdb: sorted(
      bridge(ref, "-j fdb show").map((it) =>
        text(it.mac, it.ifname, it.master, it.vlan, it.state || "dynamic")
      ),
    ),
  };
}

/** The tables of a snapshot. */
export function viewOfSnapshot(tables: Omit<SnapshotEvent, "type">): View {
  const names = new Map(tables.links.map((link) => [link.index, link.name]));
  const name = (index: number | undefined) => index === undefined ? undefined : names.get(index);
  const host = (prefix: string) => prefix.replace(/(?<=\..*)\/32$|(?<=:.*)\/128$/, "");
  return {
    links: sorted(tables.links.map((it) => {
      const flags = it.flags.filter((flag) => flag !== "RUNNING").sort().join();
      return text(it.index, it.name, it.mtu, it.mac, String(it.operstate).toUpperCase(), flags) +
        ` ${text(name(it.master), unmarked(it.alias))}`;
    })),
    addresses: sorted(
      tables.addresses.map((it) => text(name(it.index), it.address, it.scope, it.label)),
    ),
    routes: sorted(
      tables.routes.map((it) =>
        text(it.type, host(it.destination), it.table, it.metric, it.protocol) + " " +
        (it.nexthops ?? [it]).map(({ gateway, oif }) => text(gateway, name(oif))).sort().join()
      ),
    ),
    neighbors: sorted(
      tables.neighbors.map((it) => text(it.address, name(it.index), it.lladdr, it.state)),
    ),
    fdb: sorted(
      tables.fdb.map((it) => text(it.mac, name(it.index), name(it.master), it.vlan, it.state)),
    ),
  };
}

/** Without the multicast groups of links: the kernel sends no events for them. */
export function told(view: View): View {
  return { ...view, fdb: view.fdb.filter((entry) => !/^\S+ \S+ - /.test(entry)) };
}

/** Waits until nothing changes by itself, and returns the tables as iproute2 shows them. */
export async function atRest(ref: NetNsRef): Promise<View> {
  for (let view = told(viewOf(ref));;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const next = told(viewOf(ref));
    if (JSON.stringify(view) === JSON.stringify(next)) return view;
    view = next;
  }
}

/** Waits until the kernel has noticed the carrier of a link: before 6.8 this takes up to a second. */
export async function noticed(ref: NetNsRef, name: string): Promise<void> {
  while (ip(ref, `-j link show ${name}`)[0]!.operstate === "UNKNOWN") {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Waits until an IPv6 address is in use: a moment, even without duplicate address detection. */
export async function inUse(ref: NetNsRef, address: string): Promise<void> {
  while (!ip(ref, "-6 -j route show table local").some(({ dst }) => dst === address)) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The tables of a snapshot, kept up to date with events. */
export class Replica {
  readonly #things = new Map<unknown, MonitorEvent["type"]>();

  constructor(snapshot: SnapshotEvent) {
    const { links, addresses, routes, neighbors, fdb, rules } = snapshot;
    const { qdiscs, classes, filters } = snapshot;
    const lists = {
      ...{ link: links, address: addresses, route: routes, neighbor: neighbors, fdb, rule: rules },
      ...{ qdisc: qdiscs, class: classes, filter: filters },
    };
    for (const [type, list] of Object.entries(lists)) {
      for (const thing of list) this.#things.set(thing, type as MonitorEvent["type"]);
    }
  }

  /** Applies an event: a removed or changed object must exist, an added one must not. */
  apply(event: MonitorEvent): void {
    if (event.type === "snapshot") throw new Error("A second snapshot");
    if (event.type === "overrun") return;
    const thing = (event as unknown as Record<string, unknown>)[event.type];
    if (event.action === "add") {
      if (this.#things.has(thing)) throw new Error(`${line(event)}: it was there`);
      this.#things.set(thing, event.type);
      return;
    }
    const before = event.action === "change" ? event.previous : thing;
    const same = this.#find(event.type, before);
    if (same === undefined) throw new Error(`${line(event)}: it was not there`);
    this.#things.delete(same);
    if (event.action === "change") this.#things.set(thing, event.type);
  }

  /** The tables now. */
  get tables(): Omit<SnapshotEvent, "type"> {
    const all = <T>(type: MonitorEvent["type"]) =>
      [...this.#things].filter(([, own]) => own === type).map(([thing]) => thing as T);
    return {
      links: all("link"),
      addresses: all("address"),
      routes: all("route"),
      neighbors: all("neighbor"),
      fdb: all("fdb"),
      rules: all("rule"),
      qdiscs: all("qdisc"),
      classes: all("class"),
      filters: all("filter"),
    };
  }

  /** By identity, or by name: there is no event when only counters of an object differ. */
  #find(type: MonitorEvent["type"], thing: unknown): unknown {
    if (this.#things.has(thing)) return thing;
    const key = nameOf(type, thing);
    for (const [other, own] of this.#things) {
      if (own === type && nameOf(type, other) === key) return other;
    }
    return undefined;
  }
}

function nameOf(type: MonitorEvent["type"], thing: unknown): string {
  const it = thing as Json;
  const { index, address, peer, family, destination, table, oif, gateway, metric, mac, vlan } = it;
  return JSON.stringify(
    type === "link"
      ? [index]
      : type === "address" || type === "neighbor"
      ? [index, address, peer]
      : type === "route"
      ? [family, destination, table, oif, gateway, metric, it.nexthops]
      : type === "fdb"
      ? [mac, vlan, it.master ?? index]
      : type === "rule"
      ? { ...it, flags: undefined }
      : [index, it.parent, it.classid, it.priority, it.protocol, it.chain, it.handle],
  );
}

/** A reader of a monitor, with a replica of the tables. */
export class Watch {
  readonly replica: Replica;
  /** Number of events. */
  count = 0;
  /** Number of overruns. */
  overruns = 0;
  readonly #marks = [1, 2].map(() => Promise.withResolvers<void>());

  private constructor(snapshot: SnapshotEvent) {
    this.replica = new Replica(snapshot);
  }

  /** Reads from a monitor that watches links, until {@link Watch.finish}. */
  static async start(events: Monitor): Promise<Watch> {
    const watch = new Watch(await snapshotOf(events));
    watch.#read(events).catch((error) => watch.#marks.forEach(({ reject }) => reject(error)));
    return watch;
  }

  /** Ends watches when they have read all events of their namespace. */
  static async finish(watches: readonly Watch[], ref: NetNsRef): Promise<void> {
    // A monitor reads doubtful entries again when the queue is empty: after the first mark.
    for (const i of [0, 1]) {
      connectionTo(ref).request(setLink({ index: 1, alias: `end ${i}` }));
      await Promise.all(watches.map((watch) => watch.#marks[i]!.promise));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async #read(events: Monitor): Promise<void> {
    for await (const event of events) {
      this.count++;
      if (event.type === "overrun") this.overruns++;
      this.replica.apply(event);
      const alias = event.type === "link" ? event.link.alias : undefined;
      if (alias === "end 0") this.#marks[0]!.resolve();
      if (alias !== "end 1") continue;
      this.#marks[1]!.resolve();
      break;
    }
  }
}
