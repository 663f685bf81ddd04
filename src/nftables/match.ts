/**
 * Comparisons of a rule: `80`, `[22, 80]`, `"1000-2000"`, `"@blocked"`, `{ not: 80 }`; as expressions, and as
 * words of `nft`.
 *
 * @module
 */
import { checkOptions, hasKey, type OptionNames, show } from "../options.ts";
import type { AnonymousSet } from "./anonymous_set.ts";
import { bytesNumber, type DataType, numberBytes, type Value } from "./datatypes.ts";
import type { CmpOp } from "./expressions/compute.ts";
import type { Expression } from "./expressions/mod.ts";
import type { Selector } from "./selectors.ts";
import { parseSpan, prefixMask, sameBytes, type Span } from "./span.ts";

/** A named set of the table: `"@blocked"`. */
export type SetReference = `@${string}`;

/** A comparison other than equality; one of the properties, or `mask` with `is` or `not`. */
export interface Comparison<T extends Value> {
  /** Other than a value, than all of several, or than the elements of a set. Flags: not exactly these. */
  readonly not?: T | readonly T[] | SetReference;
  /** Below. */
  readonly lt?: T;
  /** Not above. */
  readonly lte?: T;
  /** Above. */
  readonly gt?: T;
  /** Not below. */
  readonly gte?: T;
  /** Flags: one of these values, each as a whole. */
  readonly in?: readonly T[];
  /** Flags: none of these values, each as a whole. */
  readonly notIn?: readonly T[];
  /** The bits that are compared. */
  readonly mask?: T | readonly T[];
  /** Flags: exactly these. With `mask`: the bits have these values. */
  readonly is?: T | readonly T[];
}

/**
 * The operand of a comparison: a value, a prefix, a range, several of them, a named set, or another comparison.
 * Of flags several stand for any of them.
 */
export type Match<T extends Value> = T | readonly T[] | SetReference | Comparison<T>;

const COMPARISON: OptionNames<Comparison<Value>> = {
  not: true,
  lt: true,
  lte: true,
  gt: true,
  gte: true,
  in: true,
  notIn: true,
  mask: true,
  is: true,
};

/** Takes in a set without a name and gives its number in the batch. */
export type AddSet = (set: AnonymousSet) => number;

/** The name of a set without one: the kernel puts a number in. */
export const ANONYMOUS = "__set%d";

const ORDERED: Readonly<Record<string, CmpOp>> = { lt: "lt", lte: "lte", gt: "gt", gte: "gte" };

/** The signs of comparisons in `nft`. */
export const SIGNS: Readonly<Record<CmpOp, string>> = {
  eq: "==",
  neq: "!=",
  lt: "<",
  lte: "<=",
  gt: ">",
  gte: ">=",
};

/** Whether a value is a named set. */
export const isSet = (value: unknown): value is SetReference =>
  typeof value === "string" && value.startsWith("@");

const cmp = (op: CmpOp, data: Uint8Array): Expression => ({
  name: "cmp",
  data: { sreg: 1, op, data },
});

/** Keeps some bits of a register. */
export const masked = (mask: Uint8Array, register = 1): Expression => ({
  name: "bitwise",
  data: {
    sreg: register,
    dreg: register,
    len: mask.length,
    mask,
    xor: new Uint8Array(mask.length),
  },
});

/** Numbers of more than a byte are compared in the order of the network. */
function inNetworkOrder({ size, order }: DataType): Expression[] {
  if (order === "network" || size === 1) return [];
  return [{ name: "byteorder", data: { sreg: 1, dreg: 1, op: "hton", len: size, size } }];
}

const ordered = (bytes: Uint8Array, { order }: DataType): Uint8Array =>
  order === "host" ? bytes.toReversed() : bytes;

/** Several flags as one value. */
function flagBytes(values: Value | readonly Value[], type: DataType, path: string): Uint8Array {
  const each = Array.isArray(values) ? values as readonly Value[] : [values as Value];
  if (each.length === 0) throw new TypeError(`${path} must have a value: got []`);
  const sum = each.map((value) => bytesNumber(type.parse(value, path), type.order))
    .reduce((all, bits) => Number(BigInt(all) | BigInt(bits)), 0);
  return numberBytes(sum, type);
}

/** Compiles the comparisons of one match. */
class MatchCompiler {
  readonly #selector: Selector;
  readonly #path: string;
  readonly #addSet: AddSet;

