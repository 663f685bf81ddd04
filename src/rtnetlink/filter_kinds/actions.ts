/**
 * Actions of filters: mirred, gact, police, skbedit (tc-mirred(8), `linux/tc_act/`).
 *
 * @module
 */
import {
  type Field,
  forEachAttribute,
  struct,
  text,
  u16,
  u32,
  u64,
} from "../../netlink/attribute.ts";
import { NLA_F, NLM_F, type Request } from "../../netlink/message.ts";
import { type Fields, nested, type Schema, schema, taggedSchema } from "../../netlink/schema.ts";
import { checkObject, checkOptions, integer, type OptionNames, wordValue } from "../../options.ts";
import { RTM } from "../constants.ts";
import type { LinkTarget } from "../link_kinds/kind.ts";
import {
  bytesIn,
  bytesPerSecond,
  LINKLAYERS,
  type RateSpec,
  readRateSpec,
  ticksOf,
  writeRateSpec,
} from "../qdisc_kinds/kind.ts";
import { statsField, type StatsNest, statsOf, type TrafficStats } from "../traffic_control.ts";
import { parseSize, type Rate, rateWord, type Size, sizeWord } from "../units.ts";

/** Attribute numbers of an action. */
export const TCA_ACT = { KIND: 1, OPTIONS: 2, INDEX: 3, STATS: 4 } as const;

/** Attribute numbers of the options of mirred, gact and skbedit. */
export const TCA_SKBEDIT = {
  PARMS: 2,
  PRIORITY: 3,
  QUEUE_MAPPING: 4,
  MARK: 5,
  PTYPE: 7,
  MASK: 8,
} as const;

/** Attribute numbers of police. */
export const TCA_POLICE = { TBF: 1, RATE: 2, RESULT: 5, RATE64: 8 } as const;

/** The fate of a packet after an action (`TC_ACT_*`). */
export type Control = "continue" | "pass" | "reclassify" | "drop" | "pipe" | "stolen" | "trap";

/** The numbers of {@link Control}. */
export const CONTROLS: Readonly<Record<Control, number>> = {
  continue: -1,
  pass: 0,
  reclassify: 1,
  drop: 2,
  pipe: 3,
  stolen: 4,
  trap: 8,
};

/** Hands packets, or copies of them, to a link. */
export interface MirredAction {
  /** The action. */
  kind: "mirred";
  /** `redirect` takes the packet away, `mirror` copies it. */
  action: "redirect" | "mirror";
  /** Out of the link, or in as if the link had received it. Default: `egress`. */
  direction?: "egress" | "ingress";
  /** The link. */
  dev: LinkTarget;
}

/** Decides about packets. */
export interface GactAction {
  /** The action. */
  kind: "gact";
  /** The fate of the packet. */
  control: Control;
}

/** Limits a rate without a queue. */
export interface PoliceAction {
  /** The action. */
  kind: "police";
  /** The rate. */
  rate: Rate;
  /** Bytes that pass at once. */
  burst: Size;
  /** Larger packets exceed the rate. Default: 2040 bytes. */
  mtu?: Size;
  /** The fate of packets above the rate. Default: `reclassify`. */
  exceed?: Control;
}

/** Changes the metadata of packets in the kernel. */
export interface SkbeditAction {
  /** The action. */
  kind: "skbedit";
  /** The mark. */
  mark?: number;
  /** The bits of the mark that change. Default: all. */
  mask?: number;
  /** The priority. */
  priority?: number;
  /** The queue of the link. */
  queueMapping?: number;
  /** The fate of the packet then. Default: `pipe`, the next action. */
  control?: Control;
}

/** An action of a filter, to be set. */
export type Action = MirredAction | GactAction | PoliceAction | SkbeditAction;

/** An action of a filter, as reported: with counters. */
export type ActionInfo =
  & (Action | { kind: "unknown"; kernelKind: string; options: Uint8Array })
  & { index: number; stats: TrafficStats };

const MIRRED = ["redirect", "mirror"] as const;

