/**
 * The queueing discipline that impairs one direction, netem or tbf, and the values that it stands for.
 *
 * @module
 */
import type { QdiscInfo, QdiscOptions } from "../rtnetlink/qdisc.ts";
import type { NetemChance, NetemOptions } from "../rtnetlink/qdisc_kinds/netem.ts";
import type { NetemDistribution } from "../rtnetlink/qdisc_kinds/netem_distribution.ts";
import type { Lacking } from "../rtnetlink/unsupported.ts";
import { IMPAIRMENT } from "../scope/redirects.ts";
import {
  type DirectionValues,
  type ImpairmentValues,
  limitOf,
  VALUE_NAMES,
} from "./impairment_values.ts";
import { supportsTraffic } from "./supports.ts";

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
    return { kind, handle: IMPAIRMENT.discipline, options: netemOptions(values, before) };
  }
  const rate = values.rate ?? FAST;
  // At least a packet, or two milliseconds: a timer may be late.
  const burst = Math.ceil(Math.max(mtu + 64, FRAME * 2, rate / 8 * 0.002));
  return {
    kind,
    handle: IMPAIRMENT.discipline,
    options: { rate, burst, limit: limitOf(values) * FRAME },
  };
}

/** The discipline that holds nothing back, in place of one that is to be removed. */
export function passing(values: DirectionValues, context: DisciplineContext): QdiscOptions {
  // Without a rate packets overtake those that wait.
  return disciplineFor({ keepOrder: false, limit: limitOf(values) }, context);
}

function netemOptions(values: DirectionValues, before: DirectionValues): NetemOptions {
  const { delay = 0, jitter = 0, distribution = "uniform", seed } = values;
  const notes = DISTRIBUTIONS.indexOf(distribution) | (seed === undefined ? 0 : SEEDED);
  const table = distribution === "uniform" && before.distribution ? UNIFORM : distribution;
  return {
    limit: limitOf(values),
    delay,
    jitter,
    ...(jitter ? { distribution: table } : {}),
    ...CHANCES.reduce((all, name) => ({ ...all, [name]: chance(values, name) }), {}),
    rate: {
      rate: values.rate ?? (values.keepOrder === false ? 0 : ORDERED),
      cellOverhead: notes,
    },
    ...(seed === undefined ? {} : { seed }),
  };
}

/** The values that a discipline stands for; `undefined` for one that is not netloom's. */
export function valuesOf(info: QdiscInfo): DirectionValues | undefined {
  if (info.handle !== IMPAIRMENT.discipline) return undefined;
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
    ...shares({ loss, duplicate, corrupt, reorder }),
    ...known,
    ...limited(limit, known),
    ...(notes & SEEDED && seed !== undefined ? { seed } : {}),
  };
}

/** What netem does to a share of the packets. */
const CHANCES = ["loss", "duplicate", "corrupt", "reorder"] as const;
type ChanceName = typeof CHANCES[number];

function chance(values: DirectionValues, name: ChanceName): NetemChance {
  return { share: values[name] ?? 0, correlation: values[`${name}Correlation`] ?? 0 };
}

function shares(reported: Readonly<Record<ChanceName, object | undefined>>): DirectionValues {
  return Object.fromEntries(CHANCES.flatMap((name) => {
    const { share, correlation } = (reported[name] ?? {}) as Partial<NetemChance>;
    const [own, other] = [[name, share], [`${name}Correlation`, correlation]];
    return [own!, other!].filter(([, value]) => value !== undefined);
  }));
}

function limited(limit: number, values: DirectionValues): DirectionValues {
  return limit === limitOf(values) ? {} : { limit };
}

/** A program that matches every packet. */
export const EVERYTHING = [{ code: 0x06, jt: 0, jf: 0, k: 0xffffffff }] as const;

/** The values that tbf can do. */
const SHAPED: readonly ValueName[] = ["rate", "limit"];

type ValueName = keyof DirectionValues;

/** The kind of the disciplines: netem can do all values, tbf a rate. */
export function disciplineKind(): DisciplineContext["kind"] {
  return supportsTraffic({ qdisc: "netem" }) ? "netem" : "tbf";
}

/** The values that the running kernel can do. */
export function kernelValues(): readonly ValueName[] {
  if (disciplineKind() === "tbf") return supportsTraffic({ qdisc: "tbf" }) ? SHAPED : [];
  const seed = supportsTraffic({ qdisc: "netem" }, "seed");
  return VALUE_NAMES.filter((name) => name !== "delayCorrelation" && (seed || name !== "seed"));
}

/** The part that the kernel lacks for values; `undefined` when it has all. */
export function kernelLack(values: ImpairmentValues): Lacking | undefined {
  const known = kernelValues();
  for (const direction of [values.out ?? {}, values.in ?? {}]) {
    const option = (Object.keys(direction) as ValueName[]).find((name) => !known.includes(name));
    if (option === "seed" && known.length > SHAPED.length) {
      return {
        option,
        kind: "netem",
        linux: "6.6",
        hint: "the running kernel ignores a seed: Linux 6.6 or later has it",
      };
    }
    if (option === "delayCorrelation" && known.length > SHAPED.length) {
      return {
        option,
        kind: "netem",
        hint: "netem takes the delay from the low bits of its number, which do not correlate",
      };
    }
    if (option !== undefined) {
      return {
        option,
        kind: "netem",
        config: "NET_SCH_NETEM",
        module: "sch_netem",
        hint: `the running kernel lacks netem, which ${option} needs: CONFIG_NET_SCH_NETEM, ` +
          "module sch_netem, brings it",
      };
    }
    const correlated = CHANCES.map((name) => `${name}Correlation` as const)
      .find((name) => direction[name] !== undefined);
    if (correlated && direction.seed !== undefined) {
      return {
        option: "seed",
        kind: "netem",
        hint: `netem begins a correlation at random: ${correlated} makes each run differ`,
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
