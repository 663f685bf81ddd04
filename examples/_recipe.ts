/**
 * Common parts of the example scripts: options, the table of links, the verdict.
 *
 * Exit codes: 0 the verdict is good, 1 it is bad, 2 a wrong argument, 77 this kernel lacks a need
 * (as skipped tests in Automake and Meson), 130 Ctrl-C.
 *
 * @module
 */
import { Link, type PingResult, type Scope } from "@netloom/netloom";
import { printTable } from "./_table.ts";

export { fail, number, openFile, options, wholeNumber } from "./_options.ts";
export { runTests } from "./_run_tests.ts";

/** Prints the links of the lab, one row each. */
export function printLinks(lab: Scope): void {
  const rows = lab.links.map((owned) => {
    const link = Link.get(owned.index, { netns: owned });
    const { master, operstate, mac = "" } = link.read();
    return {
      netns: owned.ref.netnsName ?? "(this one)",
      link: link.name,
      kind: link.kind ?? "",
      state: String(operstate),
      master: master ? Link.get(master, { netns: owned }).name : "",
      mac,
      addresses: link.addresses.list().filter(({ family }) => family === "inet")
        .map(({ address }) => address).join(" "),
    };
  });
  printTable(rows.sort((a, b) => a.netns < b.netns ? -1 : Number(a.netns > b.netns)));
  console.log();
}

/** The result of a ping as a line of text. */
export function pingLine({ address, received, sent, min, avg, max }: PingResult): string {
  const times = [min, avg, max].map((time) => time?.toFixed(3)).join("/");
  const statistics = received > 0 ? `, ${times} ms (min/avg/max)` : "";
  return `ping ${address}: ${received} of ${sent} replies${statistics}`;
}

/** Arguments of {@link finish}. */
export interface Finish {
  /** The claims of the example, and whether they hold: `{ "ns1 reaches ns2": true }`. */
  readonly checks: Readonly<Record<string, boolean>>;
  /** Whether to hold the network up. */
  readonly keep: boolean;
  /** A command for looking around. */
  readonly look: string;
  /** Whether standard output is JSON: then the verdict goes to standard error. */
  readonly json?: boolean;
}

/** Prints the verdict, sets the exit code, and holds the network up on request. */
export async function finish({ checks, keep, look, json = false }: Finish): Promise<void> {
  const good = Object.values(checks).every(Boolean);
  const lines = Object.entries(checks).map(([claim, holds]) =>
    `${holds ? "yes" : "NO "}  ${claim}`
  );
  const print = json ? console.error : console.log;
  print(`\n${lines.join("\n")}\n\nVerdict: ${good ? "good" : "bad"}`);
  if (!good) Deno.exitCode = 1;
  if (keep) await hold(look);
}

/** Holds the network up until Ctrl-C, and prints how to look around. */
export async function hold(look: string): Promise<void> {
  console.log(`\nThe network stays up. Look around: ${look}\nCtrl-C removes it.`);
  await new Promise(() => setInterval(() => {}, 1 << 30));
}

/** Resolves after a time in milliseconds. */
export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Shows the progress of long work on a terminal. The next line replaces it, and "" removes it. */
export function progress(line: string): void {
  if (!Deno.stderr.isTerminal()) return;
  Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${line}`));
}
