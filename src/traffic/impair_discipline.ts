/**
 * The queueing discipline that impairs one direction, netem or tbf, and the values that it stands for.
 *
 * @module
 */
import { newNetNs } from "../../ffi/namespace.ts";
import { connectionTo } from "../netlink/connections.ts";
import { filterMessage, newFilter } from "../rtnetlink/filter.ts";
import { newLink } from "../rtnetlink/link.ts";
import {
  deleteQdisc,
  getQdisc,
  newQdisc,
  type QdiscInfo,
  qdiscMessage,
  type QdiscOptions,
} from "../rtnetlink/qdisc.ts";
import type { NetemOptions } from "../rtnetlink/qdisc_kinds/netem.ts";
import type { NetemDistribution } from "../rtnetlink/qdisc_kinds/netem_distribution.ts";
import { QDISC_PARENTS } from "../rtnetlink/traffic_control.ts";
import type { Lacking } from "../rtnetlink/unsupported.ts";
import { type DirectionValues, type ImpairmentValues, limitOf } from "./impairment_values.ts";

/** The handle of netloom's disciplines: how any process knows them. */
export const HANDLE = "6e6c:";

/** A rate at which no packet takes time. With a rate netem keeps the order of packets. */
const ORDERED = 1e15;

/** What netem does not tell is kept in `cellOverhead`, which does nothing without cells. */
const DISTRIBUTIONS: readonly NetemDistribution[] = ["uniform", "normal", "pareto", "paretonormal"];
const SEEDED = 4;

/** netem cannot forget a table. This one gives the uniform distribution. */
const UNIFORM = Array.from({ length: 4096 }, (_, i) => i * 4 - 8190);

/** The bytes of a full frame, for limits that the kernel wants in bytes. */
const FRAME = 1514;

/** A rate that holds nothing back, in bits per second. */
const FAST = 8e12;

/** What a discipline depends on beside its values. */
export interface DisciplineContext {
  /** The kind. */
  readonly kind: "netem" | "tbf";
  /** Bytes of the largest packet of the link. */
  readonly mtu: number;
  /** The values in force so far. */
  readonly before?: DirectionValues;
}

/** The discipline for values. */
export function disciplineFor(values: DirectionValues, context: DisciplineContext): QdiscOptions {
  const { kind, mtu, before = {} } = context;
  if (kind === "netem") {
    return { kind, handle: HANDLE, options: netemOptions(values, before) };
  }
  const rate = values.rate ?? FAST;
  // At least a packet, or two milliseconds: a timer may be late.
  const burst = Math.ceil(Math.max(mtu + 64, FRAME * 2, rate / 8 * 0.002));
  return { kind, handle: HANDLE, options: { rate, burst, limit: limitOf(values) * FRAME } };
}

/** The discipline that holds nothing back, in place of one that is to be removed. */
export function passing(values: DirectionValues, context: DisciplineContext): QdiscOptions {
  // Without a rate packets overtake those that wait.
  return disciplineFor({ keepOrder: false, limit: limitOf(values) }, context);
}

function netemOptions(values: DirectionValues, before: DirectionValues): NetemOptions {
  const { delay = 0, jitter = 0, distribution = "uniform", seed } = values;
  const { loss = 0, duplicate = 0, corrupt = 0, reorder = 0 } = values;
  const notes = DISTRIBUTIONS.indexOf(distribution) | (seed === undefined ? 0 : SEEDED);
  const table = distribution === "uniform" && before.distribution ? UNIFORM : distribution;
  return {
    limit: limitOf(values),
    delay,
    jitter,
    ...(jitter ? { distribution: table } : {}),
    loss,
    duplicate,
    corrupt,
    reorder,
    rate: {
      rate: values.rate ?? (values.keepOrder === false ? 0 : ORDERED),
      cellOverhead: notes,
    },
    ...(seed === undefined ? {} : { seed }),
  };
}

/** The values that a discipline stands for; `undefined` for one that is not netloom's. */
export function valuesOf(info: QdiscInfo): DirectionValues | undefined {
  if (info.handle !== HANDLE) return undefined;
  if (info.kind === "tbf") {
    const { rate, limit } = info.options;
    return { rate, ...limited(Math.round(limit / FRAME), { rate }) };
  }
  if (info.kind !== "netem") return undefined;
  const { delay, jitter, loss, duplicate, corrupt, reorder, seed, limit } = info.options;
  const { rate = 0, cellOverhead: notes = 0 } = info.options.rate ?? {};
  const distribution = DISTRIBUTIONS[notes & 3]!;
  const known = { ...(rate && rate !== ORDERED ? { rate } : {}) };
  return {
    ...(delay ? { delay } : {}),
    ...(jitter ? { jitter } : {}),
    ...(distribution === "uniform" ? {} : { distribution }),
    ...(rate ? {} : { keepOrder: false }),
    ...share("loss", loss),
    ...share("duplicate", duplicate),
    ...share("corrupt", corrupt),
    ...share("reorder", reorder),
    ...known,
    ...limited(limit, known),
    ...(notes & SEEDED && seed !== undefined ? { seed } : {}),
  };
}

