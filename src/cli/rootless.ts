/**
 * Verbs of ordinary users: those about labs run in the namespaces of the user's labs. Verbs that read the machine
 * run as they are.
 *
 * @module
 */
import { runAsUser } from "../lab/user.ts";
import type { Verb } from "./verb.ts";

/** CAP_NET_ADMIN and CAP_SYS_ADMIN. */
const CAPABILITIES = 1n << 12n | 1n << 21n;

/**
 * Runs a verb in the namespaces of the user's labs, where it needs them.
 *
 * @param verb The verb.
 * @param words Its arguments and options.
 * @param all All arguments of the command.
 * @returns Its exit code; `undefined` when the verb has to run here.
 * @throws {LabError} When XDG_RUNTIME_DIR is not set.
 */
export async function inOwnNamespaces(
  verb: Verb,
  words: readonly string[],
  all: readonly string[],
): Promise<number | undefined> {
  if (!isAboutLabs(verb, words) || isPrivileged()) return undefined;
  const self = Deno.build.standalone
    ? [] as const
    : ["run", "-A", "--quiet", new URL("../../cli.ts", import.meta.url).href] as const;
  return await runAsUser([Deno.execPath(), ...self, ...all], {
    create: verb.changes === true,
    onNote: (note) => console.error(`Not root: ${note}`),
  });
}

/** Pictures of named namespaces are about the machine. */
function isAboutLabs({ name, changes, options = {} }: Verb, words: readonly string[]): boolean {
  if (name !== "draw" && name !== "view") {
    return changes || ["plan", "ps"].includes(name) || "lab" in options;
  }
  return words.every((word) => word.startsWith("-")) ||
    words.some((word) => word.startsWith("--lab"));
}

function isPrivileged(): boolean {
  const status = Deno.readTextFileSync("/proc/self/status");
  const [, effective = "0"] = /^CapEff:\s*([0-9a-f]+)/m.exec(status) ?? [];
  return (BigInt(`0x${effective}`) & CAPABILITIES) === CAPABILITIES;
}
