// Queueing disciplines, the line of `tc` that sets the same, and the report of it.
import type { ClassOptions, FilterOptions, QdiscOptions } from "../../src/traffic/mod.ts";

/** A queueing discipline in both languages. */
export interface Case {
  readonly entry: QdiscOptions;
  readonly words: string;
  /** The report, at least. */
  readonly info: object;
  /** What the kernel reports in place of {@link info}, at least. */
  readonly kept?: object;
  /** Whether every byte is the same. Default: true. */
  readonly exact?: boolean;
  /** Set where it cannot stand alone on a link. */
  readonly needs?: string;
}

export const CASES: readonly Case[] = [
  {
    entry: {
      kind: "tbf",
      handle: "1:",
      options: { rate: "8mbit", burst: "32000b", limit: 64000 },
    },
    words: "tc qdisc add dev v0 root handle 1: tbf rate 8mbit burst 32000b limit 64000b",
    info: { handle: "1:", kind: "tbf", options: { rate: 8e6, burst: 32000, limit: 64000 } },
    exact: false, // tc sets cell_log and cell_align for its table
  },
  {
    entry: {
      kind: "tbf",
      options: {
        rate: 8e6,
        burst: 32000,
        latency: 50,
        peakrate: "16mbit",
        mtu: 2000,
        mpu: 64,
        overhead: 4,
      },
    },
    words: "tc qdisc add dev v0 root tbf rate 8mbit burst 32000b latency 50ms peakrate 16mbit" +
      " mtu 2000b mpu 64b overhead 4",
    info: {
      options: {
        limit: 82000,
        peakrate: 16e6,
        mtu: 2000,
        mpu: 64,
        overhead: 4,
        linklayer: "ethernet",
      },
    },
    exact: false,
  },
  {
    entry: {
      kind: "tbf",
      handle: "5:",
      options: { rate: "80gbit", burst: 1e7, limit: 2e7 },
    },
    words: "tc qdisc add dev v0 root handle 5: tbf rate 80gbit burst 10000000b limit 20000000b",
    info: { options: { rate: 80e9, limit: 2e7 } },
    exact: false,
  },
  {
    entry: { kind: "pfifo", options: { limit: 100 } },
    words: "tc qdisc add dev v0 root pfifo limit 100",
    info: { kind: "pfifo", options: { limit: 100 } },
  },
  {
    entry: { kind: "pfifo", parent: "1:10", handle: "20:" },
    words: "tc qdisc add dev v0 parent 1:10 handle 20: pfifo",
    info: { parent: "1:10", handle: "20:" },
    needs: "1:10",
  },
  {
    entry: { kind: "bfifo", options: { limit: "32kb" } },
    words: "tc qdisc add dev v0 root bfifo limit 32kb",
    info: { kind: "bfifo", options: { limit: 32768 } },
  },
  {
    entry: { kind: "ingress" },
    words: "tc qdisc add dev v0 ingress",
    info: { kind: "ingress", handle: "ffff:", parent: "ingress" },
  },
  {
    entry: { kind: "clsact" },
    words: "tc qdisc add dev v0 clsact",
    info: { kind: "clsact", handle: "ffff:" },
  },
  {
    entry: { kind: "prio", handle: "1:" },
    words: "tc qdisc add dev v0 root handle 1: prio",
    exact: false, // tc appends an empty nest
    info: {
      kind: "prio",
      options: { bands: 3, priomap: [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1] },
    },
  },
  {
    entry: {
      kind: "prio",
      options: { bands: 4, priomap: [3, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 1, 1, 2, 2] },
    },
    words: "tc qdisc add dev v0 root prio bands 4 priomap 3 3 3 3 3 3 3 3 0 0 0 0 1 1 2 2",
    exact: false, // tc appends an empty nest
    info: { options: { bands: 4 } },
  },
  {
    entry: {
      kind: "fq_codel",
      options: {
        limit: 1000,
        flows: 64,
        target: "3ms",
        interval: "40ms",
        quantum: 300,
        memoryLimit: "1mb",
        ecn: false,
        ceThreshold: "500us",
        dropBatch: 8,
      },
    },
    words: "tc qdisc add dev v0 root fq_codel limit 1000 flows 64 target 3ms interval 40ms" +
      " quantum 300 memory_limit 1mb noecn ce_threshold 500us drop_batch 8",
    info: {
      options: {
        limit: 1000,
        flows: 64,
        target: 3,
        interval: 40,
        quantum: 300,
        memoryLimit: 1048576,
        ecn: false,
        ceThreshold: 0.5,
        dropBatch: 8,
      },
    },
    kept: { options: { target: 2.999, interval: 39.999, ceThreshold: 0.499, dropBatch: 8 } },
    exact: false, // another order
  },
  {
    entry: { kind: "htb", handle: "1:", options: { default: "20", r2q: 5, directQlen: 50 } },
    words: "tc qdisc add dev v0 root handle 1: htb default 20 r2q 5 direct_qlen 50",
    info: { kind: "htb", options: { default: 0x20, r2q: 5, directQlen: 50, directPackets: 0 } },
    exact: false,
  },
  {
    entry: {
      kind: "netem",
      options: { delay: "10ms", jitter: "2ms", correlation: "25%", limit: 500 },
    },
    words: "tc qdisc add dev v0 root netem limit 500 delay 10ms 2ms 25%",
    info: { options: { limit: 500, delay: 10, jitter: 2, correlation: 0.25 } },
    exact: false, // here all that a change must reset is written
  },
  {
    entry: {
      kind: "netem",
      handle: "7:",
      options: {
        loss: { share: "1%", correlation: 0.3 },
        duplicate: "2%",
        corrupt: { share: 0.001, correlation: "10%" },
        ecn: true,
      },
    },
    words: "tc qdisc add dev v0 root handle 7: netem loss random 1% 30% duplicate 2%" +
      " corrupt 0.1% 10% ecn",
    info: {
      options: {
        loss: { share: 0.01, correlation: 0.3 },
        duplicate: { share: 0.02 },
        corrupt: { share: 0.001, correlation: 0.1 },
        ecn: true,
      },
    },
    exact: false,
  },
  {
    entry: {
      kind: "netem",
      options: { loss: { state: { p13: "1%", p31: "20%", p32: "5%", p23: "60%", p14: "0.5%" } } },
    },
    words: "tc qdisc add dev v0 root netem loss state 1% 20% 5% 60% 0.5%",
    info: {
      options: { loss: { state: { p13: 0.01, p31: 0.2, p32: 0.05, p23: 0.6, p14: 0.005 } } },
    },
    exact: false,
  },
  {
    entry: { kind: "netem", options: { loss: { state: { p13: "1%" } } } },
    words: "tc qdisc add dev v0 root netem loss state 1%",
    info: { options: { loss: { state: { p13: 0.01, p31: 0.99, p32: 0, p23: 1, p14: 0 } } } },
    exact: false,
  },
  {
    entry: {
      kind: "netem",
      options: { loss: { gemodel: { p: "1%", r: "10%", bad: "70%", good: "0.1%" } } },
    },
    words: "tc qdisc add dev v0 root netem loss gemodel 1% 10% 70% 0.1%",
    info: { options: { loss: { gemodel: { p: 0.01, r: 0.1, bad: 0.7, good: 0.001 } } } },
    exact: false,
  },
  {
    entry: { kind: "netem", options: { loss: { gemodel: { p: "1%" } } } },
    words: "tc qdisc add dev v0 root netem loss gemodel 1%",
    info: { options: { loss: { gemodel: { p: 0.01, r: 0.99, bad: 1, good: 0 } } } },
    exact: false,
  },
  {
    entry: {
      kind: "netem",
      options: {
        delay: 20,
        reorder: { share: "25%", correlation: "50%", gap: 5 },
        rate: { rate: "1mbit", packetOverhead: -14, cellSize: 48, cellOverhead: 5 },
      },
    },
    words: "tc qdisc add dev v0 root netem delay 20ms reorder 25% 50% gap 5 rate 1mbit -14 48 5",
    info: {
      options: {
        delay: 20,
        reorder: { share: 0.25, correlation: 0.5, gap: 5 },
        rate: { rate: 1e6, packetOverhead: -14, cellSize: 48, cellOverhead: 5 },
      },
    },
    exact: false,
  },
  {
    entry: {
      kind: "netem",
      options: { rate: "80gbit", slot: { min: "1ms", max: "2ms", packets: 9 } },
    },
    words: "tc qdisc add dev v0 root netem rate 80gbit slot 1ms 2ms packets 9",
    info: { options: { rate: { rate: 80e9 }, slot: { min: 1, max: 2, packets: 9 } } },
    exact: false,
  },
];

