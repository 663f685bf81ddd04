/**
 * Runs what netloom is measured against: each rival does one job in a process of its own, times it
 * itself and prints one line of JSON. Names of results are those of that line; `process_ms` is added
 * here and holds everything from spawning the process to its end, `ip netns exec` included.
 *
 * `deno run -A tests/bench/rivals/run.ts [PAIRS]` runs each rival once and prints a table.
 *
 * @module
 */

/** What there is to say of every rival. */
export interface Cost {
  /** User and system milliseconds of the job; for a dump, of an average round. */
  readonly cpu_ms: number;
  /** Milliseconds of the whole process. */
  readonly process_ms: number;
}

/** What creating links took. */
export interface Creation extends Cost {
  /** Milliseconds of the creation itself. */
  readonly create_ms: number;
}

/** What deleting links took. */
export interface Deletion extends Cost {
  /** Milliseconds until no link was left. */
  readonly delete_ms: number;
}

/** What adding routes and removing them took. */
export interface RouteTimes extends Cost {
  /** Milliseconds until all were there. */
  readonly add_ms: number;
  /** Milliseconds until none was left. */
  readonly flush_ms: number;
}

/** What a star took: hosts on a bridge, each in a namespace of its own. */
export interface StarTimes extends Creation, Deletion {}

/** What listing all links of a namespace took. */
export interface Dump extends Cost {
  /** Links in the dump, the loopback device among them. */
  readonly links: number;
  /** Milliseconds of the median round. */
  readonly median_ms: number;
}

/** What the bridge recipe took. */
export interface BridgeRecipe extends Cost {
  /** Milliseconds from the first command to the ping's reply. */
  readonly setup_to_reply_ms: number;
  /** The same until everything was removed again and gone. */
  readonly total_ms: number;
}

const HERE = new URL(".", import.meta.url).pathname;
const CACHE = new URL("../../../.cache/bench/", import.meta.url).pathname;
const GOPATH = "/usr/share/gocode";

/** Creates `pairs` veth pairs in a namespace with one `ip -batch`. */
export async function ipBatch(netns: string, pairs: number): Promise<Creation> {
  const lines = range(pairs).map((n) => `link add v${n} type veth peer name p${n}`);
  return await shellBatch(netns, "ip_batch.sh", lines, "create_ms");
}

/** Deletes the first `pairs` pairs of a namespace one by one, until no veth is left in it. */
export async function oneByOneDelete(netns: string, pairs: number): Promise<Deletion> {
  const lines = range(pairs).map((n) => `link del v${n}`);
  return await shellBatch(netns, "one_by_one_delete.sh", lines, "delete_ms");
}

/** Creates `pairs` veth pairs in a namespace with pyroute2. */
export async function pyroute2(netns: string, pairs: number): Promise<Creation> {
  const script = [`${HERE}pyroute2_create.py`, `${pairs}`];
  return await runIn(netns, await python(), script, "create_ms");
}

/** Creates `pairs` veth pairs in a namespace with Go's vishvananda/netlink. */
export async function goNetlink(netns: string, pairs: number): Promise<Creation> {
  return await runIn(netns, await goBinary(), ["create", `${pairs}`], "create_ms");
}

/** Adds routes below 10.0.0.0/8 through the link `v0` of a namespace, and flushes them, with `ip -batch`. */
export async function ipRoutes(netns: string, routes: number): Promise<RouteTimes> {
  const lines = range(routes).map((n) => `route add ${routeOf(n)} via 192.0.2.2 dev v0`);
  return await shellBatch(netns, "ip_routes.sh", lines, "add_ms", "flush_ms");
}

/** The same with pyroute2. */
export async function pyroute2Routes(netns: string, routes: number): Promise<RouteTimes> {
  const script = [`${HERE}pyroute2_routes.py`, `${routes}`];
  return await runIn(netns, await python(), script, "add_ms", "flush_ms");
}

/** The same with Go's vishvananda/netlink. */
export async function goRoutes(netns: string, routes: number): Promise<RouteTimes> {
  return await runIn(netns, await goBinary(), ["routes", `${routes}`], "add_ms", "flush_ms");
}

function routeOf(n: number): string {
  return `10.${n >> 16}.${n >> 8 & 255}.${n & 255}/32`;
}

/** Calls `use` with a fresh namespace whose link `v0` is up and has the address 192.0.2.1/24. */
export function withRouter<T>(use: (netns: string) => Promise<T>): Promise<T> {
  return withNamespace(async (netns) => {
    for (
      const words of [
        "link add v0 type veth peer name v1",
        "link set v0 up",
        "link set v1 up",
        "address add 192.0.2.1/24 dev v0",
      ]
    ) await exec("ip", ["-n", netns, ...words.split(" ")]);
    return await use(netns);
  });
}

