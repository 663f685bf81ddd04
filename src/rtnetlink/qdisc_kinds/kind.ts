/**
 * The form of a queueing discipline: one entry of the table in `table.ts`, from which the codec, the checks
 * of options and the trace follow.
 *
 * @module
 */
import type { AttributeNames, Field } from "../../netlink/attribute.ts";
import type { Schema } from "../../netlink/schema.ts";
import { integer, show } from "../../options.ts";
import type { KindOptionNames, OptionRequirement } from "../link_kinds/kind.ts";
import { parseRate, type Rate } from "../units.ts";

/** The words of an option in `tc`: its name and a function for its value, or a function for all words. */
export type TcWord =
  | ((value: unknown) => string)
  | readonly [word: string, value: (value: unknown) => string];

/** The packets that a filter sees. */
export interface FilterPacket {
  /** Their Ethernet type; 3 for all. */
  readonly protocol: number;
}

/** Options of a kind on the wire, and their public form. */
export interface TcOptions<
  O extends object = object,
  I extends object = object,
  D extends object = object,
> {
  /** TCA_OPTIONS. */
  readonly data: Schema<D>;
  /** The public names of the options; default: none. */
  readonly options?: KindOptionNames;
  /** Public options as the wire has them; default: unchanged. `undefined`: the message has none. */
  encode?(options: O, packet: FilterPacket): D | undefined;
  /** The values on the wire as public options; default: unchanged. */
  decode?(data: D): I;
  /** The words of options in `tc`; default: the name and the value. */
  readonly words?: Readonly<Record<string, TcWord>>;
  /** Options that filters have though they are not given. */
  readonly defaults?: O;
  /** Options whose words stand first, in this order, since `tc` takes them for one. */
  readonly commandOrder?: readonly string[];
  /** Options that the kernel only reports. */
  readonly readOnly?: readonly string[];
  /** Counters of its own (TCA_STATS_APP). */
  readonly xstats?: Field<object>;
  /** Options that not every kernel has. It ignores them, so they are tried before they are sent. */
  readonly requires?: Readonly<Record<string, OptionRequirement>>;
}

/** A classifier: one entry of the table of filters. */
export interface FilterKind<
  O extends object = object,
  I extends object = object,
  D extends object = object,
> extends TcOptions<O, I, D> {
  /** The kernel's build option that brings it, without `CONFIG_`. Its module is `cls_` and its name. */
  readonly config: string;
}

/** A queueing discipline. */
export interface QdiscKind<
  O extends object = object,
  I extends object = object,
  D extends object = object,
> extends TcOptions<O, I, D> {
  /** The kernel's name: `tbf`. */
  readonly kind: string;
  /** The kernel's build option that brings it, without `CONFIG_`. */
  readonly config: string;
  /** The module that brings it. Default: `sch_` and its name. */
  readonly module?: string;
  /** Sits at the ingress hook, not at the root. */
  readonly ingress?: true;
  /** Its classes, where the user creates them. */
  readonly class?: TcOptions;
}

/** A queueing discipline with classes. */
export interface ClassfulKind<
  O extends object,
  I extends object,
  D extends object,
  CO extends object,
  CI extends object,
> extends QdiscKind<O, I, D> {
  /** Its classes. */
  readonly class: TcOptions<CO, CI>;
}

/** The options of a kind, to be set. */
export type OptionsOf<K> = K extends TcOptions<infer O> ? O : never;

/** The options of a kind, as reported. */
export type ReportOf<K> = K extends TcOptions<infer _O, infer I> ? I : never;

