/**
 * The attributes of netem, `TCA_NETEM_*` (`linux/pkt_sched.h`).
 *
 * @module
 */
import { bool, type Field, struct, u32, u64 } from "../../netlink/attribute.ts";
import { nested, type Schema, schema } from "../../netlink/schema.ts";
import { headed, headField } from "./kind.ts";

/** Attribute numbers. */
export const TCA_NETEM = {
  CORR: 1,
  DELAY_DIST: 2,
  REORDER: 3,
  CORRUPT: 4,
  LOSS: 5,
  RATE: 6,
  ECN: 7,
  RATE64: 8,
  PAD: 9,
  LATENCY64: 10,
  JITTER64: 11,
  SLOT: 12,
  SLOT_DIST: 13,
  PRNG_SEED: 14,
} as const;

/** Attribute numbers of models of loss. */
export const NETEM_LOSS = { GI: 1, GE: 2 } as const;

/** `struct tc_netem_qopt`: times in ticks, shares in 32 bits. */
export interface NetemQopt {
  /** The delay. */
  latency: number;
  /** Packets. */
  limit: number;
  /** Random loss. */
  loss: number;
  /** Packets between reordered ones. */
  gap: number;
  /** Packets that come twice. */
  duplicate: number;
  /** How much the delay varies. */
  jitter: number;
}

/** A share and its correlation, each in 32 bits (`struct tc_netem_reorder`). */
export interface NetemCorrelated {
  /** The share of packets. */
  share: number;
  /** How much each packet depends on the one before. */
  correlation: number;
}

/** A model of loss: one of both. */
export interface NetemLossModel {
  /** `struct tc_netem_gimodel`. */
  state?: { p13: number; p31: number; p32: number; p14: number; p23: number };
  /** `struct tc_netem_gemodel`. */
  gemodel?: { p: number; r: number; h: number; k1: number };
}

/** `struct tc_netem_slot`: times in nanoseconds. */
export interface NetemSlotData {
  /** The shortest time. */
  min: number;
  /** The longest time. */
  max: number;
  /** Most packets. */
  packets: number;
  /** Most bytes. */
  bytes: number;
  /** The mean time. */
  delay: number;
  /** How much it varies. */
  jitter: number;
}

/** The options of a netem on the wire. */
export interface NetemData {
  /** The structure ahead of the attributes. */
  qopt: NetemQopt;
  /** Correlations. */
  corr?: { delay: number; loss: number; duplicate: number };
  /** The table of the delay. */
  delayDist?: readonly number[];
  /** Reordering. */
  reorder?: NetemCorrelated;
  /** Corruption. */
  corrupt?: NetemCorrelated;
  /** A model of loss. */
  loss?: NetemLossModel;
  /** The rate, in bytes per second. */
  rate?: { rate: number; packetOverhead: number; cellSize: number; cellOverhead: number };
  /** Marks instead of losing. */
  ecn?: boolean;
  /** Bytes per second beyond 32 bits. */
  rate64?: number;
  /** Nanoseconds. */
  latency64?: number;
  /** Nanoseconds. */
  jitter64?: number;
  /** Slots. */
  slot?: NetemSlotData;
  /** The table of the time between slots. */
  slotDist?: readonly number[];
  /** The seed. */
  seed?: bigint;
}

/** A structure of 32-bit numbers. */
function words<T>(type: number, keys: readonly (keyof T & string)[]): Field<T> {
  return struct<T>(
    type,
    keys.length * 4,
    (view, at, value) => {
      keys.forEach((key, i) => view.setUint32(at + i * 4, value[key] as number, true));
    },
    (view, at) =>
      Object.fromEntries(keys.map((key, i) => [key, view.getUint32(at + i * 4, true)])) as T,
  );
}

/** A table of 16-bit numbers. */
function table(type: number): Field<readonly number[]> {
  return {
    type,
    write: (w, values) => {
      const at = w.reserve(values.length * 2);
      values.forEach((value, i) => w.view.setInt16(at + i * 2, value, true));
    },
    read: (s, at, length) =>
      Array.from({ length: length >> 1 }, (_, i) => s.view.getInt16(at + i * 2, true)),
  };
}

const correlated = (type: number) => words<NetemCorrelated>(type, ["share", "correlation"]);

const QOPT = 24;

const qopt = words<NetemQopt>(0, ["latency", "limit", "loss", "gap", "duplicate", "jitter"]);

const slot = struct<NetemSlotData>(TCA_NETEM.SLOT, 40, (view, at, value) => {
  view.setBigInt64(at, BigInt(value.min), true);
  view.setBigInt64(at + 8, BigInt(value.max), true);
  view.setInt32(at + 16, value.packets, true);
  view.setInt32(at + 20, value.bytes, true);
  view.setBigInt64(at + 24, BigInt(value.delay), true);
  view.setBigInt64(at + 32, BigInt(value.jitter), true);
}, (view, at) => ({
  min: Number(view.getBigInt64(at, true)),
  max: Number(view.getBigInt64(at + 8, true)),
  packets: view.getInt32(at + 16, true),
  bytes: view.getInt32(at + 20, true),
  delay: Number(view.getBigInt64(at + 24, true)),
  jitter: Number(view.getBigInt64(at + 32, true)),
}));

const rate = struct<NonNullable<NetemData["rate"]>>(TCA_NETEM.RATE, 16, (view, at, value) => {
  view.setUint32(at, Math.min(value.rate, 0xffffffff), true);
  view.setInt32(at + 4, value.packetOverhead, true);
  view.setUint32(at + 8, value.cellSize, true);
  view.setInt32(at + 12, value.cellOverhead, true);
}, (view, at) => ({
  rate: view.getUint32(at, true),
  packetOverhead: view.getInt32(at + 4, true),
  cellSize: view.getUint32(at + 8, true),
  cellOverhead: view.getInt32(at + 12, true),
}));

const loss = schema<NetemLossModel>("NETEM_LOSS_", NETEM_LOSS, {
  state: words(NETEM_LOSS.GI, ["p13", "p31", "p32", "p14", "p23"]),
  gemodel: words(NETEM_LOSS.GE, ["p", "r", "h", "k1"]),
});

const seed = struct<bigint>(
  TCA_NETEM.PRNG_SEED,
  8,
  (view, at, value) => view.setBigUint64(at, value, true),
  (view, at) => view.getBigUint64(at, true),
);

/** The codec of {@link NetemData}. */
export const netemData: Schema<NetemData> = headed<NetemData>(
  "qopt",
  headField(QOPT, qopt),
  schema<Omit<NetemData, "qopt">>("TCA_NETEM_", TCA_NETEM, {
    corr: words(TCA_NETEM.CORR, ["delay", "loss", "duplicate"]),
    delayDist: table(TCA_NETEM.DELAY_DIST),
    reorder: correlated(TCA_NETEM.REORDER),
    corrupt: correlated(TCA_NETEM.CORRUPT),
    loss: nested(TCA_NETEM.LOSS, loss),
    rate,
    ecn: bool(u32(TCA_NETEM.ECN)),
    rate64: u64(TCA_NETEM.RATE64),
    latency64: u64(TCA_NETEM.LATENCY64),
    jitter64: u64(TCA_NETEM.JITTER64),
    slot,
    slotDist: table(TCA_NETEM.SLOT_DIST),
    seed,
  }, [TCA_NETEM.PAD]) as Schema<NetemData>,
);