/** A star of hosts, in namespaces of its own: without netloom's care for readiness and verification. */
export async function star(
  rival: "Go" | "pyroute2" | "Mininet",
  hosts: number,
): Promise<StarTimes> {
  const commands = {
    Go: async () => [await goBinary(), "star"],
    pyroute2: async () => [await python(), `${HERE}pyroute2_star.py`],
    Mininet: () => Promise.resolve(["/usr/bin/python3", `${HERE}mininet_star.py`]),
  };
  const apart = ["--net", "--mount", "--propagation", "private"];
  const [command, ...args] = await commands[rival]();
  return await run("unshare", [...apart, command!, ...args, `${hosts}`], "create_ms", "delete_ms");
}

/** Lists a namespace's links with Go's vishvananda/netlink. */
export async function goDump(netns: string, rounds: number): Promise<Dump> {
  const job = ["dump", `${rounds}`];
  return await runIn(netns, await goBinary(), job, "links", "median_ms");
}

/** Receives the same dump from a bare socket, nothing parsed. */
export async function rawDump(netns: string, rounds: number): Promise<Dump> {
  const job = ["raw", `${rounds}`];
  return await runIn(netns, await goBinary(), job, "links", "median_ms");
}

/** Lists a namespace's links with pyroute2. */
export async function pyDump(netns: string, rounds: number): Promise<Dump> {
  const script = [`${HERE}pyroute2_dump.py`, `${rounds}`];
  return await runIn(netns, await python(), script, "links", "median_ms");
}

/**
 * Runs the tutorial's bridge recipe and removes what it made.
 *
 * @param prefix What all names start with, 12 characters at most
 * @param command Runs in the first namespace instead of `ping`
 */
export async function bridgeRecipe(
  prefix: string,
  command: readonly string[] = [],
): Promise<BridgeRecipe> {
  const args = [`${HERE}bridge_recipe.sh`, prefix, ...command];
  const result = await run("bash", args, "setup_to_reply_ms", "total_ms");
  return checkClock(result, result.total_ms);
}

/**
 * Calls `use` with the name of a fresh network namespace and deletes that afterwards. Resolves when
 * the kernel has cleaned it up: with 1,000 pairs that takes a quarter of a second, and what is
 * measured meanwhile comes out half as slow again.
 */
export async function withNamespace<T>(use: (netns: string) => Promise<T>): Promise<T> {
  const name = `nlb-${Deno.pid}`;
  const interrupted = () => {
    new Deno.Command("ip", { args: ["netns", "del", name] }).outputSync();
    Deno.exit(130);
  };
  Deno.addSignalListener("SIGINT", interrupted);
  try {
    await exec("ip", ["netns", "add", name]);
    try {
      return await use(name);
    } finally {
      await deleteNamespace(name);
      // Links leave the list long before their clean-up ends. The kernel cleans dead namespaces up
      // one batch after the other: with this one gone, the first is done.
      await exec("ip", ["netns", "add", name]);
      await deleteNamespace(name);
    }
  } finally {
    Deno.removeSignalListener("SIGINT", interrupted);
  }
}

