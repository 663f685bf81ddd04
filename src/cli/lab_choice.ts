/**
 * The lab and the file that a verb means.
 *
 * @module
 */
import { attach, type Lab, list, load, resolve, type ResolvedTopology } from "../lab/mod.ts";
import { type Call, UsageError, word } from "./verb.ts";

/** Names of lab files. */
const LAB_FILE = /\.(lab|clab)\.(ya?ml|json)$/;

/** Whether an argument names a lab file. */
export function isFile(argument: string): boolean {
  return /\.(ya?ml|json)$/.test(argument);
}

/** The lab files in this folder. */
function filesHere(): string[] {
  return Array.from(Deno.readDirSync("."), ({ name }) => name)
    .filter((name) => LAB_FILE.test(name)).sort();
}

/** The lab file of an argument; without one, the only one in this folder. */
export function fileOf(argument: string | undefined): string {
  if (argument !== undefined) return argument;
  const files = filesHere();
  if (files.length === 1) return files[0]!;
  throw new UsageError(
    files.length === 0
      ? "No file is named, and this folder has no *.lab.yml: netloom init writes one"
      : `Name a file; this folder has ${files.join(", ")}`,
  );
}

/** A topology with everything filled in, read from a file. */
export async function topologyOf(file: string): Promise<ResolvedTopology> {
  return resolve(await load(file));
}

/** The name that a lab has: that of `--name`, of the file, or of its topology. */
export function nameOf(topology: ResolvedTopology, given: string | undefined): string {
  const name = given ?? topology.name;
  if (name === undefined) throw new UsageError("The lab has no name: give it one with --name");
  return name;
}

/**
 * The name of the lab that a verb means: that of `--lab`, the only one that runs, or that of the only file
 * in this folder when it runs.
 */
export async function labNameOf(call: Call): Promise<string> {
  const given = word(call, "lab");
  if (given !== undefined) return given;
  const names = list().map(({ name }) => name);
  if (names.length === 1) return names[0]!;
  if (names.length === 0) throw new UsageError("No lab runs: netloom up FILE brings one up");
  const files = filesHere();
  if (files.length === 1) {
    const { name } = await load(files[0]!);
    if (name !== undefined && names.includes(name)) return name;
  }
  throw new UsageError(`Several labs run: name one of ${names.join(", ")} with --lab`);
}

/** The lab that a verb means, as a borrowed handle. */
export async function labOf(call: Call): Promise<Lab> {
  return attach(await labNameOf(call));
}
