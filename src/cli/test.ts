/**
 * `netloom test`: tests of labs, in namespaces of their own.
 *
 * @module
 */
import { NetNs } from "../netns/netns.ts";
import { type Call, UsageError } from "./verb.ts";

/** A private /run keeps named namespaces and records of labs apart from those of the machine. */
const PRIVATE_RUN = 'mount -t tmpfs none /run && exec "$@"';

/** Runs `deno test` inside a new namespace with nothing but `lo`; the exit code is that of `deno test`. */
export async function run(call: Call): Promise<number> {
  const deno = Deno.build.standalone ? "deno" : Deno.execPath();
  // The new namespace reaches no registry.
  const args = ["cache", "--quiet", ...importFlags(call.rest), ...call.args];
  await ended(spawn(new Deno.Command(deno, { args })));
  using netns = NetNs.create();
  const stdio = call.out.json ? "null" : "inherit";
  const command = netns.command("unshare", {
    args: [
      ...["--mount", "sh", "-c", PRIVATE_RUN, "sh"],
      ...[deno, "test", "--allow-all", ...call.rest, ...call.args],
    ],
    stdin: "null",
    stdout: stdio,
    stderr: stdio,
  });
  const { code } = await spawn(command).status;
  call.out.result({ files: [...call.args, ...call.rest], code });
  return code;
}

/** The flags of `deno test` that say where imports lead to, with their values. */
function importFlags(flags: readonly string[]): string[] {
  return flags.flatMap((flag, i) =>
    /^(-c|--config|--import-map)$/.test(flag)
      ? flags.slice(i, i + 2)
      : /^(-c|--config|--import-map)=/.test(flag)
      ? [flag]
      : []
  );
}

function spawn(command: { spawn(): Deno.ChildProcess }): Deno.ChildProcess {
  try {
    return command.spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(`${error.message}: netloom test needs deno and unshare (util-linux) in PATH`);
  }
}

async function ended(child: Deno.ChildProcess): Promise<void> {
  const { success } = await child.status;
  if (!success) {
    throw new UsageError("deno cache does not find all imports of the files, see above");
  }
}
