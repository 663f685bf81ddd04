/**
 * A grid of nodes, or a star of hosts on a switch: up and ready, and down until nothing is left.
 *
 * `deno run -A lab_child.ts HOW SIZE [star]`: `lab` and `lab-routes` by `up()`, without and with derived routes;
 * `calls` and `calls-routes` the same objects by a call each; `again` a second `up()` of an unchanged lab
 * with a name; `check` the check of a grid. Prints one line of JSON.
 *
 * @module
 */
import { Bridge, NetNs, Scope, Veth } from "@netloom/netloom";
import {
  check,
  down,
  resolve,
  type ResolvedTopology,
  star,
  type TopologySpec,
  up,
} from "@netloom/netloom/lab";
import { cpuTime } from "./_measure.ts";

/** The times of one run. */
export interface LabTimes {
  /** Milliseconds of the creation, or of the second `up()` or the check. */
  readonly create_ms: number;
  /** Processor time of it. */
  readonly create_cpu_ms: number;
  /** Milliseconds until nothing was left. */
  readonly delete_ms: number;
  /** Processor time of that. */
  readonly delete_cpu_ms: number;
}

/** A grid of routers. */
export function gridSpec(size: number, routing: "none" | "static"): TopologySpec {
  const name = (x: number, y: number) => `n${x}-${y}`;
  const nodes: Record<string, { kind: "router" }> = {};
  const links: { endpoints: [string, string] }[] = [];
  for (let x = 0; x < size; x++) {
    for (let y = 0; y < size; y++) {
      nodes[name(x, y)] = { kind: "router" };
      if (x + 1 < size) links.push({ endpoints: [name(x, y), name(x + 1, y)] });
      if (y + 1 < size) links.push({ endpoints: [name(x, y), name(x, y + 1)] });
    }
  }
  return { addressing: { ipv4: "10.0.0.0/8" }, routing, nodes, links };
}

/** The same network by a call for each object. */
async function byCalls(topology: ResolvedTopology): Promise<AsyncDisposable> {
  const scope = Scope.open();
  const nodes = new Map(topology.nodes.map((node) => {
    const netns = NetNs.create(undefined, { scope });
    for (const [name, value] of Object.entries(node.sysctls)) netns.sysctl(name, value);
    netns.sysctl("net.ipv6.conf.default.disable_ipv6", 1);
    for (const { kind, name, mac } of node.interfaces) {
      if (kind === "bridge") Bridge.create({ scope, netns, name, mac: mac!, stp: false, up: true });
    }
    return [node.name, { node, netns }];
  }));
  const interfaces = new Map(
    topology.nodes.flatMap((node) =>
      node.interfaces.map((it) => [`${node.name}:${it.name}`, it] as const)
    ),
  );
  const end = (endpoint: string) => {
    const [name, link] = endpoint.split(":") as [string, string];
    const { netns } = nodes.get(name)!;
    const { mac, mtu, addresses, master } = interfaces.get(endpoint as `${string}:${string}`)!;
    const port = master === undefined ? {} : { master };
    return { name: link, netns, mac: mac!, mtu: mtu!, up: true, addresses, ...port };
  };
  for (const { ends: [a, b] } of topology.wires) {
    Veth.create({ ...end(a), scope, peer: end(b) });
  }
  for (const { node, netns } of nodes.values()) {
    for (const { destination, nexthops } of node.routes) {
      netns.routes.add({ destination, gateway: nexthops[0]!.gateway! });
    }
  }
  await scope.ready();
  return scope;
}

if (import.meta.main) {
  const [how = "lab", size = "10", shape = "grid"] = Deno.args;
  const spec = shape === "star"
    ? star(Number(size))
    : gridSpec(Number(size), how.endsWith("-routes") ? "static" : "none");
  const timed = async <T>(job: () => T | PromiseLike<T>) => {
    const [cpu, started] = [cpuTime(), performance.now()];
    const value = await job();
    return { value, ms: performance.now() - started, cpu_ms: cpuTime() - cpu };
  };
  const print = (created: { ms: number; cpu_ms: number }, removed = created) => {
    const times: LabTimes = {
      create_ms: created.ms,
      create_cpu_ms: created.cpu_ms,
      delete_ms: removed.ms,
      delete_cpu_ms: removed.cpu_ms,
    };
    console.log(JSON.stringify(times));
  };
  if (how === "check") {
    check(gridSpec(2, "none"));
    print(await timed(() => check(spec)));
  } else if (how === "again") {
    const name = `bench-${Deno.pid}`;
    await (await up(spec, { name })).persist()[Symbol.asyncDispose]();
    const again = await timed(() => up(spec, { name }));
    await again.value.persist()[Symbol.asyncDispose]();
    print(again, await timed(() => down(name)));
  } else {
    // The topology is part of neither: check and resolve have a row of their own.
    const topology = resolve(spec);
    const created = how.startsWith("lab")
      ? await timed<AsyncDisposable>(() => up(topology))
      : await timed(() => byCalls(topology));
    print(created, await timed(() => created.value[Symbol.asyncDispose]()));
  }
}
