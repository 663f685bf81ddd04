/**
 * The verbs that use a running lab.
 *
 * @module
 */
import type { Lab } from "../lab/mod.ts";
import { labOf } from "./lab_choice.ts";
import type { Row } from "./out.ts";
import { type Call, numeric, UsageError } from "./verb.ts";

/** `netloom exec`: the exit code is the first that is not 0. */
export async function exec(call: Call): Promise<number> {
  const [program, ...args] = call.rest;
  if (program === undefined) {
    throw new UsageError("exec needs a command after --: exec h1 -- ip link");
  }
  await using lab = await labOf(call);
  let worst = 0;
  const results: { node: string; code: number; stdout?: string; stderr?: string }[] = [];
  for (const name of call.args) {
    const stdio = call.out.json ? "piped" : "inherit";
    const command = lab.node(name).command(program, {
      args,
      stdin: "inherit",
      stdout: stdio,
      stderr: stdio,
    });
    if (!call.out.json && call.args.length > 1) call.out.say(`${name}:`);
    if (call.out.json) {
      const { code, stdout, stderr } = await command.output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      results.push({ node: name, code, stdout: text(stdout), stderr: text(stderr) });
      worst ||= code;
    } else worst ||= (await command.spawn().status).code;
  }
  if (call.out.json) call.out.result(results);
  return worst;
}

/** `netloom shell`. */
export async function shell(call: Call): Promise<number> {
  await using lab = await labOf(call);
  const [name = ""] = call.args;
  const stdio = { stdin: "inherit", stdout: "inherit", stderr: "inherit" } as const;
  // Ctrl-C is for the programs of the shell, not for this one.
  const ignore = () => {};
  Deno.addSignalListener("SIGINT", ignore);
  try {
    const program = Deno.env.get("SHELL") ?? "sh";
    call.out.say(`A shell in ${name}; exit leaves it`);
    const child = lab.node(name).command(program, {
      ...stdio,
      env: { PS1: `${name}# ` },
    }).spawn();
    const { code } = await child.status;
    call.out.result({ node: name, code });
    return code;
  } finally {
    Deno.removeSignalListener("SIGINT", ignore);
  }
}

/** `netloom ping`: without arguments the matrix of all nodes. */
export async function ping(call: Call): Promise<number> {
  await using lab = await labOf(call);
  const [from, to] = call.args;
  if (from === undefined) return await matrix(call, lab);
  if (to === undefined) throw new UsageError("ping takes two nodes, or none for all");
  const count = numeric(call, "count") ?? 3;
  const result = await lab.node(from).ping(to, { count, interval: 200 });
  call.out.result(result, [{
    FROM: from,
    TO: to,
    SENT: result.sent,
    RECEIVED: result.received,
    "MIN MS": milliseconds(result.min),
    "AVG MS": milliseconds(result.avg),
    "MAX MS": milliseconds(result.max),
  }]);
  return result.received > 0 ? 0 : 1;
}

const milliseconds = (time: number | undefined): string => time?.toFixed(2) ?? "";

async function matrix(call: Call, lab: Lab): Promise<number> {
  call.out.progress("Pinging all pairs");
  const { nodes, times, missing } = await lab.reachability();
  call.out.progress("");
  const all = nodes.map((from) => ({
    from,
    times: Object.fromEntries(
      nodes.filter((to) => to !== from).map((to) => [to, times.get(from)!.get(to) ?? null]),
    ),
  }));
  call.out.result(
    { nodes: all, missing },
    all.map(({ from, times }): Row => ({
      "MS": from,
      ...Object.fromEntries(nodes.map((to) => {
        const time = times[to];
        return [to, to === from ? "·" : time == null ? "✗" : milliseconds(time)];
      })),
    })),
  );
  const pairs = nodes.length * (nodes.length - 1);
  call.out.say(`${pairs - missing.length} of ${pairs} pairs reach each other`);
  return missing.length === 0 ? 0 : 1;
}

/** `netloom cut`. */
export async function cut(call: Call): Promise<void> {
  await using lab = await labOf(call);
  const [a, b] = call.args as [string, string];
  lab.link(a, b).cut({ oneWay: call.options["one-way"] === true });
  call.out.result({ from: a, to: b, cut: true });
  call.out.say(`${a} -- ${b} is cut; netloom heal ${a} ${b} heals it`);
}

/** `netloom heal`: a wire, or without arguments everything that was cut or parted. */
export async function heal(call: Call): Promise<void> {
  await using lab = await labOf(call);
  const [a, b] = call.args;
  if (a === undefined) lab.heal();
  else if (b === undefined) throw new UsageError("heal takes two nodes, or none for everything");
  else lab.link(a, b).heal();
  call.out.result({ from: a, to: b, cut: false });
  call.out.say(a === undefined ? "All cuts and partitions are healed" : `${a} -- ${b} is healed`);
}

/** `netloom partition a,b c`. */
export async function partition(call: Call): Promise<void> {
  await using lab = await labOf(call);
  const groups = call.args.map((group) => group.split(",").filter(Boolean));
  lab.partition(...groups);
  call.out.result({ groups });
  call.out.say(
    `Parted: ${groups.map((group) => group.join(", ")).join(" | ")}; netloom heal ends it`,
  );
}

/** `netloom watch`. */
export async function watch(call: Call): Promise<number> {
  await using lab = await labOf(call);
  using events = lab.events();
  let left = numeric(call, "count") ?? Infinity;
  let interrupted = false;
  const stop = () => {
    interrupted = true;
    events.close();
  };
  Deno.addSignalListener("SIGINT", stop);
  const { lineOf } = await import("./monitor.ts");
  try {
    for await (const { node, event } of events) {
      if (event.type === "snapshot") continue;
      call.out.event({ node, ...event }, `${node}: ${lineOf(event)}\n`);
      if (--left <= 0) break;
    }
  } finally {
    Deno.removeSignalListener("SIGINT", stop);
  }
  return interrupted ? 130 : 0;
}
