/**
 * The files that the commands of a node see in place of the machine's: /etc/hosts, /etc/hostname,
 * /etc/resolv.conf and those of the topology. They are mounted in the command's own mount namespace, so the
 * machine's files stay as they are.
 *
 * @module
 */
import { exists } from "../../ffi/file.ts";
import type { NetNsCommandOptions } from "../netns/run.ts";
import type { ResolvedHost, ResolvedNode, ResolvedTopology } from "./resolved.ts";
import { isOwn } from "./settings.ts";

/** A program and its options. */
export interface CommandLine {
  /** The program. */
  readonly command: string;
  /** Its options. */
  readonly options: NetNsCommandOptions;
}

/**
 * Runs in the mount namespace of the command. A file has four words: its path, its permissions, `content` or
 * `source`, and the content or the path of the source. A file in memory is mounted over the path, which has to
 * exist.
 */
const PRELUDE = `
count=$1 name=$2
shift 2
directory=$(mktemp -d) && mount -n -t tmpfs netloom "$directory" || exit 255
while [ "$count" -gt 0 ]; do
  target=$1 mode=$2 kind=$3 value=$4
  shift 4
  count=$((count - 1))
  if [ "$kind" = content ]; then
    printf '%s' "$value" > "$directory/$count" && chmod "$mode" "$directory/$count" || exit 255
    value=$directory/$count
  fi
  [ -e "$target" ] || { echo "netloom: $target does not exist on this machine: a file cannot be mounted there" >&2; exit 255; }
  mount -n --bind "$value" "$target" || exit 255
done
umount -n -l "$directory" && rmdir "$directory"
if command -v hostname >/dev/null && unshare --uts true 2>/dev/null; then
  exec unshare --uts sh -c 'hostname "$1" 2>/dev/null; shift; exec "$@"' sh "$name" "$@"
fi
exec "$@"`;

/** The lines of /etc/hosts. */
export function hostsFile(node: ResolvedNode, topology: ResolvedTopology): string {
  const lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"];
  const all: readonly ResolvedHost[] = [...node.hosts, ...topology.hosts];
  for (const { name, addresses } of all) {
    for (const address of addresses) lines.push(`${address}\t${name}`);
  }
  return lines.join("\n") + "\n";
}

/** No name server is within reach: queries fail at once in place of a timeout. */
const RESOLV = "# The names of the lab are in /etc/hosts.\noptions attempts:1 timeout:1\n";

/** Whether the nodes reach nothing outside of the lab. */
function isClosed({ nodes }: ResolvedTopology): boolean {
  return nodes.every((node) => isOwn(node) && node.kind !== "nat");
}

/** The command behind the mounts of a node. */
export function preparedCommand(
  node: ResolvedNode,
  topology: ResolvedTopology,
  { command, options }: CommandLine,
): CommandLine {
  const env = { ...node.environment, ...options.env };
  if (options.mounts === false) return { command, options: { ...options, env } };
  const derived: Readonly<Record<string, string>> = {
    "/etc/hosts": hostsFile(node, topology),
    "/etc/hostname": `${node.name}\n`,
    ...(isClosed(topology) && { "/etc/resolv.conf": RESOLV }),
  };
  const files = Object.entries(derived).filter(([path]) => exists(path))
    .map(([path, content]) => [path, "644", "content", content]);
  for (const { path, mode, content, source } of node.files) {
    const value = content === undefined ? ["source", source!] : ["content", content];
    files.push([path, mode.toString(8), ...value]);
  }
  const { args = [] } = options;
  return {
    command: "sh",
    options: {
      ...options,
      env,
      args: [
        ...["-c", PRELUDE, "netloom", String(files.length), node.name],
        ...files.flat(),
        ...[command, ...args],
      ],
    },
  };
}
