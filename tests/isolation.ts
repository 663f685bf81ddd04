// Namespaces for one run of `deno test`, so that several run at once: network (names and addresses do
// not collide), mount (an empty /run, with no named namespaces) and process (its processes end with it).

const UNSHARE = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];

/** The shell stays as the namespace's first process, which reaps orphans. */
const PRELUDE = `
mount -t tmpfs none /run && ip link set lo up || exit 125
"$@" 2>&1
exit $?`;

/** Whether this machine allows them: a container with parts of /proc hidden does not. */
export function canIsolate(): boolean {
  const [command, ...args] = UNSHARE;
  return new Deno.Command(command!, { args: [...args, "true"] }).outputSync().success;
}

/** The command line that runs a command in namespaces of its own, and ends it with this process. */
export function isolated(command: readonly string[]): string[] {
  return ["setpriv", "--pdeathsig=KILL", ...UNSHARE, "sh", "-c", PRELUDE, "sh", ...command];
}
