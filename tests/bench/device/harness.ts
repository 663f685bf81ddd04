/**
 * Two namespaces, a forwarder between them in a process of its own, and traffic through it.
 *
 * @module
 */
import { Link, NetNs } from "../../../mod.ts";

const HERE = new URL(".", import.meta.url).pathname;
const RIVALS = new URL("../rivals/device/", import.meta.url).pathname;
const CACHE = new URL("../../../.cache/bench/", import.meta.url).pathname;
let runs = 0;
const decoder = new TextDecoder();

/** Who forwards: how netloom does it, or a rival. */
export type Contender = "sync" | "async" | "batch" | "syncbatch" | "loop" | "C" | "Go" | "Python";

/** What a contender is told. */
export interface Job {
  /** With IFF_VNET_HDR and all offloads. */
  readonly offloads?: boolean;
  /** Answers pings instead of forwarding. */
  readonly echo?: boolean;
  /** netloom only: further TUNs that wait for packets which never come. */
  readonly idle?: number;
  /** netloom, async only: watches a timer, and prints at the end how late it was. */
  readonly timer?: boolean;
}

/** A forwarder at work. */
export interface Forwarder {
  /** Where traffic starts. */
  readonly a: NetNs;
  /** Where it goes. */
  readonly b: NetNs;
  /** Processor time of the forwarder so far, in seconds. */
  cpu(): number;
  /** Ends it; what it printed after "ready". */
  end(): Promise<string>;
}

/** Runs `use` beside a forwarder; both namespaces and the process are gone afterwards. */
export async function withForwarder<T>(
  contender: Contender,
  job: Job,
  use: (forwarder: Forwarder) => Promise<T>,
): Promise<T> {
  // Names of their own: the kernel may still be cleaning up after the last ones.
  const names = [`nlb-${Deno.pid}-${++runs}a`, `nlb-${Deno.pid}-${runs}b`] as const;
  using a = NetNs.create(names[0]);
  using b = NetNs.create(names[1]);
  const [command, args] = await commandOf(contender, job, names);
  const env = { IDLE: `${job.idle ?? 0}`, ...(job.timer ? { TIMER: "1" } : {}) };
  const process = new Deno.Command(command, { args, env, stdout: "piped" }).spawn();
  const output = process.stdout.getReader();
  let over = false;
  let running = true;
  const status = process.status.then(() => running = false);
  const end = async () => {
    if (over) return "";
    over = true;
    if (running) process.kill("SIGTERM");
    let text = "";
    for (let chunk = await output.read(); !chunk.done; chunk = await output.read()) {
      text += decoder.decode(chunk.value);
    }
    await status;
    return text;
  };
  try {
    const first = await output.read();
    if (first.done) throw new Error(`${contender} ended at once`);
    for (const [netns, n] of [[a, 1], [b, 2]] as const) {
      if (job.echo && n === 2) continue;
      using link = Link.get("t0", { netns });
      link.addresses.add(`10.9.0.${n}/24`);
      link.up();
    }
    return await use({ a, b, cpu: () => cpuOf(process.pid), end });
  } finally {
    await end();
  }
}

async function commandOf(
  contender: Contender,
  job: Job,
  names: readonly string[],
): Promise<[string, string[]]> {
  const offloads = job.offloads ? "1" : "0";
  const rest = [...names, offloads, job.echo ? "echo" : "poll"];
  switch (contender) {
    case "C":
      return [await binary("forward.c", "gcc", "-O2", "-o"), rest];
    case "Go":
      return [await binary("forward.go", "go", "build", "-o"), rest];
    case "Python":
      return ["/usr/bin/python3", [`${RIVALS}forward.py`, ...rest]];
    default: {
      const mode = job.echo ? "echo" : contender;
      return [Deno.execPath(), ["run", "-A", `${HERE}forward_child.ts`, ...names, offloads, mode]];
    }
  }
}

const built = new Map<string, Promise<string>>();

/** A rival, built once from the sources here and Debian's packages. */
export function binary(source: string, command: string, ...args: string[]): Promise<string> {
  const build = async () => {
    await Deno.mkdir(CACHE, { recursive: true });
    const target = `${CACHE}${source.replace(".", "-")}`;
    const env = { GO111MODULE: "off", GOPATH: "/usr/share/gocode", CGO_ENABLED: "0" };
    await run(command, [...args, target, `${RIVALS}${source}`], env);
    return target;
  };
  const known = built.get(source) ?? build();
  built.set(source, known);
  return known;
}

async function run(command: string, args: string[], env: Record<string, string>): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, env }).output();
  if (!success) throw new Error(`${command} ${args.join(" ")}: ${decoder.decode(stderr)}`);
}

/** User and system time of a process, all its threads, in seconds. */
export function cpuOf(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // In clock ticks, of which Linux shows programs 100 a second.
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** What iperf3 measured, and what the forwarder used meanwhile. */
export interface Traffic {
  /** Bytes a second received. */
  readonly bytes: number;
  /** Datagrams a second received; UDP only. */
  readonly packets: number;
  /** Share of datagrams lost; UDP only. */
  readonly lost: number;
  /** Processor seconds of the forwarder, a second. */
  readonly cpu: number;
}

/** Sends TCP, or with `size` UDP datagrams of that size, from A to B with iperf3. */
export async function iperf(
  { a, b, cpu }: Forwarder,
  seconds: number,
  udp?: { size: number; rate?: number },
): Promise<Traffic> {
  const server = b.command("iperf3", { args: ["-s", "-1"], stdout: "null" }).spawn();
  await listening(b);
  const bitrate = udp?.rate ? udp.rate * udp.size * 8 : 0;
  const args = udp ? ["-u", "-b", `${bitrate}`, "-l", `${udp.size}`] : [];
  const before = cpu();
  const client = await a.command("iperf3", {
    args: ["-c", "10.9.0.2", "-J", "-t", `${seconds}`, ...args],
  }).output();
  const used = cpu() - before;
  await server.status;
  const { end, error } = JSON.parse(decoder.decode(client.stdout));
  if (error) throw new Error(`iperf3: ${error}`);
  const sum = udp ? end.sum : end.sum_received;
  const packets = udp ? (sum.packets - sum.lost_packets) / sum.seconds : 0;
  const lost = udp ? sum.lost_packets / sum.packets : 0;
  return { bytes: sum.bits_per_second / 8 * (1 - lost), packets, lost, cpu: used / sum.seconds };
}

/** Waits until something listens on iperf3's port, 5201. */
async function listening(netns: NetNs): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    const { stdout } = await netns.command("ss", { args: ["-ltnH", "sport = 5201"] }).output();
    if (stdout.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("iperf3 does not listen");
}
