/**
 * Verbs of ordinary users: those about labs run in a user namespace of the user, which stays as long as there is
 * a lab in it. Verbs that read the machine run as they are.
 *
 * @module
 */
import type { Verb } from "./verb.ts";

/** CAP_NET_ADMIN and CAP_SYS_ADMIN. */
const CAPABILITIES = 1n << 12n | 1n << 21n;

/** The last word of the process that holds the namespaces, by which it is found again. */
const MARK = "netloom-namespaces";

/** A private /run, then the process waits until it is ended. */
const HOLD = "mount -t tmpfs none /run && mkfifo /run/netloom-hold && read _ < /run/netloom-hold";

/** Milliseconds until the namespaces are there. */
const DEADLINE = 5000;

/**
 * Runs a verb in the user's own namespaces, where it needs them.
 *
 * @param verb The verb.
 * @param words Its arguments and options.
 * @param all All arguments of the command.
 * @returns Its exit code; `undefined` when the verb has to run here.
 * @throws {Error} When user namespaces are forbidden here, with the words of `unshare`.
 */
export async function inOwnNamespaces(
  verb: Verb,
  words: readonly string[],
  all: readonly string[],
): Promise<number | undefined> {
  if (!isAboutLabs(verb, words) || isPrivileged()) return undefined;
  const [first] = holders();
  if (first === undefined && !verb.changes) return undefined;
  const pid = first ?? await hold();
  console.error(
    `Not root: this runs in a user namespace of its own (unshare -Urmn), held by process ${pid}`,
  );
  try {
    return await enter(pid, all);
  } finally {
    if (isEmpty(pid)) Deno.kill(pid, "SIGTERM");
  }
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

/** The processes of this user that hold namespaces. */
function holders(): number[] {
  const pids = Array.from(Deno.readDirSync("/proc"), ({ name }) => Number(name))
    .filter((pid) => pid > 0);
  return pids.filter((pid) => {
    try {
      return Deno.statSync(`/proc/${pid}`).uid === Deno.uid() &&
        Deno.readTextFileSync(`/proc/${pid}/cmdline`).endsWith(`\0${MARK}\0`) &&
        isHeld(pid);
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }).sort((a, b) => a - b);
}

/** A process that has ended, or is another user's. */
function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied ||
    error instanceof Error && "code" in error && error.code === "ESRCH";
}

/** Whether a holder has mounted everything. */
function isHeld(pid: number): boolean {
  return namesIn(pid, "").includes("netloom-hold");
}

/** Names in a folder below /run in the namespaces of a holder. */
function namesIn(pid: number, folder: string): string[] {
  try {
    return Array.from(Deno.readDirSync(`/proc/${pid}/root/run/${folder}`), ({ name }) => name);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

/** Whether namespaces hold no lab and no named namespace any more. */
function isEmpty(pid: number): boolean {
  return isHeld(pid) && namesIn(pid, "netns").length + namesIn(pid, "netloom").length === 0;
}

/** Starts a process that holds new namespaces, and outlives this one. */
async function hold(): Promise<number> {
  const child = new Deno.Command("unshare", {
    args: ["-Urmn", "sh", "-c", HOLD, MARK],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    detached: true,
  }).spawn();
  child.unref();
  const until = performance.now() + DEADLINE;
  let ended = false;
  child.status.then(() => ended = true);
  while (!isHeld(child.pid)) {
    if (ended || performance.now() > until) {
      const words = ended ? (await new Response(child.stderr).text()).trim() : "it takes too long";
      throw new Error(`unshare -Urmn fails: ${words}; netloom doctor tells why, or run it as root`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await child.stderr.cancel();
  return child.pid;
}

/** Runs this command inside. */
async function enter(pid: number, all: readonly string[]): Promise<number> {
  const self = Deno.build.standalone
    ? [Deno.execPath()]
    : [Deno.execPath(), "run", "-A", "--quiet", new URL("../../cli.ts", import.meta.url).href];
  // Ctrl-C is for the command inside, as it is a signal to both.
  const ignore = () => {};
  Deno.addSignalListener("SIGINT", ignore);
  try {
    const child = new Deno.Command("nsenter", {
      args: [
        ...[`--target=${pid}`, "--user", "--preserve-credentials", "--mount", "--net"],
        ...["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", Deno.cwd()],
        ...[...self, ...all],
      ],
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn();
    const end = () => child.kill("SIGTERM");
    Deno.addSignalListener("SIGTERM", end);
    const { code } = await child.status;
    Deno.removeSignalListener("SIGTERM", end);
    return code;
  } finally {
    Deno.removeSignalListener("SIGINT", ignore);
  }
}