/** The head of all actions: `tc_gen`, 20 bytes; then the fields of mirred. */
interface Parms {
  index: number;
  control: number;
  eaction?: number;
  ifindex?: number;
}

const parms = struct<Parms>(TCA_SKBEDIT.PARMS, 20, (view, at, value) => {
  view.setUint32(at, value.index, true);
  view.setInt32(at + 8, value.control, true);
}, (view, at) => ({ index: view.getUint32(at, true), control: view.getInt32(at + 8, true) }));

const mirredParms = struct<Parms>(TCA_SKBEDIT.PARMS, 28, (view, at, value) => {
  view.setInt32(at + 8, value.control, true);
  view.setInt32(at + 20, value.eaction!, true);
  view.setUint32(at + 24, value.ifindex!, true);
}, (view, at) => ({
  index: view.getUint32(at, true),
  control: view.getInt32(at + 8, true),
  eaction: view.getInt32(at + 20, true),
  ifindex: view.getUint32(at + 24, true),
}));

/** `struct tc_police` without the fields that are not used. */
interface PoliceParms extends Parms {
  burst: number;
  mtu: number;
  rate: RateSpec;
}

/** Bytes that one entry of the table of a rate stands for, as a power of two. */
const CELL_LOG = 3;

const police = struct<PoliceParms>(TCA_POLICE.TBF, 56, (view, at, value) => {
  view.setInt32(at + 4, value.control, true);
  view.setUint32(at + 12, value.burst, true);
  view.setUint32(at + 16, value.mtu, true);
  writeRateSpec(view, at + 20, value.rate);
  view.setUint8(at + 20, CELL_LOG);
  view.setInt16(at + 24, -1, true);
}, (view, at) => ({
  index: view.getUint32(at, true),
  control: view.getInt32(at + 4, true),
  burst: view.getUint32(at + 12, true),
  mtu: view.getUint32(at + 16, true),
  rate: readRateSpec(view, at + 20),
}));

/** The table of a rate, which police alone still wants: the time of each size, in ticks. */
const rateTable: Field<number> = {
  type: TCA_POLICE.RATE,
  write: (w, rate) => {
    const at = w.reserve(1024);
    for (let i = 0; i < 256; i++) {
      const ticks = ((i + 1) << CELL_LOG) / rate * 1e9 / 64;
      w.view.setUint32(at + i * 4, Math.min(ticks, 0xffffffff), true);
    }
  },
  read: () => 0,
};

interface ActionData {
  parms?: Parms;
  police?: PoliceParms;
  table?: number;
  rate64?: number;
  priority?: number;
  queueMapping?: number;
  mark?: number;
  mask?: number;
}

/** A kind of actions. */
interface ActionKind<A extends Action> {
  /** The kernel's build option that brings it, without `CONFIG_`. */
  readonly config: string;
  /** The attribute set of its options. */
  readonly data: Schema<ActionData>;
  /** The public names of its options. */
  readonly options: OptionNames<A>;
  /** Options on the wire. */
  encode(action: A, path: string): ActionData;
  /** Options that are reported. */
  decode(data: ActionData): Omit<A, "kind">;
  /** The words of an action in `tc`. */
  words(action: A): string;
}

const dataOf = (prefix: string, fields: Partial<Fields<ActionData>>): Schema<ActionData> =>
  schema<ActionData>(prefix, {}, fields as Fields<ActionData>, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);

const mirred: ActionKind<MirredAction> = {
  config: "NET_ACT_MIRRED",
  data: dataOf("TCA_MIRRED_", { parms: mirredParms }),
  options: { kind: true, action: true, direction: true, dev: true },
  encode: ({ action, direction = "egress", dev }, path) => {
    const mirror = wordValue(action, { redirect: 0, mirror: 1 }, `${path}.action`);
    const way = wordValue(direction, { egress: 1, ingress: 3 }, `${path}.direction`);
    return {
      parms: {
        index: 0,
        control: mirror ? CONTROLS.pipe : CONTROLS.stolen,
        eaction: way + mirror,
        ifindex: integer(dev, `${path}.dev`, 1, 0x7fffffff),
      },
    };
  },
  decode: ({ parms }) => {
    const { eaction = 1, ifindex = 0 } = parms!;
    const direction = eaction > 2 ? "ingress" : "egress";
    return { action: MIRRED[(eaction - 1) % 2]!, direction, dev: ifindex };
  },
  words: ({ action, direction = "egress", dev }) => `mirred ${direction} ${action} dev if${dev}`,
};

