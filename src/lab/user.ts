/**
 * Labs of an ordinary user: they live in namespaces of that user, which their keepers hold. Deno cannot enter them,
 * as no program with threads can: each command runs inside by nsenter(1), the first one by unshare(1).
 *
 * The directory /run inside is one below `$XDG_RUNTIME_DIR/netloom` outside. So the records are seen from both sides,
 * and the lock of a keeper tells outside, too, that it lives.
 *
 * @module
 */
import { lock, lockHolder, makeDirectory, processId, readDirectory } from "../../ffi/file.ts";
import { checkOptions, type OptionNames } from "../options.ts";
import { LabError } from "./transaction.ts";

/** Set inside: a lab needs a keeper there, whatever it has, since the namespaces end with the last process. */
const INSIDE = "NETLOOM_USER_LABS";

/** Whether this process runs in the namespaces of a user's labs. */
export function isInside(): boolean {
  const { state } = Deno.permissions.querySync({ name: "env", variable: INSIDE });
  return state === "granted" && Deno.env.get(INSIDE) !== undefined;
}

/** Options of {@link runAsUser}. */
export interface RunAsUserOptions {
  /** Creates the namespaces when the user has no lab. Default: true. */
  readonly create?: boolean;
  /** Is told which namespaces the program runs in. Default: nobody is. */
  readonly onNote?: (note: string) => void;
}

const OPTIONS: OptionNames<RunAsUserOptions> = { create: true, onNote: true };

/** Mounts the directory $0 as /run, and runs a program. */
const ENTER = 'mount --bind "$0" /run && exec "$@"';

/**
 * Runs a program in the namespaces of the labs of the user, who need not be root: there `up`, `attach`, `list` and
 * `down` work as they do for root. The namespaces stay as long as a lab with a name is up. The program has the standard
 * streams of this one. Takes `--allow-run`, `--allow-env` and `--allow-read`.
 *
 * @param command The program and its arguments: that which calls this, to run again inside.
 * @param options Whether to create the namespaces.
 * @returns The exit code; `undefined` when there is no lab, and none is to be created.
 * @throws {LabError} When XDG_RUNTIME_DIR is not set.
 * @throws {SyscallError} EAGAIN when another command is creating the namespaces, with its process.
 *
 * @example The labs of a user
 * ```ts
 * import { runAsUser } from "@netloom/netloom/lab";
 *
 * const code = `import { list } from "jsr:@netloom/netloom@0.1.0/lab"; console.log(list());`;
 * async function show() {
 *   const exitCode = await runAsUser([Deno.execPath(), "eval", code], { create: false });
 *   if (exitCode === undefined) console.log("no lab");
 * }
 * ```
 */
export async function runAsUser(
  command: readonly [string, ...string[]],
  options: RunAsUserOptions = {},
): Promise<number | undefined> {
  checkOptions(options, OPTIONS);
  const { create = true, onNote = () => {} } = options;
  const base = Deno.env.get("XDG_RUNTIME_DIR");
  if (!base) {
    throw new LabError(
      "XDG_RUNTIME_DIR is not set: the labs of a user have records below it. Log in as the user, or set it to a " +
        `directory that only the user can write to, as /run/user/${Deno.uid()}`,
    );
  }
  const directory = `${base}/netloom`;
  const run = `${directory}/run`;
  makeDirectory(directory, 0o700);
  using locked = lock(directory);
  const pid = holderOf(run);
  if (pid !== undefined) {
    locked.close();
    onNote(`this runs in the namespaces of your labs, held by process ${pid}`);
    const into = ["--preserve-credentials", "-U", "-m", "-n", `-w${Deno.cwd()}`, `-t${pid}`];
    return await exitCode("nsenter", [...into, "--", ...command]);
  }
  if (!create) return undefined;
  await Deno.remove(run, { recursive: true }).catch(ignoreMissing);
  makeDirectory(run, 0o755);
  onNote(
    "this runs in a user namespace of its own (unshare -Urmn), which stays as long as a lab is up",
  );
  // Others wait for the lock, and then for the keeper of this command to hold the namespaces.
  return await exitCode("unshare", ["-Urmn", "sh", "-c", ENTER, run, ...command]);
}

/** A keeper that lives, of any lab. */
function holderOf(run: string): number | undefined {
  const records = `${run}/netloom`;
  const keepers = readDirectory(records).filter((name) => name.endsWith(".keeper"));
  for (const name of keepers) {
    const pid = lockHolder(`${records}/${name}`);
    if (pid !== undefined && pid !== processId()) return pid;
  }
  return undefined;
}

/** Runs a program to its end. A terminal sends Ctrl-C to it, too; SIGTERM is passed on. */
async function exitCode(program: string, args: readonly string[]): Promise<number> {
  const child = new Deno.Command(program, {
    args: [...args],
    env: { [INSIDE]: "1" },
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  const handlers = [["SIGINT", () => {}], ["SIGTERM", () => child.kill("SIGTERM")]] as const;
  for (const [signal, handler] of handlers) Deno.addSignalListener(signal, handler);
  try {
    return (await child.status).code;
  } finally {
    for (const [signal, handler] of handlers) Deno.removeSignalListener(signal, handler);
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
