/**
 * Programs in a namespace, as `ip netns exec` runs them.
 *
 * @module
 */
import { type NetNsRef, within } from "../../ffi/namespace.ts";

/** Options of a command in a namespace. */
export interface NetNsCommandOptions extends Deno.CommandOptions {
  /**
   * Gives the program a mount namespace of its own, in which /sys shows this network namespace and the
   * files in /etc/netns/NAME stand in for those in /etc. Needs `unshare`, `mount` and `sh`. Default:
   * true; `false` starts the program directly.
   */
  readonly mounts?: boolean;
}

/** Remounts what depends on the namespace, then becomes the program. */
const PRELUDE = `
name=$1; shift
umount -n -l /sys 2>/dev/null
mount -n -t sysfs netloom /sys || exit 255
if [ -n "$name" ]; then
  for file in "/etc/netns/$name"/*; do
    if [ -e "$file" ]; then mount -n --bind "$file" "/etc/\${file##*/}" || exit 255; fi
  done
fi
exec "$@"`;

/** A program to be started in a namespace. Takes `--allow-run`. */
export class NetNsCommand {
  readonly #ref: NetNsRef;
  readonly #command: Deno.Command;

  /** Use `NetNs.command()`. */
  constructor(ref: NetNsRef, command: string | URL, options: NetNsCommandOptions = {}) {
    const { mounts = true, args = [], ...rest } = options;
    this.#ref = ref;
    this.#command = mounts
      ? new Deno.Command("unshare", {
        ...rest,
        args: [
          "--mount",
          "--propagation",
          "slave",
          "sh",
          "-c",
          PRELUDE,
          "netns",
          ref.netnsName ?? "",
          command instanceof URL ? decodeURIComponent(command.pathname) : command,
          ...args,
        ],
      })
      : new Deno.Command(command, { ...rest, args });
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
