/**
 * Functions that run in a namespace, with a warning of threads that they leave there, and programs, as
 * `ip netns exec` runs them.
 *
 * @module
 */
import { type NetNsRef, otherThreadsIn, threadCount, within } from "../../ffi/namespace.ts";
import { checkFunction, checkOptions, type OptionNames, show } from "../options.ts";

/** A result that is there at once: `run()` refuses promises, which settle outside of it. */
export type NotPromise<T> = T extends PromiseLike<unknown> ? never : T;

/** Runs a synchronous function in a namespace; see `NetNs.run`. */
export function runIn<T>(ref: NetNsRef, fn: () => T): T {
  checkFunction(fn, "fn");
  if (isAsync(fn)) throw notSynchronous();
  const result = watched(ref, "run", fn);
  if (typeof (result as { then?: unknown } | undefined)?.then === "function") {
    // Nothing waits for it: its failure must not end the program on top of this error.
    (result as unknown as Promise<unknown>).then(undefined, () => {});
    throw notSynchronous();
  }
  return result;
}

/** Starts a call in a namespace that settles later; see `NetNs.start`. */
export function startIn<T>(ref: NetNsRef, fn: () => T): T {
  checkFunction(fn, "fn");
  if (isAsync(fn)) {
    throw new TypeError(
      "NetNs.start() takes a function that is not async: what follows an await runs outside the " +
        "netns. Pass one that returns the promise of a single call, or start a module with worker()",
    );
  }
  return watched(ref, "start", fn);
}

