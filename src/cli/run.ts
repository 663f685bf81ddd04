/**
 * Runs verbs: each has its code in a module that is loaded with it.
 *
 * @module
 */
import { nearest } from "../options.ts";
import { callOf } from "./call.ts";
import { failure } from "./failure.ts";
import type { Call, Run, Verb } from "./verb.ts";
import { verbNames } from "./verbs.ts";

export { complete } from "./complete.ts";

const labs = () => import("./lab.ts");
const use = () => import("./lab_use.ts");
const machine = () => import("./machine.ts");

/** The code of each verb. */
export const LOADERS: Readonly<Record<string, () => Promise<{ readonly run: Run }>>> = {
  up: async () => ({ run: (await labs()).up }),
  down: async () => ({ run: (await labs()).down }),
  plan: async () => ({ run: (await labs()).plan }),
  check: async () => ({ run: (await labs()).check }),
  init: () => import("./init.ts"),
  schema: () => import("./schema.ts"),
  ps: async () => ({ run: (await labs()).ps }),
  show: async () => ({ run: (await labs()).show }),
  exec: async () => ({ run: (await use()).exec }),
  shell: async () => ({ run: (await use()).shell }),
  ping: async () => ({ run: (await use()).ping }),
  impair: () => import("./impair.ts"),
  cut: async () => ({ run: (await use()).cut }),
  heal: async () => ({ run: (await use()).heal }),
  partition: async () => ({ run: (await use()).partition }),
  fault: () => import("./fault.ts"),
  logs: () => import("./logs.ts"),
  capture: () => import("./capture.ts"),
  watch: async () => ({ run: (await use()).watch }),
  draw: () => import("./draw.ts"),
  view: () => import("./view.ts"),
  links: async () => ({ run: (await machine()).links }),
  addresses: async () => ({ run: (await machine()).addresses }),
  routes: async () => ({ run: (await machine()).routes }),
  neighbors: async () => ({ run: (await machine()).neighbors }),
  qdiscs: async () => {
    await import("../traffic/mod.ts");
    return { run: (await machine()).qdiscs };
  },
  bridge: async () => ({ run: (await machine()).bridge }),
  monitor: () => import("./monitor.ts"),
  test: () => import("./test.ts"),
  doctor: () => import("./doctor.ts"),
  clean: () => import("./clean.ts"),
  completion: () => import("./completion.ts"),
};

/** The words of a command line. */
export interface Words {
  /** All of them. */
  readonly all: readonly string[];
  /** Arguments and options of the verb. */
  readonly words: readonly string[];
  /** Everything after `--`. */
  readonly rest: readonly string[];
}

/**
 * Runs a verb, and says its error.
 *
 * @param verb The verb.
 * @param line The words of the command line.
 * @returns The exit code.
 */
export async function runVerb(verb: Verb, { all, words, rest }: Words): Promise<number> {
  let call: Call | undefined;
  try {
    call = callOf(verb, words, rest);
    const { run } = await LOADERS[verb.name]!();
    if (Deno.uid() !== 0) {
      const { inOwnNamespaces } = await import("./rootless.ts");
      const code = await inOwnNamespaces(verb, words, all);
      if (code !== undefined) return code;
    }
    return await run(call) ?? 0;
  } catch (error) {
    return failure(error, { verb, json: words.includes("--json") });
  }
}

/** The words about a verb that there is not. */
export function unknownVerb(name: string): string {
  const near = nearest(name, verbNames());
  return `Unknown verb ${JSON.stringify(name)}${near ? `: did you mean ${near}?` : ""}; ` +
    "netloom --help lists all";
}

/** A program of `deno compile` is the keeper of its labs itself: whether these are a keeper's words. */
export async function isKeeper(args: readonly string[]): Promise<boolean> {
  const { keeper } = await import("../lab/mod.ts");
  return await keeper(args);
}
