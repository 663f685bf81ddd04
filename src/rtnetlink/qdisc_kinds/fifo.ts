/**
 * pfifo and bfifo: a plain queue, limited in packets or bytes (tc-bfifo(8)).
 *
 * @module
 */
import { u32 } from "../../netlink/attribute.ts";
import type { OptionNames } from "../../options.ts";
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

const OPTIONS: OptionNames<PfifoOptions> = { limit: true };

const data = headed<FifoInfo>("limit", headField(4, u32(0)), noAttributes("TCA_FIFO_"));

/** pfifo: a queue of packets. */
export const pfifo: QdiscKind<PfifoOptions, FifoInfo, FifoInfo> = {
  kind: "pfifo",
  config: "NET_SCHED",
  data,
  options: OPTIONS,
  // Without a limit the kernel wants no structure at all.
  encode: ({ limit }) => limit === undefined ? undefined : { limit },
};

/** bfifo: a queue of bytes. */
export const bfifo: QdiscKind<BfifoOptions, FifoInfo, FifoInfo> = {
  kind: "bfifo",
  config: "NET_SCHED",
  data,
  options: OPTIONS,
  encode: ({ limit }) =>
    limit === undefined ? undefined : { limit: parseSize(limit, "options.limit") },
  words: { limit: ["limit", sizeWord] },
};