const isAsync = (fn: () => unknown) => /^\[object Async/.test(Object.prototype.toString.call(fn));

function notSynchronous(): TypeError {
  return new TypeError(
    "NetNs.run() takes a synchronous function: what follows an await runs outside the netns. " +
      "Use start() for a call that fixes its netns at once, worker() for a module",
  );
}

/** Runs a function in the namespace, and warns of threads that it has left there. */
function watched<T>(ref: NetNsRef, method: string, fn: () => T): T {
  const before = threadCount();
  const result = within(ref, fn);
  if (threadCount() > before && !ref.fd.closed) warnOfThreads(ref, method);
  return result;
}

/** A worker has threads in the namespace on purpose; others there belong to Deno's pool. */
function warnOfThreads(ref: NetNsRef, method: string): void {
  const here = otherThreadsIn(ref);
  if (here.length === 0 || here.some((name) => name.startsWith("worker-"))) return;
  console.warn(
    `NetNs.${method}(): an asynchronous call has left a thread of Deno's pool in ${ref.label}, and ` +
      `others may run on it for some seconds. Use netns.worker() for files, DNS and crypto.subtle`,
  );
}

/** Options of a command in a namespace: those of `Deno.Command`, and one more. */
export interface NetNsCommandOptions extends Deno.CommandOptions {
  /**
   * Gives the program a mount namespace of its own, in which /sys shows this network namespace and the
   * files in /etc/netns/NAME stand in for those in /etc. Needs `sh` and util-linux: `unshare`, `mount`,
   * `setpriv`. Default: true; `false` starts the program directly.
   */
  readonly mounts?: boolean;
}

const OPTIONS: OptionNames<NetNsCommandOptions> = {
  mounts: true,
  args: true,
  cwd: true,
  clearEnv: true,
  env: true,
  uid: true,
  gid: true,
  signal: true,
  stdin: true,
  stdout: true,
  stderr: true,
  windowsRawArguments: true,
  detached: true,
};

/**
 * Mounts for the namespace $1, then the environment and the program. The helpers run with the
 * environment of the library: that of the program comes as $2 variables, each with a line for the shell.
 *
 * As with `ip netns exec`, a file that cannot be mounted is a warning, and /sys is mounted read-only
 * where the kernel allows no other: in containers without privileges.
 */
const PRELUDE = `
name=$1 count=$2 clear=$3
shift 3
umount -n -l /sys 2>/dev/null
mount -n -t sysfs netloom /sys 2>/dev/null || mount -n -t sysfs -o ro netloom /sys || exit 255
for file in \${name:+"/etc/netns/$name"/* "/etc/netns/$name"/.[!.]* "/etc/netns/$name"/..?*}; do
  [ -e "$file" ] || [ -L "$file" ] || continue
  target=/etc/\${file##*/}
  reason=$(mount -n --bind "$file" "$target" 2>&1) ||
    echo "Bind $file -> $target failed: \${reason#mount: $target: }" >&2
done
env=$(command -v env)
set -- "$(command -v setpriv)" "$@"
lines=
while [ "$count" -gt 0 ]; do
  count=$((count - 1))
  eval "lines=\\"\\$lines
\\$NETLOOM_$count\\"; unset NETLOOM_$count"
done
[ -z "$clear" ] || unset $("$env" | sed -n 's/^\\([A-Za-z_][A-Za-z0-9_]*\\)=.*/\\1/p')
eval "$lines"
exec "$@"`;

/** A program to be started in a namespace. Takes `--allow-run`. */
export class NetNsCommand {
  readonly #ref: NetNsRef;
  readonly #command: Deno.Command;

  /** Use `NetNs.command()`. */
  constructor(ref: NetNsRef, command: string | URL, options: NetNsCommandOptions = {}) {
    checkOptions(options, OPTIONS);
    const { mounts = true, ...rest } = options;
    if (typeof mounts !== "boolean") {
      throw new TypeError(`mounts must be a boolean: got ${show(mounts)}`);
    }
    this.#ref = ref;
    this.#command = mounts ? withMounts(ref, command, rest) : new Deno.Command(command, rest);
  }

  /** Runs the program to its end; resolves with its exit code and output. */
  output(): Promise<Deno.CommandOutput> {
    return within(this.#ref, () => this.#command.output());
  }

  /** Runs the program to its end. */
  outputSync(): Deno.CommandOutput {
    return within(this.#ref, () => this.#command.outputSync());
  }

  /** Starts the program. */
  spawn(): Deno.ChildProcess {
    return within(this.#ref, () => this.#command.spawn());
  }
}

function withMounts(
  ref: NetNsRef,
  command: string | URL,
  options: Deno.CommandOptions,
): Deno.Command {
  const { args = [], env = {}, clearEnv = false, uid, gid, ...rest } = options;
  const lines = Object.entries(env).map(([name, value]) => environmentLine(name, value));
  const program = command instanceof URL ? decodeURIComponent(command.pathname) : command;
  return new Deno.Command("unshare", {
    ...rest,
    env: Object.fromEntries(lines.map((line, i) => [`NETLOOM_${i}`, line])),
    args: [
      ...["--mount", "--propagation", "slave", "sh", "-c", PRELUDE, "netns"],
      ...[ref.netnsName ?? "", String(lines.length), clearEnv ? "clear" : ""],
      ...identity(uid, gid),
      ...["--", program, ...args],
    ],
  });
}

/** A line for the shell that sets a variable. A shell has none with an odd name: env(1) sets those. */
function environmentLine(name: string, value: string): string {
  if (!/^[^=\0]+$/.test(name) || typeof value !== "string" || value.includes("\0")) {
    throw new TypeError(`env must have texts without a NUL byte: got ${show({ [name]: value })}`);
  }
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  return /^[A-Za-z_]\w*$/.test(name)
    ? `export ${name}=${quoted(value)}`
    : `set -- "$env" ${quoted(`${name}=${value}`)} "$@"`;
}

/** Options of setpriv(1) for what `Deno.Command` does: a user has no further groups. */
function identity(uid?: number, gid?: number): string[] {
  return [
    ...(uid === undefined ? [] : [`--reuid=${uid}`]),
    ...(gid === undefined ? [] : [`--regid=${gid}`]),
    ...(uid !== undefined ? ["--clear-groups"] : gid !== undefined ? ["--keep-groups"] : []),
  ];
}
