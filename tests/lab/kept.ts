// Labs with names whose parts live in a keeper, for tests.
import { type Lab, list, type TopologySpec, up } from "../../src/lab/mod.ts";
import type { NetNs } from "../../mod.ts";

/** A wire that needs user space where the kernel has no netem. */
export const slow: TopologySpec<"a" | "b"> = {
  nodes: { a: {}, b: {} },
  links: [{ endpoints: ["a", "b"], impair: { delay: "20ms" } }],
};

/** Node `a` with commands. */
export const running = (...run: readonly (string | object)[]) =>
  ({ nodes: { a: { run }, b: {} }, links: ["a -- b"] }) as TopologySpec<"a" | "b">;

/** Brings a lab up and leaves it. */
export async function start(spec: TopologySpec, name = "lab"): Promise<void> {
  const lab = await up(spec, { name });
  await lab.persist()[Symbol.asyncDispose]();
}

/** Runs code in a process of its own, with the library's labs imported. */
export async function elsewhere(code: string): Promise<Deno.CommandOutput & { errors: string }> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["eval", `import * as labs from "./src/lab/mod.ts";\n${code}\nDeno.exit();`],
    cwd: new URL("../../", import.meta.url),
  }).output();
  return { ...output, errors: new TextDecoder().decode(output.stderr) };
}

/** The least round trip from a to b, in milliseconds. */
export async function roundTrip(lab: Lab): Promise<number> {
  return (await lab.node("a").ping("b", { count: 3, interval: 10 })).min!;
}

/** The pid of the keeper. */
export function keeper(name = "lab"): number {
  return list().find((it) => it.name === name)!.keeper!.pid!;
}

/** Waits for as long as it takes; a test that waits for ever says its name. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** The commands in a namespace, by their lines, when there are so many and none is being prepared. */
export async function commandsIn(netns: NetNs, count: number): Promise<Map<string, number>> {
  for (;;) {
    const found = new Map<string, number>();
    for (const pid of netns.pids()) {
      const line = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
      if (line.startsWith("sleep")) found.set(line.replaceAll("\0", " ").trim(), pid);
    }
    if (found.size === count && netns.pids().length === count) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export async function killKeeper(): Promise<void> {
  Deno.kill(keeper(), "SIGKILL");
  await until(() => list()[0]!.keeper?.state === "gone");
}

/** The module that a keeper runs. */
export const KEEPER: string = new URL("../../src/lab/keeper.ts", import.meta.url).href;
