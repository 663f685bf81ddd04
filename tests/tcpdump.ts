// tcpdump as oracle. It gives root up, which fails where there is one user only: in `unshare -Ur`.
import { test } from "./leaks.ts";

/** Whether there are other users to become. */
const hasUsers = /^\s*0\s+0\s+4294967295$/m.test(Deno.readTextFileSync("/proc/self/uid_map"));

/** The command that reads a file with tcpdump, also where there is one user only. */
export function tcpdumpCommand(...args: string[]): Deno.Command {
  if (hasUsers) return new Deno.Command("tcpdump", { args });
  return new Deno.Command("unshare", { args: ["-U", "--map-user=1000", "tcpdump", ...args] });
}

/** A test with a tcpdump that captures: that takes root's rights, and another user. */
export function tcpdumpTest(name: string, fn: () => Promise<void>): void {
  test(name, { lacks: hasUsers ? undefined : "tcpdump cannot give up root here" }, fn);
}
