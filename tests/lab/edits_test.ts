// Random edits of a running lab: after each, up() leaves what a fresh up() of the same topology leaves, and
// pings over links that the edit does not touch lose nothing. LAB_EDITS says how many, LAB_SEED with which seed.
import { assertEquals } from "@std/assert";
import { NetNs } from "../../mod.ts";
import {
  down,
  plan,
  resolve,
  type ResolvedTopology,
  type TopologySpec,
  up,
} from "../../src/lab/mod.ts";
import { test } from "../leaks.ts";
import { dump } from "./dump.ts";

const EDITS = Number(Deno.env.get("LAB_EDITS") ?? 12);
const SEED = Number(Deno.env.get("LAB_SEED") ?? 1);

/** A generator of numbers in 0..1 (mulberry32). */
function random(seed: number): () => number {
  return () => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 4294967296;
  };
}

interface Draft {
  nodes: Record<string, Record<string, unknown>>;
  links: Record<string, unknown>[];
  ipv6: boolean;
}

/** Makes one random change. */
function edit(draft: Draft, next: () => number): void {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
  const names = Object.keys(draft.nodes).filter((name) => name !== "p" && name !== "q");
  const what = Math.floor(next() * 8);
  if (what === 0 || names.length < 3) {
    const name = `n${Math.floor(next() * 20)}`;
    if (draft.nodes[name]) return;
    draft.nodes[name] = { kind: pick(["host", "router", "router"]) };
    draft.links.push({ endpoints: [name, pick(names.length > 0 ? names : ["p"])] });
  } else if (what === 1) {
    const gone = pick(names);
    delete draft.nodes[gone];
    draft.links = draft.links.filter((link) => {
      const ends = (link.endpoints ?? link.segment) as string[];
      return !ends.includes(gone);
    });
  } else if (what === 2) {
    const [a, b] = [pick(names), pick(names)];
    const taken = draft.links.some(({ endpoints }) => {
      const ends = endpoints as string[] | undefined;
      return ends?.includes(a) && ends.includes(b);
    });
    if (a !== b && !taken) draft.links.push({ endpoints: [a, b] });
  } else if (what === 3 && draft.links.length > 2) {
    draft.links.splice(1 + Math.floor(next() * (draft.links.length - 1)), 1);
  } else if (what === 4) {
    const link = pick(draft.links.slice(1).concat({}));
    if (next() < 0.5) link.mtu = pick([1400, 1500, 9000]);
    else delete link.mtu;
  } else if (what === 5) {
    const node = draft.nodes[pick(names)]!;
    if (next() < 0.3) delete node.sysctls;
    else node.sysctls = { "net.ipv4.tcp_ecn": pick(["0", "1"]), "net.ipv4.ip_default_ttl": "32" };
  } else if (what === 6) {
    const node = draft.nodes[pick(names)]!;
    node.kind = node.kind === "host" ? "router" : "host";
  } else if (next() < 0.3) draft.ipv6 = !draft.ipv6;
  else {
    const members = [...new Set([pick(names), pick(names), pick(names)])];
    const name = `lan${Math.floor(next() * 5)}`;
    if (members.length > 1 && !draft.links.some((it) => it.name === name)) {
      draft.links.push({ segment: members, name });
    }
  }
}

function topologyOf({ nodes, links, ipv6 }: Draft): ResolvedTopology {
  const addressing = { ipv4: "10.0.0.0/12", ...(ipv6 && { ipv6: "fd00::/48" }) };
  return resolve({ addressing, nodes, links } as unknown as TopologySpec);
}

const names = (lab: string) => NetNs.list().filter((it) => it.startsWith(`${lab}.`));

async function start(topology: ResolvedTopology, name: string): Promise<void> {
  await using lab = await up(topology, { name });
  lab.persist();
}

test(`${EDITS} random edits of a running lab leave the same as a fresh up()`, async () => {
  const next = random(SEED);
  const draft: Draft = {
    nodes: { p: { kind: "host" }, q: { kind: "host" }, n0: { kind: "router" }, n1: {}, n2: {} },
    links: [{ endpoints: ["p", "q"] }, { endpoints: ["n0", "n1"] }, { endpoints: ["n0", "n2"] }],
    ipv6: false,
  };
  await start(topologyOf(draft), "edited");
  for (let i = 1; i <= EDITS; i++) {
    const before = draft.ipv6;
    edit(draft, next);
    const topology = topologyOf(draft);
    const where = `edit ${i} of seed ${SEED}: ${JSON.stringify(draft)}`;
    const address = topology.hosts.find(({ name }) => name === "q")!.addresses[0]!;
    const p = NetNs.open("edited.p");
    // New addresses of all links are an edit of this one, too.
    const ping = before === draft.ipv6
      ? p.ping(address, { count: 20, interval: 10, timeout: 10_000 })
      : Promise.resolve({ loss: 0 });
    try {
      await start(topology, "edited");
      assertEquals((await ping).loss, 0, where);
    } catch (error) {
      throw new Error(where, { cause: error });
    } finally {
      await ping.catch(() => {});
      p[Symbol.dispose]();
    }
    assertEquals(plan(topology, { name: "edited" }).steps, [], where);
    await start(topology, "fresh");
    assertEquals(dump(names("edited")), dump(names("fresh")), where);
    await down("fresh");
  }
  await down("edited");
});
