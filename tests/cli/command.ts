// Runs the command `netloom`, as a person does.
import { assert } from "@std/assert";
import { Ajv } from "npm:ajv@^8";
import { ROOT } from "../script.ts";

/** The end of a run. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The path of the command. */
export const CLI: string = `${ROOT}cli.ts`;

/** The schema of what verbs print with `--json`. */
export const OUTPUT_SCHEMA: Readonly<Record<string, unknown>> = JSON.parse(
  Deno.readTextFileSync(`${ROOT}schema/output.v1.json`),
);

const valid = new Ajv({ allErrors: true, strict: true, strictRequired: false, strictTypes: false })
  .compile(OUTPUT_SCHEMA);

/** Runs `netloom` with arguments. */
export function netloom(...args: string[]): Promise<Ended> {
  return netloomWith({}, ...args);
}

/** Runs `netloom` with variables of the environment, and arguments. */
export async function netloomWith(
  env: Readonly<Record<string, string>>,
  ...args: string[]
): Promise<Ended> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", CLI, ...args],
    env: { NO_COLOR: "1", ...env },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** An object that a verb has printed for programs, checked against the schema. */
// deno-lint-ignore no-explicit-any
export function checked(text: string): any {
  const form = JSON.parse(text);
  assert(valid(form), `${text.slice(0, 2000)}\n${JSON.stringify(valid.errors?.slice(0, 5))}`);
  return form;
}

/** Runs a verb with `--json`, and checks what it prints against the schema. */
// deno-lint-ignore no-explicit-any
export async function json(...args: string[]): Promise<any> {
  const { code, stdout, stderr } = await netloom(args[0]!, "--json", ...args.slice(1));
  assert(stdout !== "", `${args.join(" ")}: ${stderr}`);
  return { code, stderr, ...checked(stdout) };
}

/** Runs a verb that prints events with `--json`, and checks each line against the schema. */
// deno-lint-ignore no-explicit-any
export async function jsonEvents(...args: string[]): Promise<any[]> {
  const { stdout } = await netloom(args[0]!, "--json", ...args.slice(1));
  return stdout.trim().split("\n").map((line) => checked(line).event);
}
