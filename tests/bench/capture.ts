/**
 * A flood of frames captured to a file: netloom beside `tcpdump -w`. Both have a kernel buffer of 8 MiB,
 * and write to memory (/dev/shm). What counts is how many of the frames come to be in the file, and the
 * processor time of the process, its start left out.
 *
 * @module
 */
import { NetNs, Veth } from "@netloom/netloom";
import { type BenchOptions, median, type Row, takeTurns } from "./_measure.ts";

const HERE = new URL(".", import.meta.url).pathname;
const CACHE = new URL("../../.cache/bench/", import.meta.url).pathname;
const decoder = new TextDecoder();

/** How netloom captures, or who else. */
type Contender = "writeAll" | "for await" | "tcpdump";

interface Sample {
  /** Frames a second that came to be in the file. */
  readonly rate: number;
  /** Share of the frames that did not. */
  readonly lost: number;
  /** Processor seconds of a million frames. */
  readonly cpu_s: number;
}

/** Runs the benchmark. */
export async function captures({ quick, progress }: BenchOptions): Promise<Row[]> {
  const count = quick ? 50_000 : 1_000_000;
  const flood = await buildFlood();
  const names: Contender[] = ["writeAll", "for await", "tcpdump"];
  const contenders = Object.fromEntries(names.map((name) => [name, () => run(name, flood, count)]));
  const samples = await takeTurns<string, Sample>(quick ? 3 : 9, contenders, progress);
  const of = (name: string, key: keyof Sample) => samples[name]!.map((sample) => sample[key]);
  const ours: Contender[] = ["writeAll", "for await"];
  return [
    ...ours.map((name): Row => ({
      job: `flood of ${count} frames to a file, ${name}`,
      netloom: median(of(name, "rate")),
      unit: "frames/s",
      cpu_s: median(of(name, "cpu_s")),
      rival: "tcpdump -w",
      rivals: median(of("tcpdump", "rate")),
      rivals_cpu_s: median(of("tcpdump", "cpu_s")),
      ratio: median(samples[name]!.map(({ rate }, i) => rate / samples.tcpdump![i]!.rate)),
      goal: 0.97,
      atLeast: true,
    })),
    ...ours.map((name): Row => ({
      job: `processor time of a million frames, ${name}`,
      netloom: median(of(name, "cpu_s")) * 1000,
      rival: "tcpdump -w",
      rivals: median(of("tcpdump", "cpu_s")) * 1000,
      ratio: median(samples[name]!.map(({ cpu_s }, i) => cpu_s / samples.tcpdump![i]!.cpu_s)),
    })),
    ...names.map((name): Row => ({
      job: `lost, ${name}`,
      netloom: median(of(name, "lost")) * 100,
      unit: "%",
    })),
  ];
}

/** The sender, built once. */
async function buildFlood(): Promise<string> {
  const target = `${CACHE}flood`;
  await Deno.mkdir(CACHE, { recursive: true });
  const args = ["-O2", "-o", target, `${HERE}rivals/capture/flood.c`];
  const { success, stderr } = await new Deno.Command("gcc", { args }).output();
  if (!success) throw new Error(`gcc: ${decoder.decode(stderr)}`);
  return target;
}

async function run(contender: Contender, flood: string, count: number): Promise<Sample> {
  using netns = NetNs.create();
  const silent = { arp: false, addrGenMode: "none", up: true } as const;
  const veth = Veth.create({
    ...silent,
    name: "v0",
    netns,
    peer: { ...silent, name: "v1", netns },
  });
  await veth.waitFor(({ operstate }) => operstate === "up");
  const path = `/dev/shm/netloom-bench-${Deno.pid}.pcap`;
  const process = netns.command(...commandOf(contender, path)).spawn();
  try {
    const says = contender === "tcpdump" ? process.stderr : process.stdout;
    const output = says.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("listening")) text += (await output.read()).value ?? "";
    const before = cpuOf(process.pid);
    const sent = await netns.command(flood, { args: ["v0", `${count}`, "0"] }).output();
    const seconds = Number(decoder.decode(sent.stdout));
    // tcpdump's buffer is passed on after a second.
    await new Promise((resolve) => setTimeout(resolve, 1200));
    const cpu = cpuOf(process.pid) - before;
    if (contender === "tcpdump") process.kill("SIGINT");
    else await process.stdin.close();
    for (let chunk = await output.read(); !chunk.done; chunk = await output.read()) {
      text += chunk.value;
    }
    await process.status;
    const kept = keptOf(contender, text);
    return { rate: kept / seconds, lost: 1 - kept / count, cpu_s: cpu / kept * 1e6 };
  } finally {
    await Deno.remove(path);
  }
}

function commandOf(contender: Contender, path: string): [string, Deno.CommandOptions] {
  if (contender === "tcpdump") {
    const args = ["-i", "v1", "-B", "8192", "-Z", "root", "-w", path];
    return ["tcpdump", { args, stdin: "null", stdout: "null", stderr: "piped" }];
  }
  const args = ["run", "-A", `${HERE}capture_child.ts`, contender, "v1", path];
  return [Deno.execPath(), { args, stdin: "piped", stdout: "piped", stderr: "inherit" }];
}

/** How many frames are in the file. */
function keptOf(contender: Contender, text: string): number {
  if (contender === "tcpdump") return Number(/(\d+) packets captured/.exec(text)![1]);
  const { packets, drops } = JSON.parse(text.slice(text.indexOf("{")));
  return packets - drops;
}

/** User and system time of a process in seconds. */
function cpuOf(pid: number): number {
  const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