/** Classes, the line of `tc` that sets the same, and the report of it. */
export const CLASS_CASES: readonly { entry: ClassOptions; words: string; info: object }[] = [
  {
    entry: {
      kind: "htb",
      classid: "1:1",
      options: { rate: "8mbit", burst: 16000, cburst: "16000b", quantum: 1500 },
    },
    words: "tc class add dev v0 parent 1: classid 1:1 htb rate 8mbit burst 16000b cburst 16000b" +
      " quantum 1500",
    info: {
      kind: "htb",
      classid: "1:1",
      options: { rate: 8e6, ceil: 8e6, burst: 16000, cburst: 16000, quantum: 1500, prio: 0 },
    },
  },
  {
    entry: {
      kind: "htb",
      classid: "1:10",
      parent: "1:1",
      options: {
        rate: 4e6,
        ceil: "8mbit",
        burst: 2000,
        cburst: 4000,
        prio: 3,
        mpu: 64,
        overhead: 4,
        quantum: 3000,
      },
    },
    words: "tc class add dev v0 parent 1:1 classid 1:10 htb rate 4mbit ceil 8mbit burst 2000b" +
      " cburst 4000b prio 3 mpu 64 overhead 4 quantum 3000",
    info: {
      parent: "1:1",
      options: {
        rate: 4e6,
        ceil: 8e6,
        burst: 2000,
        cburst: 4000,
        prio: 3,
        mpu: 64,
        overhead: 4,
        level: 0,
      },
    },
  },
];

