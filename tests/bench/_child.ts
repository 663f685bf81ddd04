/**
 * netloom's side of a benchmark: like a rival it does one job in a process of its own, times it itself
 * and prints one line of JSON.
 *
 * @module
 */

/** What there is to say of every process. */
export interface Process {
  /** Processor time of the job, or of the whole process: the script says which. */
  readonly cpu_ms: number;
  /** Milliseconds from spawning the process to its end. */
  readonly process_ms: number;
}

/**
 * Runs a script of this directory and reads what it prints.
 *
 * @param script File name: `dump_child.ts`.
 * @param args Its arguments.
 */
export async function child<T>(script: string, ...args: string[]): Promise<T & Process> {
  const path = new URL(script, import.meta.url).pathname;
  const started = performance.now();
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", path, ...args],
  }).output();
  const process_ms = performance.now() - started;
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${script} ${args.join(" ")}: ${decoder.decode(stderr).trim()}`);
  return { ...JSON.parse(decoder.decode(stdout)), process_ms };
}