function share(name: "loss" | "duplicate" | "corrupt" | "reorder", value: object | undefined) {
  return value && "share" in value ? { [name]: value.share as number } : {};
}

function limited(limit: number, values: DirectionValues): DirectionValues {
  return limit === limitOf(values) ? {} : { limit };
}

/** What the running kernel has for impairments. */
export interface KernelFeatures {
  /** netem: all values. */
  readonly netem: boolean;
  /** A seed of netem, Linux 6.6. */
  readonly seed: boolean;
  /** tbf: a rate. */
  readonly tbf: boolean;
  /** Links of the kind ifb. */
  readonly ifb: boolean;
  /** clsact, bpf filters and the action mirred: packets can be led elsewhere. */
  readonly redirect: boolean;
}

let features: KernelFeatures | undefined;

const LO = 1;
const IFB = 2;

/**
 * Asks the running kernel once, in a throw-away namespace.
 *
 * @throws {SyscallError} EPERM without the privilege to create a namespace.
 */
export function kernelFeatures(): KernelFeatures {
  if (features) return features;
  using netns = newNetNs("netns for trying impairments");
  const root = QDISC_PARENTS.root!;
  const qdisc = (entry: QdiscOptions) => newQdisc(qdiscMessage(entry, LO));
  const target = { kind: "mirred", action: "redirect" } as const;
  const filter = (dev: number) =>
    newFilter(filterMessage({
      kind: "bpf",
      parent: "egress",
      priority: dev,
      options: { program: EVERYTHING, actions: [{ ...target, dev: dev as never }] },
    }, LO));
  const results = connectionTo(netns).batch([
    qdisc(disciplineFor({ seed: 1, loss: 1 }, { kind: "netem", mtu: 1500 })),
    getQdisc({ index: LO, parent: root }),
    deleteQdisc({ index: LO, parent: root }),
    qdisc(disciplineFor({ rate: 8e6 }, { kind: "tbf", mtu: 1500 })),
    newLink({ name: "ifb", index: IFB, linkInfo: { kind: "ifb" } }),
    qdisc({ kind: "clsact" }),
    filter(LO),
  ]);
  const [netem, read, , tbf, ifb, , redirect] = results;
  const info = read!.ok ? read!.value as QdiscInfo : undefined;
  return features = {
    netem: netem!.ok,
    seed: info?.kind === "netem" && info.options.seed !== undefined,
    tbf: tbf!.ok,
    ifb: ifb!.ok,
    redirect: redirect!.ok,
  };
}

/** A program that matches every packet. */
export const EVERYTHING = [{ code: 0x06, jt: 0, jf: 0, k: 0xffffffff }] as const;

/** The values that tbf can do. */
const SHAPED = new Set(["rate", "limit"]);

/** What the kernel lacks for values; `undefined` when it has all. */
export function kernelLack(
  values: ImpairmentValues,
  { netem, seed, tbf }: KernelFeatures = kernelFeatures(),
): Lacking | undefined {
  for (const direction of [values.out ?? {}, values.in ?? {}]) {
    const names = Object.keys(direction);
    const beyond = names.find((name) => !SHAPED.has(name));
    if (names.length === 0) continue;
    if (!netem && (beyond !== undefined || !tbf)) {
      return lackOf(beyond ?? "rate", "netem", "NET_SCH_NETEM");
    }
    if (direction.seed !== undefined && !seed) {
      return {
        option: "seed",
        kind: "netem",
        linux: "6.6",
        hint: "netem takes a seed from Linux 6.6 on",
      };
    }
    if (direction.keepOrder === false && direction.rate !== undefined) {
      return {
        option: "keepOrder",
        kind: "netem",
        hint: "with a rate netem keeps the order of packets",
      };
    }
  }
  return undefined;
}

/** A module that the kernel lacks. */
export function lackOf(option: string, kind: string, config: string): Lacking {
  const module = config.replace("NET_", "").toLowerCase();
  return {
    option,
    kind,
    config,
    module,
    hint: `${option} needs ${kind}: CONFIG_${config}, module ${module}, brings it`,
  };
}