const gact: ActionKind<GactAction> = {
  config: "NET_ACT_GACT",
  data: dataOf("TCA_GACT_", { parms }),
  options: { kind: true, control: true },
  encode: (action, path) => ({
    parms: { index: 0, control: control(action.control, "drop", `${path}.control`) },
  }),
  decode: ({ parms }) => ({ control: controlWord(parms!.control) }),
  words: ({ control }) => `gact ${control}`,
};

const policeKind: ActionKind<PoliceAction> = {
  config: "NET_ACT_POLICE",
  data: dataOf("TCA_POLICE_", { police, table: rateTable, rate64: u64(TCA_POLICE.RATE64) }),
  options: { kind: true, rate: true, burst: true, mtu: true, exceed: true },
  encode: (action, path) => {
    const rate = bytesPerSecond(action.rate, `${path}.rate`);
    const burst = ticksOf(parseSize(action.burst, `${path}.burst`), rate, `${path}.burst`);
    const spec = { rate, overhead: 0, mpu: 0, linklayer: LINKLAYERS.ethernet };
    const mtu = parseSize(action.mtu ?? 0, `${path}.mtu`);
    const after = control(action.exceed, "reclassify", `${path}.exceed`);
    return {
      police: { index: 0, control: after, burst, mtu, rate: spec },
      table: rate,
      ...(rate > 0xffffffff ? { rate64: rate } : {}),
    };
  },
  decode: ({ police, rate64 }) => {
    const { burst, mtu, rate: spec, control } = police!;
    const rate = rate64 ?? spec.rate;
    const exceed = controlWord(control);
    return { rate: rate * 8, burst: bytesIn(burst, rate), mtu, exceed };
  },
  words: ({ rate, burst, mtu, exceed }) =>
    `police rate ${rateWord(rate)} burst ${sizeWord(burst)}` +
    (mtu === undefined ? "" : ` mtu ${sizeWord(mtu)}`) +
    (exceed === undefined ? "" : ` conform-exceed ${exceed}`),
};

const skbedit: ActionKind<SkbeditAction> = {
  config: "NET_ACT_SKBEDIT",
  data: dataOf("TCA_SKBEDIT_", {
    parms,
    priority: u32(TCA_SKBEDIT.PRIORITY),
    queueMapping: u16(TCA_SKBEDIT.QUEUE_MAPPING),
    mark: u32(TCA_SKBEDIT.MARK),
    mask: u32(TCA_SKBEDIT.MASK),
  }),
  options: {
    kind: true,
    mark: true,
    mask: true,
    priority: true,
    queueMapping: true,
    control: true,
  },
  encode: ({ kind: _, control: after, ...rest }, path) => (
    { ...rest, parms: { index: 0, control: control(after, "pipe", `${path}.control`) } }
  ),
  decode: ({ parms, ...rest }) => ({ ...rest, control: controlWord(parms!.control) }),
  words: ({ mark, mask, priority, queueMapping, control }) =>
    "skbedit" + (queueMapping === undefined ? "" : ` queue_mapping ${queueMapping}`) +
    (priority === undefined ? "" : ` priority ${priority}`) +
    (mark === undefined ? "" : ` mark ${mark}${mask === undefined ? "" : `/${mask}`}`) +
    (control === undefined ? "" : ` ${control}`),
};

/** The actions that netloom knows, by the kernel's names. */
const ACTIONS = { gact, mirred, police: policeKind, skbedit } as unknown as Readonly<
  Record<Action["kind"], ActionKind<Action>>
>;

/** An action by the kernel's name; `undefined` when the table does not have it. */
export function actionKind(kind: string): { readonly config: string } | undefined {
  return Object.hasOwn(ACTIONS, kind) ? ACTIONS[kind as Action["kind"]] : undefined;
}

