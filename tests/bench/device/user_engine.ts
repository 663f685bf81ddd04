/**
 * The engine of `link.impair()` and `link.intercept()` beside the same loop in C, a loop in Python that reads an
 * NFQUEUE, and netem, where the kernel has them: what happens to the frames that a link sends. `deno run -A tests/bench/device/user_engine.ts [--rounds=N] [--seconds=N] [--only=ping]`
 *
 * @module
 */
import { parseArgs } from "node:util";
import { capabilities, NetlinkError, NetNs, Veth } from "../../../mod.ts";
import "../../../src/nftables/mod.ts";
import "../../../src/traffic/mod.ts";
import "../../../src/traffic/mod.ts";
import { DelayQueue } from "../../../src/traffic/user/queue.ts";
import { median } from "../_measure.ts";
import { binary, cpuOf, type Forwarder, iperf } from "./harness.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "9" },
    seconds: { type: "string", default: "3" },
    only: { type: "string", default: "" },
  },
});
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
const CHILD = new URL("./user_engine_child.ts", import.meta.url).pathname;
const NFQUEUE = new URL("../rivals/device/nfqueue.py", import.meta.url).pathname;

/** Who moves the frames: nobody, the loop in C, the engine, netem, or the loop in Python. */
const CONTENDERS = {
  direct: undefined,
  "C, GSO": "1",
  "C, packets": "0",
  "engine, GSO": "pass",
  "engine, packets": "packets",
  "engine, 1 ms": "1",
  "netem, packets": "loss",
  "netem, 1 ms": "delay",
  "NFQUEUE, Python": "queue",
} as const;
type Contender = keyof typeof CONTENDERS;

let runs = 0;

/** Runs `use` with a pair whose frames from `a` to `b` a contender moves. */
async function beside<T>(who: Contender, use: (forwarder: Forwarder) => Promise<T>): Promise<T> {
  const name = `nlu-${Deno.pid}-${++runs}`;
  using a = NetNs.create(name);
  using b = NetNs.create();
  Veth.create({
    name: "v0",
    netns: a,
    up: true,
    addresses: ["10.9.0.1/24"],
    peer: { name: "v1", netns: b, up: true, addresses: ["10.9.0.2/24"] },
  });
  const mode = CONTENDERS[who];
  const alone = { a, b, cpu: () => 0, end: () => Promise.resolve("") };
  if (mode === undefined) return await use(alone);
  if (mode === "loss" || mode === "delay") {
    const out = mode === "loss" ? { loss: 1e-9 } : { delay: 1 };
    a.links.get("v0").impair({ out, engine: "kernel" });
    return await use(alone);
  }
  if (mode === "queue") leadToQueue(a);
  const command = who.startsWith("C")
    ? [await binary("redirect.c", "gcc", "-O2", "-o"), name, mode]
    : mode === "queue"
    ? ["/usr/bin/python3", NFQUEUE, name]
    : [Deno.execPath(), "run", "-A", CHILD, name, mode];
  const process = new Deno.Command(command[0]!, { args: command.slice(1), stdout: "piped" })
    .spawn();
  try {
    const { done } = await process.stdout.getReader().read();
    if (done) throw new Error(`${who} ended at once`);
    return await use({ a, b, cpu: () => cpuOf(process.pid), end: () => Promise.resolve("") });
  } finally {
    process.kill("SIGKILL");
    await process.status;
  }
}

/** Leads what a namespace sends into an NFQUEUE. */
function leadToQueue(netns: NetNs): void {
  const rules = [{ oifname: "v0", queue: 0 }];
  netns.nftables.add({ family: "ip", name: "q", chains: [{ name: "c", hook: "output", rules }] });
}

/** Whether the kernel can do what a contender needs. */
function has(who: Contender): boolean {
  if (who.startsWith("netem")) return capabilities().impair.kernel.includes("delay");
  if (!who.startsWith("NFQUEUE")) return true;
  using netns = NetNs.create();
  try {
    leadToQueue(netns);
    return true;
  } catch (error) {
    if (error instanceof NetlinkError) return false;
    throw error;
  }
}

const JOBS: Readonly<
  Record<
    string,
    { who: readonly Contender[]; run(it: Forwarder): Promise<{ value: number; cpu: number }> }
  >
> = {
  "TCP, Gbit/s": {
    who: [
      ...["direct", "C, GSO", "engine, GSO", "engine, 1 ms", "netem, 1 ms"] as const,
      ...["C, packets", "engine, packets", "netem, packets", "NFQUEUE, Python"] as const,
    ],
    run: async (it) => {
      const { bytes, cpu } = await iperf(it, seconds);
      return { value: bytes * 8 / 1e9, cpu };
    },
  },
  "UDP of 64 bytes, 1000 packets/s": {
    who: ["direct", "C, packets", "engine, packets", "netem, packets", "NFQUEUE, Python"],
    run: async (it) => {
      const { packets, cpu } = await iperf(it, seconds, { size: 64 });
      return { value: packets / 1000, cpu };
    },
  },
  "ping, µs": {
    who: ["direct", "C, GSO", "engine, GSO", "NFQUEUE, Python", "netem, 1 ms", "engine, 1 ms"],
    run: async ({ a, cpu }) => {
      await a.ping("10.9.0.2");
      const before = cpu();
      const output = await a.command("ping", {
        args: ["-q", "-c", "200", "-i", "0.005", "10.9.0.2"],
      }).output();
      const [, average] = /= [\d.]+\/([\d.]+)\//.exec(new TextDecoder().decode(output.stdout))!;
      return { value: Number(average) * 1000, cpu: cpu() - before };
    },
  },
};

for (const [job, { who: all, run }] of Object.entries(JOBS)) {
  if (!job.startsWith(values.only)) continue;
  const who = all.filter(has);
  const samples = new Map<Contender, { value: number; cpu: number }[]>();
  for (let round = 0; round < rounds; round++) {
    for (const contender of round % 2 ? who.toReversed() : who) {
      const list = samples.get(contender) ?? [];
      list.push(await beside(contender, run));
      samples.set(contender, list);
    }
  }
  console.log(`\n${job} (median of ${rounds}; processor seconds a second)`);
  for (const contender of who) {
    const own = samples.get(contender)!;
    const rival = samples.get(contender.replace("engine", "C") as Contender);
    const ratio = contender.startsWith("engine") && rival
      ? `  ${median(own.map(({ value }, i) => value / rival[i]!.value)).toFixed(2)} of C`
      : "";
    const [value, cpu] = [median(own.map((it) => it.value)), median(own.map((it) => it.cpu))];
    console.log(
      `${contender.padEnd(16)} ${value.toFixed(2).padStart(9)}  ${cpu.toFixed(2)}${ratio}`,
    );
  }
}

// The heap: a frame in and out, with so many that wait.
const queue = new DelayQueue();
let due = 0;
for (let i = 0; i < 10_000; i++) queue.add(i, due += Math.random());
const start = performance.now();
for (let i = 0; i < 1e6; i++) queue.add(queue.take(Infinity), due += Math.random());
console.log(`\nqueue of 10,000: ${((performance.now() - start) / 1e3).toFixed(2)} µs for a frame`);
