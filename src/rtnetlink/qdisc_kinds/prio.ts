/**
 * prio: bands that are served strictly in order (tc-prio(8)).
 *
 * @module
 */
import { struct } from "../../netlink/attribute.ts";
import { integer, type OptionNames, show } from "../../options.ts";
import { headed, headField, noAttributes, type QdiscKind } from "./kind.ts";

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

const OPTIONS: OptionNames<PrioOptions> = { bands: true, priomap: true };

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
  options: OPTIONS,
  encode,
  decode: ({ qopt }) => qopt,
  words: { priomap: (value) => `priomap ${(value as readonly number[]).join(" ")}` },
};
