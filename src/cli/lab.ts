/**
 * The verbs that create, change and remove labs.
 *
 * @module
 */
import {
  down as takeDown,
  type LabPlan,
  list,
  plan as planOf,
  type ResolvedTopology,
  up as bringUp,
} from "../lab/mod.ts";
import { fileOf, isFile, labNameOf, labOf, nameOf, topologyOf } from "./lab_choice.ts";
import { didYouMean } from "../options.ts";
import type { Row } from "./out.ts";
import { type Call, numeric, word } from "./verb.ts";

/** `netloom up`. */
export async function up(call: Call): Promise<void> {
  if (call.options["dry-run"]) return await plan(call);
  const file = fileOf(call.args[0]);
  const topology = await topologyOf(file);
  const name = nameOf(topology, word(call, "name"));
  const timeout = numeric(call, "timeout");
  const stop = new AbortController();
  const interrupt = () => stop.abort(new Error("Interrupted: the lab is as before"));
  Deno.addSignalListener("SIGINT", interrupt);
  call.out.progress(`Bringing up ${topology.nodes.length} nodes, ${topology.wires.length} wires`);
  const start = performance.now();
  try {
    const lab = await bringUp(topology, {
      name,
      signal: stop.signal,
      ...timeout === undefined ? {} : { timeout: timeout * 1000 },
    });
    await using _lab = lab.persist();
    call.out.progress("");
    const seconds = ((performance.now() - start) / 1000).toFixed(2);
    call.out.result({ name, nodes: lab.nodes, wires: topology.wires.length }, nodeRows(topology));
    call.out.say(`Lab ${name} is up after ${seconds} s; netloom down ${name} removes it`);
  } finally {
    call.out.progress("");
    Deno.removeSignalListener("SIGINT", interrupt);
  }
}

/** `netloom down`. */
export async function down(call: Call): Promise<void> {
  const [argument] = call.args;
  const name = argument === undefined
    ? await labNameOf(call)
    : isFile(argument)
    ? nameOf(await topologyOf(argument), undefined)
    : argument;
  const removed = await takeDown(name);
  call.out.result({ name, removed });
  if (removed) return call.out.say(`Lab ${name} is gone`);
  const known = list().map((lab) => lab.name);
  call.out.say(`There is no lab ${name}${didYouMean(name, known)}`);
}

/** `netloom plan`. */
export async function plan(call: Call): Promise<void> {
  const topology = await topologyOf(fileOf(call.args[0]));
  const name = nameOf(topology, word(call, "name"));
  const found = planOf(topology, { name });
  call.out.result(found, call.options.commands ? commands(found) : steps(found));
  if (found.touches.length > 0) {
    call.out.say(`Touched, though others own it: ${found.touches.join(", ")}`);
  }
  for (const { object, wanted, got, by } of found.displaced) {
    call.out.say(`${object} has ${got}: its own place ${wanted} belongs to ${by}`);
  }
  const counts = Map.groupBy(found.steps, ({ verb }) => verb);
  const words = [...counts].map(([verb, all]) => `${all.length} to ${verb}`);
  call.out.say(words.length === 0 ? "Nothing changes" : words.join(", "));
}

const SIGNS = { create: "+", change: "~", remove: "-" } as const;

const steps = ({ steps }: LabPlan): Row[] =>
  steps.map(({ verb, node, object, command }): Row => ({
    "": SIGNS[verb],
    NODE: node,
    OBJECT: object,
    COMMAND: command,
  }));

const commands = ({ steps }: LabPlan): string =>
  steps.map(({ command }) => `${command}\n`).join("");

/** `netloom check`. */
export async function check(call: Call): Promise<void> {
  const file = fileOf(call.args[0]);
  const topology = await topologyOf(file);
  call.out.result({ file, nodes: topology.nodes.length, wires: topology.wires.length });
  call.out.say(`${file} is good: ${topology.nodes.length} nodes, ${topology.wires.length} wires`);
}

/** `netloom ps`. */
export function ps(call: Call): void {
  const labs = list();
  call.out.result(
    labs,
    labs.map((lab): Row => ({
      LAB: lab.name,
      STATE: lab.state,
      NODES: lab.nodes.length,
      WIRES: lab.wires,
      PROCESS: lab.pid,
      KEEPER: lab.keeper && (lab.keeper.pid ?? lab.keeper.state),
      NOTE: lab.note,
    })),
  );
  if (labs.length === 0) call.out.say("No lab runs: netloom up FILE brings one up");
}

/** `netloom show`. */
export async function show(call: Call): Promise<void> {
  const [argument] = call.args;
  if (argument !== undefined && isFile(argument)) {
    const topology = await topologyOf(argument);
    return call.out.result(topology, nodeRows(topology));
  }
  await using lab = await labOf(call);
  if (argument === undefined) return call.out.result(lab.topology, nodeRows(lab.topology));
  const node = lab.node(argument);
  const [links, addresses, routes] = [
    node.netns.links.list(),
    node.netns.addresses.list(),
    node.netns.routes.list({ table: "main" }),
  ];
  const name = new Map(links.map((link) => [link.index, link.name]));
  const rows = [
    ...links.map((link): Row => ({
      WHAT: "link",
      NAME: link.name,
      STATE: link.up ? "up" : "down",
      VALUE: addresses.filter(({ index }) => index === link.index).map(({ address }) => address),
    })),
    ...routes.map((route): Row => ({
      WHAT: "route",
      NAME: route.destination,
      VALUE: [
        ...route.gateway === undefined ? [] : [`via ${route.gateway}`],
        ...route.oif === undefined ? [] : [`dev ${name.get(route.oif)}`],
      ],
    })),
  ];
  call.out.result({ node: argument, links, addresses, routes }, rows);
}

/** The nodes of a topology: an interface a row. */
export function nodeRows({ nodes, wires }: ResolvedTopology): Row[] {
  const peers = new Map(wires.flatMap(({ ends: [a, b] }) => [[a, b], [b, a]] as const));
  return nodes.flatMap((node) =>
    node.interfaces.filter(({ kind }) => kind !== "loopback").map((it, i): Row => ({
      NODE: i === 0 ? node.name : "",
      KIND: i === 0 ? node.kind : "",
      INTERFACE: it.name,
      ADDRESSES: it.addresses,
      PEER: peers.get(`${node.name}:${it.name}`) ?? it.parent ?? "",
    }))
  );
}