/** The names of the actions in the table, sorted. */
export function actionKindNames(): string[] {
  return Object.keys(ACTIONS).sort();
}

interface ActionNest {
  kind?: string;
  options?: object;
  index?: number;
  stats?: StatsNest;
}

const nest = taggedSchema<ActionNest>(schema<object>("TCA_ACT_", TCA_ACT, {}), {
  kind: text(TCA_ACT.KIND, 15),
  index: u32(TCA_ACT.INDEX),
  stats: statsField(TCA_ACT.STATS),
} as unknown as Readonly<Record<string, Field<unknown>>>, {
  options: {
    type: TCA_ACT.OPTIONS,
    tag: "kind",
    schemaOf: (kind = "") =>
      Object.hasOwn(ACTIONS, kind) ? ACTIONS[kind as "gact"].data : undefined,
  },
});

function control(value: Control | undefined, fallback: Control, path: string): number {
  return wordValue(value ?? fallback, CONTROLS, path);
}

function controlWord(value: number): Control {
  const word = (Object.keys(CONTROLS) as Control[]).find((it) => CONTROLS[it] === value);
  return word ?? value as number & Control;
}

/** An action on the wire. */
function encode(action: Action, path: string): ActionData {
  checkObject(action, path);
  const kind = wordValue(action.kind, ACTIONS, `${path}.kind`);
  checkOptions(action, kind.options, path);
  return kind.encode(action, path);
}

function decode({ kind = "", options, stats }: ActionNest): ActionInfo {
  const known = Object.hasOwn(ACTIONS, kind);
  const data = (known ? options ?? {} : {}) as ActionData;
  const index = data.parms?.index ?? data.police?.index ?? 0;
  const common = { index, stats: statsOf(stats) };
  if (known) return { kind, ...ACTIONS[kind as "gact"].decode(data), ...common } as ActionInfo;
  const bytes = options instanceof Uint8Array ? options : new Uint8Array(0);
  return { kind: "unknown", kernelKind: kind, options: bytes, ...common };
}

const named = schema<{ kind?: string }>("TCA_ACT_", TCA_ACT, { kind: text(TCA_ACT.KIND, 15) });
const one = schema<{ one?: { kind?: string } }>("TCA_ACT_", {}, { one: nested(1, named) });
const table = schema<{ table?: { one?: { kind?: string } } }>("TCA_", { ACT_TAB: 1 }, {
  table: nested(1, one),
});

/**
 * Adds an action without options, for the answer: the kernel refuses all that it knows for the options they
 * lack, and others as unknown.
 */
export function tryAction(kind: string): Request<undefined> {
  return {
    type: RTM.NEWACTION,
    typeName: "RTM_NEWACTION",
    flags: NLM_F.CREATE,
    operation: `try action ${kind}`,
    format: {
      headerLength: 4,
      schemaOf: () => table,
      write: (writer) => {
        writer.reserve(4); // struct tcamsg
        table.write(writer, { table: { one: { kind } } });
      },
      read: (source, start, end) => table.read(source, start + 4, end),
    },
    message: {},
    command: () => `tc actions add action ${kind}`,
  };
}

/** The list of actions of a filter, in the order in which they run. */
export function actionsField(type: number): Field<readonly Action[]> {
  return {
    type,
    nested: true,
    write: (w, actions, path) => {
      actions.forEach((action, i) => {
        const options = encode(action, `${path}[${i}]`);
        const at = w.begin((i + 1) | NLA_F.NESTED);
        nest.write(w, { kind: action.kind, options }, `${path}[${i}].`);
        w.end(at);
      });
    },
    read: (s, at, length) => {
      const actions: ActionInfo[] = [];
      forEachAttribute(s, at, at + length, (_, from, size) => {
        actions.push(decode(nest.read(s, from, from + size)));
      });
      return actions as readonly Action[];
    },
  };
}

/** The words of actions in `tc`. */
export function actionWords(value: unknown): string {
  return (value as readonly Action[])
    .map((action) => `action ${ACTIONS[action.kind].words(action)}`).join(" ");
}
