/**
 * `netloom init`: a lab file of a known form.
 *
 * @module
 */
import { stringify } from "@std/yaml";
import { clos, grid, mesh, random, ring, star, torus, tree } from "../lab/generators.ts";
import type { TopologySpec } from "../lab/mod.ts";
import { type Call, UsageError, word } from "./verb.ts";

/** The forms: the names of their numbers, and the topology. */
const FORMS: Readonly<Record<string, (numbers: readonly number[]) => TopologySpec>> = {
  clos: ([leaves = 2, spines = 2, hosts = 1]) => clos(leaves, { spines, hosts }),
  ring: ([count = 4]) => ring(count),
  star: ([hosts = 4]) => star(hosts),
  tree: ([depth = 2, fanout = 2]) => tree(depth, { fanout }),
  grid: ([columns = 3, rows = 3]) => grid(columns, rows),
  torus: ([columns = 3, rows = 3]) => torus(columns, rows),
  mesh: ([count = 4]) => mesh(count),
  random: ([count = 8, seed = 1]) => random(count, { seed }),
};

/** A lab to begin with. */
const FIRST: TopologySpec = {
  nodes: { r1: { kind: "router" }, "h[1-2]": {} },
  links: ["h1 -- r1", "h2 -- r1"],
} as TopologySpec;

/** Writes the file, or prints it with `-o -`. */
export function run(call: Call): void {
  const given = Object.keys(FORMS).filter((form) => call.options[form] !== undefined);
  if (given.length > 1) {
    throw new UsageError(`Name one form: got ${given.map((form) => `--${form}`).join(" and ")}`);
  }
  const [form] = given;
  const spec = form === undefined ? FIRST : FORMS[form]!(numbersOf(form, word(call, form)!));
  const name = word(call, "name") ?? form ?? "first";
  const text = "# yaml-language-server: $schema=" +
    "https://jsr.io/@netloom/netloom/0.1.0/schema/lab.v1.json\n" +
    stringify({ name, ...spec });
  const file = word(call, "output") ?? `${name}.lab.yml`;
  if (file === "-") return call.out.result({ file, name, text }, text);
  try {
    Deno.writeTextFileSync(file, text, { createNew: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    throw new UsageError(`${file} exists already: name another file with -o`);
  }
  call.out.result({ file, name });
  call.out.say(
    `${file} has ${Object.keys(spec.nodes).length} entries of nodes; netloom up ${file}`,
  );
}

function numbersOf(form: string, text: string): number[] {
  return text.split(/[,x]/).map((part) => {
    const value = Number(part);
    if (part !== "" && Number.isInteger(value) && value > 0) return value;
    throw new UsageError(`--${form} takes numbers such as 3,2: got ${JSON.stringify(text)}`);
  });
}
