// Queueing disciplines, the line of `tc` that sets the same, and the report of it.
import type { QdiscOptions } from "../../src/traffic/mod.ts";

/** A queueing discipline in both languages. */
export interface Case {
  readonly entry: QdiscOptions;
  readonly words: string;
  /** What is reported, at least. */
  readonly info: object;
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
];