/** Deletes a namespace and waits until its links are gone from the kernel's list. */
async function deleteNamespace(name: string): Promise<void> {
  // They go together, and a veth takes its peer with it: one whose peer is out here tells.
  const witness = `nlb${Deno.pid}`;
  const peer = ["type", "veth", "peer", "name", "witness", "netns", name];
  try {
    await exec("ip", ["link", "add", witness, ...peer]);
  } finally {
    await exec("ip", ["netns", "del", name]);
  }
  const line = new RegExp(`^ *${witness}:`, "m");
  while (line.test(Deno.readTextFileSync("/proc/net/dev"))) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

type Measured<K extends string> = Record<K, number> & Cost;

function range(length: number): number[] {
  return Array.from({ length }, (_, n) => n);
}

/** Runs a shell rival that executes a file of `ip` commands; writing that file is not timed. */
async function shellBatch<K extends string>(
  netns: string,
  script: string,
  lines: string[],
  ...keys: K[]
): Promise<Measured<K>> {
  const file = await Deno.makeTempFile({ prefix: "nlb-", suffix: ".batch" });
  try {
    await Deno.writeTextFile(file, lines.join("\n") + "\n");
    const result = await runIn(netns, "bash", [HERE + script, file], ...keys);
    return checkClock(result, keys.reduce((sum, key) => sum + result[key], 0));
  } finally {
    await Deno.remove(file);
  }
}

/** Shell rivals have the wall clock only: rejects a result during which that was set. */
function checkClock<R extends { process_ms: number }>(result: R, measured: number): R {
  const outside = result.process_ms - measured;
  if (outside < 0 || outside > 1000) {
    throw new Error(`The wall clock was set: ${measured} ms of ${result.process_ms} ms measured`);
  }
  return result;
}

async function runIn<K extends string>(
  netns: string,
  command: string,
  args: readonly string[],
  ...keys: K[]
): Promise<Measured<K>> {
  return await run("ip", ["netns", "exec", netns, command, ...args], ...keys);
}

/** Runs a rival and reads `cpu_ms` and the numbers named `keys` from the line it prints. */
async function run<K extends string>(
  command: string,
  args: readonly string[],
  ...keys: K[]
): Promise<Measured<K>> {
  const start = performance.now();
  const output = await exec(command, args);
  const process_ms = performance.now() - start;
  const printed: Record<string, unknown> = JSON.parse(output);
  const entries = [...keys, "cpu_ms"].map((key) => {
    const value = printed[key];
    if (typeof value !== "number") throw new Error(`No number ${key} in ${output}`);
    return [key, value];
  });
  return { ...Object.fromEntries(entries), process_ms };
}

/** Debian packages of the commands that are called by name. */
const PACKAGES: Readonly<Record<string, string>> = {
  bash: "bash",
  go: "golang-go golang-github-vishvananda-netlink-dev",
  ip: "iproute2",
};

/** Runs a command and returns what it prints; throws with what it says when it fails. */
async function exec(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(command, { args: [...args], env }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw missing(command, PACKAGES[command] ?? command);
  }
  const decoder = new TextDecoder();
  if (!output.success) {
    const said = decoder.decode(output.stderr).trim();
    throw new Error(`${command} ${args.join(" ")} failed with ${output.code}: ${said}`);
  }
  return decoder.decode(output.stdout);
}

function missing(what: string, packages: string): Error {
  return new Error(`${what} not found; install it with: apt-get install -y ${packages}`);
}

/** Calls `make` once, also for callers that come while it runs. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => made ??= make();
}

/** The Python that has pyroute2: Debian's, which need not be the first on PATH. */
const python = once(async () => {
  for (const command of ["/usr/bin/python3", "python3"]) {
    try {
      await exec(command, ["-c", "import pyroute2"]);
      return command;
    } catch {
      // Try the next one.
    }
  }
  throw missing("A python3 with pyroute2", "python3-pyroute2");
});

/** The Go rival, built from the sources of Debian's packages; nothing is downloaded. */
const goBinary = once(async () => {
  try {
    await Deno.stat(`${GOPATH}/src/github.com/vishvananda/netlink`);
  } catch {
    throw missing("vishvananda/netlink", "golang-go golang-github-vishvananda-netlink-dev");
  }
  await Deno.mkdir(CACHE, { recursive: true });
  const binary = `${CACHE}rival-go`;
  const env = { GO111MODULE: "off", GOPATH, GOFLAGS: "", GOTOOLCHAIN: "local", CGO_ENABLED: "0" };
  await exec("go", ["build", "-o", binary, `${HERE}golang/main.go`], env);
  return binary;
});

if (import.meta.main) {
  const pairs = Number(Deno.args[0] ?? 200);
  if (!Number.isSafeInteger(pairs) || pairs < 1) {
    throw new RangeError(`Not a number of pairs: ${Deno.args[0]}`);
  }
  const rounds = 9;
  const rows: Record<string, object> = {};
  const add = (name: string, result: object) => {
    const rounded = Object.entries(result).map(([key, value]) => [key, Number(value.toFixed(1))]);
    rows[name] = Object.fromEntries(rounded);
  };
  await withNamespace(async (netns) =>
    add(`pyroute2, ${pairs} pairs`, await pyroute2(netns, pairs))
  );
  await withNamespace(async (netns) => add(`Go, ${pairs} pairs`, await goNetlink(netns, pairs)));
  await withNamespace(async (netns) => {
    add(`ip -batch, ${pairs} pairs`, await ipBatch(netns, pairs));
    add("raw dump", await rawDump(netns, rounds));
    add("Go dump", await goDump(netns, rounds));
    add("pyroute2 dump", await pyDump(netns, rounds));
    add(`delete ${pairs} one by one`, await oneByOneDelete(netns, pairs));
  });
  add("bridge recipe", await bridgeRecipe(`nlb${Deno.pid}`));
  console.table(rows);
}
