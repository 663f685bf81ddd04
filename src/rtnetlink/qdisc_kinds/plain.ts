/**
 * Queueing disciplines of few options: pfifo and bfifo (tc-bfifo(8)), prio (tc-prio(8)), ingress and clsact
 * (tc(8)).
 *
 * @module
 */
import { struct, u32 } from "../../netlink/attribute.ts";
import { integer, type OptionNames, show } from "../../options.ts";
import type { NoOptions } from "../link_kinds/kind.ts";
import { parseSize, type Size, sizeWord } from "../units.ts";
import { headed, headField, noAttributes, type QdiscKind } from "./kind.ts";

/** Options of a pfifo. */
export interface PfifoOptions {
  /** Most packets in the queue. Default: the link's `txqlen`. */
  limit?: number;
}

/** Options of a bfifo. */
export interface BfifoOptions {
  /** Most bytes in the queue. Default: the link's `txqlen` times its MTU. */
  limit?: Size;
}

/** A fifo as the kernel reports it, and on the wire: `struct tc_fifo_qopt`. */
export interface FifoInfo {
  /** Most packets (pfifo) or bytes (bfifo) in the queue. */
  limit: number;
}

const FIFO_OPTIONS: OptionNames<PfifoOptions> = { limit: true };

const fifoData = headed<FifoInfo>("limit", headField(4, u32(0)), noAttributes("TCA_FIFO_"));

/** pfifo: a queue of packets. */
export const pfifo: QdiscKind<PfifoOptions, FifoInfo, FifoInfo> = {
  kind: "pfifo",
  config: "NET_SCHED",
  data: fifoData,
  options: FIFO_OPTIONS,
  // Without a limit the kernel wants no structure at all.
  encode: ({ limit }) => limit === undefined ? undefined : { limit },
};

/** bfifo: a queue of bytes. */
export const bfifo: QdiscKind<BfifoOptions, FifoInfo, FifoInfo> = {
  kind: "bfifo",
  config: "NET_SCHED",
  data: fifoData,
  options: FIFO_OPTIONS,
  encode: ({ limit }) =>
    limit === undefined ? undefined : { limit: parseSize(limit, "options.limit") },
  words: { limit: ["limit", sizeWord] },
};

/** Options of a prio. */
export interface PrioOptions {
  /** Number of bands, 2..16. Each is a class: `1:1` is served first. Default: 3. */
  bands?: number;
  /** The band, from 0 on, of each of the 16 priorities. Default: `1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1`. */
  priomap?: readonly number[];
}

/** A prio as the kernel reports it. */
export interface PrioInfo {
  /** Number of bands. */
  bands: number;
  /** The band of each of the 16 priorities. */
  priomap: readonly number[];
}

/** `struct tc_prio_qopt`. */
export interface PrioData {
  /** The structure. */
  qopt: PrioInfo;
}

const PRIORITIES = 16;

/** The kernel's defaults, as `tc` has them. */
const DEFAULT: PrioInfo = {
  bands: 3,
  priomap: [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1],
};

const PRIO_OPTIONS: OptionNames<PrioOptions> = { bands: true, priomap: true };

const qopt = struct<PrioInfo>(0, 20, (view, at, { bands, priomap }) => {
  view.setInt32(at, bands, true);
  priomap.forEach((band, i) => view.setUint8(at + 4 + i, band));
}, (view, at) => ({
  bands: view.getInt32(at, true),
  priomap: Array.from({ length: PRIORITIES }, (_, i) => view.getUint8(at + 4 + i)),
}));

function encode(options: PrioOptions): PrioData {
  const { bands, priomap } = { ...DEFAULT, ...options };
  integer(bands, "options.bands", 2, 16);
  if (!Array.isArray(priomap) || priomap.length !== PRIORITIES) {
    throw new TypeError(`options.priomap must have ${PRIORITIES} bands: got ${show(priomap)}`);
  }
  priomap.forEach((band, i) => integer(band, `options.priomap[${i}]`, 0, bands - 1));
  return { qopt: { bands, priomap } };
}

/** prio: bands that are served strictly in order. */
export const prio: QdiscKind<PrioOptions, PrioInfo, PrioData> = {
  kind: "prio",
  config: "NET_SCH_PRIO",
  data: headed<PrioData>("qopt", headField(20, qopt), noAttributes("TCA_PRIO_")),
  options: PRIO_OPTIONS,
  encode,
  decode: ({ qopt }) => qopt,
  words: { priomap: (value) => `priomap ${(value as readonly number[]).join(" ")}` },
};

const hook = {
  config: "NET_SCH_INGRESS",
  module: "sch_ingress",
  ingress: true,
  data: noAttributes<NoOptions>("TCA_"),
  encode: () => undefined,
} as const;

/** ingress: a place for filters of incoming packets. */
export const ingress: QdiscKind<NoOptions, NoOptions, NoOptions> = { ...hook, kind: "ingress" };

/** clsact: places for filters of incoming and of outgoing packets. */
export const clsact: QdiscKind<NoOptions, NoOptions, NoOptions> = { ...hook, kind: "clsact" };