/** A program that takes marked packets. */
const MARKED = [
  { code: 32, jt: 0, jf: 0, k: 4294963220 },
  { code: 21, jt: 0, jf: 1, k: 28268 },
  { code: 6, jt: 0, jf: 0, k: 4294967295 },
  { code: 6, jt: 0, jf: 0, k: 0 },
];

/** A filter in both languages, and the report of it. */
export interface FilterCase {
  readonly entry: FilterOptions;
  readonly words: string;
  readonly info: object;
}

/** Filters of all kinds but flower. */
export const FILTER_CASES: readonly FilterCase[] = [
  {
    entry: {
      kind: "u32",
      parent: "egress",
      protocol: "ip",
      priority: 5,
      handle: "800::5",
      options: {
        match: [
          { offset: 16, value: 0x0a000000, mask: 0xff000000 },
          { offset: 20, value: 0x50, mask: 0xffff },
        ],
        classid: "1:10",
      },
    },
    words: "tc filter add dev v0 egress protocol ip prio 5 handle 800::5 u32 match ip dst" +
      " 10.0.0.0/8 match u16 0x50 0xffff at 22 classid 1:10",
    info: { handle: "800::5", protocol: "ip", priority: 5, options: { classid: "1:10" } },
  },
  {
    entry: {
      kind: "u32",
      parent: "egress",
      priority: 9,
      options: { actions: [{ kind: "mirred", action: "mirror", dev: 11 }] },
    },
    words: "tc filter add dev v0 egress protocol all prio 9 u32 match u32 0 0 action mirred" +
      " egress mirror dev v1",
    info: {
      protocol: "all",
      options: {
        actions: [{ kind: "mirred", action: "mirror", direction: "egress", dev: 11 }],
      },
    },
  },
  {
    entry: {
      kind: "u32",
      parent: "ingress",
      protocol: "ipv6",
      priority: 2,
      options: {
        actions: [{ kind: "mirred", action: "redirect", direction: "ingress", dev: 11 }],
      },
    },
    words: "tc filter add dev v0 ingress protocol ipv6 prio 2 u32 match u32 0 0 action mirred" +
      " ingress redirect dev v1",
    info: { parent: "ingress", options: { actions: [{ direction: "ingress", dev: 11 }] } },
  },
  {
    entry: {
      kind: "bpf",
      parent: "ingress",
      priority: 1,
      options: { program: MARKED, classid: "1:1" },
    },
    words: "tc filter add dev v0 ingress protocol all prio 1 bpf bytecode" +
      " 4,32_0_0_4294963220,21_0_1_28268,6_0_0_4294967295,6_0_0_0 classid 1:1",
    info: { kind: "bpf", options: { program: MARKED, classid: "1:1" } },
  },
  {
    entry: {
      kind: "matchall",
      parent: "egress",
      priority: 3,
      options: { actions: [{ kind: "gact", control: "drop" }] },
    },
    words: "tc filter add dev v0 egress protocol all prio 3 matchall action gact drop",
    info: { kind: "matchall", options: { actions: [{ kind: "gact", control: "drop" }] } },
  },
  {
    entry: { kind: "fw", parent: "1:", priority: 3, handle: 6, options: { classid: "1:10" } },
    words: "tc filter add dev v0 parent 1: protocol all prio 3 handle 6 fw classid 1:10",
    info: { kind: "fw", handle: 6, parent: "1:", options: { classid: "1:10" } },
  },
  {
    entry: {
      kind: "matchall",
      parent: "egress",
      priority: 4,
      options: {
        actions: [
          { kind: "skbedit", mark: 5, priority: 7, queueMapping: 2 },
          { kind: "police", rate: "8mbit", burst: 16000, exceed: "drop" },
        ],
      },
    },
    words: "tc filter add dev v0 egress protocol all prio 4 matchall action skbedit" +
      " queue_mapping 2 priority :7 mark 5 action police rate 8mbit burst 16000b" +
      " conform-exceed drop",
    info: {
      options: {
        actions: [
          { kind: "skbedit", mark: 5, priority: 7, queueMapping: 2, control: "pipe" },
          { kind: "police", rate: 8e6, burst: 16000, exceed: "drop" },
        ],
      },
    },
  },
];