  constructor(selector: Selector, path: string, addSet: AddSet) {
    this.#selector = selector;
    this.#path = path;
    this.#addSet = addSet;
  }

  get #type(): DataType {
    return this.#selector.type;
  }

  /** Loads the property alone. */
  get #load(): Expression[] {
    const { load, mask } = this.#selector;
    return mask ? [load, masked(mask)] : [load];
  }

  compile(value: unknown): Expression[] {
    if (typeof value !== "object" || value === null) {
      if (this.#type.flags && !isSet(value)) return this.#flags(value as Value);
      return this.#equal(value as Value, false, this.#path);
    }
    if (Array.isArray(value)) {
      return this.#type.flags ? this.#flags(value) : this.#member(value, false, this.#path);
    }
    return this.#comparison(value as Comparison<Value>);
  }

  #comparison(value: Comparison<Value>): Expression[] {
    checkOptions(value, COMPARISON, this.#path);
    const keys = Object.keys(value).filter((key) => value[key as keyof typeof value] !== undefined);
    if (
      keys.includes("mask") && keys.length === 2 && (keys.includes("is") || keys.includes("not"))
    ) {
      return this.#masked(value);
    }
    if (keys.length !== 1 || keys[0] === "mask") {
      throw new TypeError(
        `${this.#path} must have one comparison, or a mask with "is" or "not": got ${show(value)}`,
      );
    }
    const key = keys[0] as keyof typeof value;
    const path = `${this.#path}.${key}`;
    const given = value[key]!;
    if (key === "in" || key === "notIn") {
      return this.#member(given as readonly Value[], key === "notIn", path);
    }
    if (Object.hasOwn(ORDERED, key)) return this.#ordered(ORDERED[key]!, given as Value, path);
    const not = key === "not";
    if (this.#type.flags && !isSet(given)) {
      const data = flagBytes(given as readonly Value[], this.#type, path);
      return [...this.#load, cmp(not ? "neq" : "eq", data)];
    }
    return Array.isArray(given)
      ? this.#member(given, not, path)
      : this.#equal(given as Value, not, path);
  }

  /** Any of the flags. */
  #flags(values: Value | readonly Value[]): Expression[] {
    const mask = flagBytes(values, this.#type, this.#path);
    return [...this.#load, masked(mask), cmp("neq", new Uint8Array(mask.length))];
  }

  #masked({ mask, is, not }: Comparison<Value>): Expression[] {
    const bits = flagBytes(mask!, this.#type, `${this.#path}.mask`);
    const [op, given] = is === undefined ? ["neq", not] as const : ["eq", is] as const;
    const data = flagBytes(
      given as Value,
      this.#type,
      `${this.#path}.${is === undefined ? "not" : "is"}`,
    );
    if (data.some((byte, i) => byte & ~bits[i]!)) {
      throw new RangeError(
        `${this.#path} must have no bits outside of the mask: got ${show(given)}`,
      );
    }
    return [...this.#load, masked(bits), cmp(op, data)];
  }

  #ordered(op: CmpOp, value: Value, path: string): Expression[] {
    const data = ordered(this.#type.parse(value, path), this.#type);
    return [...this.#load, ...inNetworkOrder(this.#type), cmp(op, data)];
  }

  /** A value, a prefix, a range or a named set. */
  #equal(value: Value, not: boolean, path: string): Expression[] {
    const type = this.#type;
    if (isSet(value)) return [...this.#load, lookup(value.slice(1), not)];
    const op = not ? "neq" : "eq";
    const span = parseSpan(value, type, path);
    if (type.name === "ifname") {
      return [...this.#load, cmp(op, nameBytes(value as string, span.from))];
    }
    if (span.prefix !== undefined && span.prefix < type.size * 8) {
      return this.#prefix(span, span.prefix, op);
    }
    if (sameBytes(span.from, span.to)) return [...this.#load, cmp(op, span.from)];
    const [from, to] = [ordered(span.from, type), ordered(span.to, type)];
    const steps: Expression[] = [...this.#load, ...inNetworkOrder(type)];
    if (not) return [...steps, { name: "range", data: { sreg: 1, op: "neq", from, to } }];
    return [...steps, cmp("gte", from), cmp("lte", to)];
  }

  /** Of whole bytes only these are loaded. */
  #prefix({ from }: Span, length: number, op: CmpOp): Expression[] {
    const { load } = this.#selector;
    if (length % 8 === 0 && length > 0 && load.name === "payload") {
      const len = length / 8;
      return [{ ...load, data: { ...load.data, len } }, cmp(op, from.slice(0, len))];
    }
    return [...this.#load, masked(prefixMask(length, from.length)), cmp(op, from)];
  }

  #member(values: unknown, not: boolean, path: string): Expression[] {
    if (!Array.isArray(values) || values.length === 0) {
      throw new TypeError(`${path} must have one or more values: got ${show(values)}`);
    }
    const spans = values.map((value, i) => parseSpan(value, this.#type, `${path}[${i}]`));
    if (this.#type.order === "host" && spans.some(({ from, to }) => !sameBytes(from, to))) {
      throw new TypeError(
        `${path} must have no ranges: several of ${this.#type.name} are single values`,
      );
    }
    const id = this.#addSet({ type: this.#type, spans });
    return [...this.#load, lookup(ANONYMOUS, not, id)];
  }
}

/** Looks the loaded value up in a set. */
export function lookup(set: string, not: boolean, setId?: number): Expression {
  const data = {
    set,
    sreg: 1,
    ...(setId === undefined ? {} : { setId }),
    ...(not ? { flags: 1 } : {}),
  };
  return { name: "lookup", data };
}

/** A name with `*` at its end is compared up to there. */
function nameBytes(name: string, bytes: Uint8Array): Uint8Array {
  return name.endsWith("*") ? bytes.slice(0, name.length - 1) : bytes;
}

/**
 * Compiles a match to a load and a comparison.
 *
 * @param selector The compared property.
 * @param value The comparison.
 * @param options The place of the value for errors, and the function that takes in sets without names.
 */
export function compileMatch(
  selector: Selector,
  value: unknown,
  options: { readonly path: string; readonly addSet: AddSet },
): Expression[] {
  return new MatchCompiler(selector, options.path, options.addSet).compile(value);
}

/** A value in a line of `nft`; a range has two. */
export function valueWords(value: Value, type: DataType): string {
  if (!type.words) return String(value);
  const [, from, to] = /^(\d+)-(\d+)$/.exec(String(value)) ?? [];
  if (from === undefined) return type.words(value);
  return `${type.words(Number(from))}-${type.words(Number(to))}`;
}

/** A comparison in a line of `nft`, behind the compared property. */
export function matchWords(value: Match<Value>, type: DataType): string {
  const words = (it: Value) => isSet(it) ? it : valueWords(it, type);
  const each = (it: Value | readonly Value[]) => Array.isArray(it) ? it : [it as Value];
  const flags = (it: Value | readonly Value[], separator = ",") =>
    each(it).map(words).join(separator);
  const set = (it: readonly Value[]) => `{ ${it.map(words).join(", ")} }`;
  const list = (it: Value | readonly Value[]) =>
    Array.isArray(it) ? type.flags ? flags(it) : set(it) : words(it as Value);
  if (typeof value !== "object" || Array.isArray(value)) return list(value as Value);
  const it = value as Comparison<Value>;
  if (it.mask !== undefined) {
    const sign = it.is === undefined ? "!= " : "";
    const given = (it.is ?? it.not)!;
    if (type.flags) return `${sign}${flags(given)} / ${flags(it.mask)}`;
    return `& ${words(it.mask as Value)} ${sign || "== "}${words(given as Value)}`;
  }
  if (it.in) return set(it.in);
  if (it.notIn) return `!= ${set(it.notIn)}`;
  if (it.is !== undefined) return `== ${flags(it.is)}`;
  if (it.not !== undefined) return `!= ${list(it.not)}`;
  const key = Object.keys(ORDERED).find((key) => hasKey(it as object, key as never))!;
  return `${SIGNS[ORDERED[key]!]} ${words(it[key as keyof typeof it] as Value)}`;
}

/** The words of flags; a number for bits without one. */
export function flagWords(bytes: Uint8Array, type: DataType): Value | Value[] {
  const words: Value[] = [];
  let rest = bytesNumber(bytes, type.order);
  for (let bit = 1; bit <= rest && bit > 0; bit *= 2) {
    if (Math.floor(rest / bit) % 2 === 0) continue;
    const one = new Uint8Array(type.size);
    const index = Math.floor(Math.log2(bit) / 8);
    one[type.order === "host" ? index : type.size - 1 - index] = 1 << Math.log2(bit) % 8;
    words.push(type.format(one));
    rest -= bit;
  }
  return words.length === 1 ? words[0]! : words;
}
