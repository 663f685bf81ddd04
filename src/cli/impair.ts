/**
 * `netloom impair`.
 *
 * @module
 */
import type { Lab } from "../lab/mod.ts";
import type { ImpairOptions } from "../traffic/impairment_values.ts";
import { labOf } from "./lab_choice.ts";
import type { Row } from "./out.ts";
import { type Call, UsageError } from "./verb.ts";

/** Shows, sets or clears the impairment of wires. */
export async function run(call: Call): Promise<number> {
  await using lab = await labOf(call);
  const [first = "", second, ...values] = call.args;
  if (first === "show" && second === undefined) return shown(call, lab);
  if (first === "clear") return cleared(call, lab);
  if (second === undefined) throw new UsageError("impair takes two nodes: impair h1 sw delay=20ms");
  const link = lab.link(first, second);
  if (values.length === 0) return shown(call, lab, `${first} ${second}`);
  const given = valuesOf(values);
  const options = call.options["one-way"] ? { out: given } : given;
  const impairment = link.impair({
    ...options,
    ...call.options.replace ? { replace: true } : {},
  } as ImpairOptions);
  call.out.result({
    from: first,
    to: second,
    engine: impairment.engine,
    values: impairment.values,
  });
  call.out.say(
    `${first} -- ${second} is impaired; netloom impair clear ${first} ${second} ends it`,
  );
  return 0;
}

/** `delay=20ms loss=1%` as options; the library checks names and values. */
function valuesOf(words: readonly string[]): Record<string, string | number> {
  return Object.fromEntries(words.map((word) => {
    const [name = "", ...rest] = word.split("=");
    if (rest.length === 0) {
      throw new UsageError(`impair takes values as NAME=VALUE: got ${JSON.stringify(word)}`);
    }
    const value = rest.join("=");
    return [name, /^\d+$/.test(value) && ["limit", "seed"].includes(name) ? Number(value) : value];
  }));
}

function shown(call: Call, lab: Lab, only?: string): number {
  const found = lab.topology.wires.flatMap(({ ends: [a, b] }) => {
    const impairment = lab.link(a, b).impairment();
    return impairment
      ? [{ from: a, to: b, engine: impairment.engine, values: impairment.values }]
      : [];
  }).filter(({ from, to }) =>
    only === undefined ||
    [`${from} ${to}`, `${to} ${from}`].some((pair) =>
      pair.replace(/:\S+/g, "") === only.replace(/:\S+/g, "")
    )
  );
  call.out.result(
    found,
    found.map(({ from, to, engine, values }): Row => ({
      FROM: from,
      TO: to,
      ENGINE: engine,
      "->": JSON.stringify(values.out ?? {}),
      "<-": JSON.stringify(values.in ?? {}),
    })),
  );
  if (found.length === 0) call.out.say("No wire is impaired");
  return 0;
}

function cleared(call: Call, lab: Lab): number {
  const [, a, b] = call.args;
  const wires = a === undefined || b === undefined
    ? lab.topology.wires.map(({ ends: [a, b] }) => lab.link(a, b)).filter((it) => it.impairment())
    : [lab.link(a, b)];
  const lost = wires.reduce((sum, wire) => sum + wire.impair(null), 0);
  call.out.result({ cleared: wires.length, lost });
  call.out.say(`${wires.length} wires are clear; ${lost} packets were lost by it`);
  return 0;
}