/** An attribute set behind a fixed structure: `struct tc_netem_qopt` in TCA_OPTIONS. */
export function headed<T extends object>(
  key: keyof T & string,
  head: Field<unknown>,
  rest: Schema<T>,
): Schema<T> {
  const size = head.innerHeader!;
  return {
    ...rest,
    write: (writer, values, path = "") => {
      const { [key]: value, ...attributes } = values;
      head.write(writer, value, path + key);
      writer.align();
      rest.write(writer, attributes as unknown as T, path);
    },
    read: (source, start, end) => {
      const value = head.read(source, start, Math.min(size, end - start));
      const from = Math.min(end, start + ((size + 3) & ~3));
      return { [key]: value, ...rest.read(source, from, end) } as T;
    },
    readInto: (target, source, start, end) => {
      (target as Record<string, unknown>)[key] = head.read(source, start, end - start);
      rest.readInto(target, source, Math.min(end, start + size), end);
    },
  };
}

/** The size of {@link headed}'s structure, with its codec. */
export function headField<T>(size: number, field: Field<T>): Field<unknown> {
  return { ...field, innerHeader: size } as Field<unknown>;
}

/** The attribute set of a structure without attributes behind it. */
export function noAttributes<T extends object>(prefix: string): Schema<T> {
  const names: AttributeNames = {
    nameOf: (type) => `${prefix}${type}`,
    fieldOf: () => undefined,
  };
  return {
    ...names,
    fields: {} as Schema<T>["fields"],
    write: () => {},
    read: () => ({}) as T,
    readInto: () => {},
  };
}

/** An option that must be there. */
export function required<T>(value: T | undefined, path: string, kind: string): T {
  if (value !== undefined) return value;
  throw new TypeError(`${path} is required: ${kind} has no default for it`);
}

/** The link layers that the kernel accounts for in rates (`TC_LINKLAYER_*`). */
export const LINKLAYERS: Readonly<Record<LinkLayer, number>> = { ethernet: 1, atm: 2 };

/** A link layer: `atm` counts cells of 53 bytes for each 48. */
export type LinkLayer = "ethernet" | "atm";

/** The part of a rate's accounting that tbf and htb share. */
export interface RateSpec {
  /** Bytes per second. */
  rate: number;
  /** Bytes added to each packet. */
  overhead: number;
  /** Bytes that a packet counts at least. */
  mpu: number;
  /** `TC_LINKLAYER_*`. */
  linklayer: number;
}

/** Nanoseconds in a tick of the packet scheduler (`PSCHED_SHIFT`). */
export const TICK = 64;

const U32 = 0xffffffff;

/** Writes `struct tc_ratespec`, 12 bytes. A larger rate goes into an attribute of 64 bits, too. */
export function writeRateSpec(view: DataView, at: number, spec: RateSpec): void {
  view.setUint8(at + 1, spec.linklayer);
  view.setUint16(at + 2, spec.overhead, true);
  view.setUint16(at + 6, spec.mpu, true);
  view.setUint32(at + 8, Math.min(spec.rate, U32), true);
}

/** Reads `struct tc_ratespec`. */
export function readRateSpec(view: DataView, at: number): RateSpec {
  return {
    linklayer: view.getUint8(at + 1) & 0xf,
    overhead: view.getUint16(at + 2, true),
    mpu: view.getUint16(at + 6, true),
    rate: view.getUint32(at + 8, true),
  };
}

/** A rate in bytes per second. */
export function bytesPerSecond(rate: Rate, path: string): number {
  const bytes = Math.round(parseRate(rate, path) / 8);
  if (bytes >= 1 && bytes <= Number.MAX_SAFE_INTEGER) return bytes;
  throw new RangeError(`${path} must be at least 8 bits per second: got ${show(rate)}`);
}

/** The time that bytes take at a rate, in ticks. */
export function ticksOf(bytes: number, rate: number, path: string): number {
  const ticks = Math.ceil(bytes / rate * 1e9 / TICK);
  return integer(ticks, `${path}: the time to send it`, 0, U32, "ticks of 64 ns");
}

/** The bytes that fit into a time at a rate. */
export function bytesIn(ticks: number, rate: number): number {
  return Math.round(ticks * TICK * rate / 1e9);
}
