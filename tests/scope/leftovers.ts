// Records of scopes, and programs that are killed with a scope open.
import { assert } from "@std/assert";
import { Scope } from "../../mod.ts";
import { start } from "../script.ts";

/** Opens the scope of that name as a later run does, and closes it. */
export async function replace(name: string): Promise<void> {
  await using scope = Scope.open({ name, replace: true });
  assert(!scope.closed);
}

/** Writes a record as a killed program has left it. */
export function leave(name: string, ...lines: unknown[]): string {
  const path = `/run/netloom/${name}.jsonl`;
  Deno.mkdirSync("/run/netloom", { recursive: true });
  Deno.writeTextFileSync(path, lines.map((line) => JSON.stringify(line) + "\n").join(""));
  return path;
}

/** The first line of a record, of a program that is gone. */
export const HEADER = { netloom: 1, group: 0x4e123456, pid: 1, thread: 1, started: 1, fd: 3 };

/** The lines of a record. */
export function lines(name: string): Record<string, unknown>[] {
  const text = Deno.readTextFileSync(`/run/netloom/${name}.jsonl`);
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** A program that makes what it is told in a scope, writes "built", and waits to be killed. */
export const lab = (make: string, options = "{}") => `
  import { Bridge, Link, NetNs, Scope, Veth } from "./mod.ts";
  const scope = Scope.open(${options});
  ${make}
  console.log("built");
  setInterval(() => {}, 1000);
`;

/** Runs such a program and kills it. */
export async function killed(source: string, through: string[] = []): Promise<void> {
  await using running = await start(source, { through });
  await running.writes("built");
  running.kill("SIGKILL");
  await running.end();
}
