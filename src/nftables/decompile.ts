/**
 * Rules as a person writes them, of the programs that the kernel has: as far as netloom knows the steps. The
 * others are kept as they are.
 *
 * @module
 */
import type { Data } from "./data.ts";
import {
  bytesNumber,
  type DataType,
  hostInteger32,
  mark,
  packetType,
  type Value,
} from "./datatypes.ts";
import type { PayloadData } from "./expressions/compute.ts";
import type { Expression, ExpressionKinds } from "./expressions/mod.ts";
import { registersOf, wordOf } from "./lookup.ts";
import { flagWords, type Match } from "./match.ts";
import type { Family } from "./message.ts";
import { type Found, isLayer, joined, layersOf } from "./found.ts";
import { type Layer, Layers, type Selector, type SelectorName, SELECTORS } from "./selectors.ts";
import { type Element, verdictText } from "./set_entry.ts";
import { formatNatTarget, formatSpan, maskLength, sameBytes } from "./span.ts";
import { readField } from "./payload_set.ts";
import { type Known, natFlags, READERS } from "./readers.ts";
import { REJECT_CODES } from "./statement_table.ts";
import type { Statements } from "./statements.ts";

/** The elements of a set or verdict map without a name, `__set0`, with keys of types. */
export type AnonymousElements = (
  set: string,
  types: readonly DataType[],
  map?: "verdict",
) => readonly Element[] | undefined;

/** Reads a program. */
class Decompiler {
  readonly #steps: readonly Expression[];
  readonly #elements: AnonymousElements;
  readonly #layers: Layers;
  readonly #family: Family;
  readonly #found: Found[] = [];
  /** Comparisons of layers that the next match may bring along by itself. */
  #pending: Found[] = [];
  #at = 0;

  constructor(
    steps: readonly Expression[],
    { family, elements }: { family: Family; elements: AnonymousElements },
  ) {
    this.#steps = steps;
    this.#family = family;
    this.#elements = elements;
    this.#layers = new Layers(family);
  }

  read(): Statements[] {
    while (this.#at < this.#steps.length) {
      const found = this.#match() ?? this.#statement() ?? this.#unknown();
      this.#take(found);
      this.#at += found.steps;
    }
    this.#found.push(...this.#pending);
    return joined(this.#found);
  }

  #data<K extends keyof ExpressionKinds>(name: K, ahead = 0): Known<K> | undefined {
    const step = this.#steps[this.#at + ahead];
    return step?.name === name ? step.data as Known<K> : undefined;
  }

  #unknown(): Found {
    return { word: "expressions", value: [this.#steps[this.#at]!], steps: 1 };
  }

  /** Leaves out the comparisons that compiling brings along: exactly those that the match needs. */
  #take(found: Found): void {
    const layers = layersOf(found);
    if (isLayer(found)) {
      this.#pending.push(found);
      return;
    }
    const before = this.#pending;
    this.#pending = [];
    for (const it of layers.length === 0 ? before : this.#written(before, layers)) {
      this.#found.push(it);
      this.#note(it);
    }
    this.#found.push(found);
    this.#note(found);
  }

  /** Of the comparisons before a match, those that compiling does not bring along: the first ones. */
  #written(before: readonly Found[], layers: readonly Layer[]): readonly Found[] {
    for (let kept = 0; kept < before.length; kept++) {
      const needed = this.#required(layers, before.slice(0, kept));
      const have = before.slice(kept).reduce((sum, { steps }) => sum + steps, 0);
      const from = this.#at - have;
      const same = needed.length === have &&
        needed.every((step, i) => sameStep(step, this.#steps[from + i]!));
      if (same) return before.slice(0, kept);
    }
    return before;
  }

  /** The comparisons that compiling would add, without noting them. */
  #required(layers: readonly Layer[], before: readonly Found[]): Expression[] {
    const copy = new Layers(this.#family);
    for (const it of [...this.#found, ...before]) this.#noteIn(copy, it);
    try {
      return layers.flatMap((layer) => copy.require(layer, ""));
    } catch {
      return []; // the program has comparisons that exclude each other
    }
  }

  #note(found: Found): void {
    this.#noteIn(this.#layers, found);
  }

  #noteIn(layers: Layers, found: Found): void {
    for (const layer of layersOf(found)) {
      try {
        layers.require(layer, "");
      } catch {
        // it is compared all the same
      }
    }
    layers.note(found.word, found.value);
  }

  /** A load and its comparison. */
  #match(): Found | undefined {
    const numgen = this.#data("numgen");
    if (numgen) {
      const compared = this.#comparison(hostInteger32, 1);
      if (!compared) return undefined;
      const { type: mode, modulus: mod, offset } = numgen;
      const value = { mode, mod, ...(offset ? { offset } : {}), match: compared.value };
      return { word: "numgen", value, steps: compared.steps };
    }
    const looked = this.#lookup();
    if (looked) return looked;
    const payload = this.#data("payload");
    const loads = this.#selectors();
    for (const [word, selector] of loads) {
      const short = payload && payload.len < selector.type.size;
      const compared = short
        ? this.#prefix(selector.type, payload.len)
        : selector.mask
        ? this.#field(selector.type, selector.mask)
        : this.#comparison(selector.type, 1);
      if (compared) return { word, ...compared };
    }
    return undefined;
  }

  /** Several loads, or one, that a set or a verdict map is asked for. */
  #lookup(): Found | undefined {
    const names: SelectorName[] = [];
    const selectors: Selector[] = [];
    let ahead = 0;
    for (;;) {
      const types = selectors.map(({ type }) => type);
      const lookup = this.#data("lookup", ahead);
      if (lookup) {
        const vmap = lookup.dreg === 0;
        if (lookup.sreg !== 1 || lookup.dreg !== undefined && !vmap) return undefined;
        if (names.length < 2 && !vmap) return undefined;
        const value = this.#looked(lookup, types);
        return value === undefined
          ? undefined
          : { word: wordOf({ names, vmap }), value, steps: ahead + 1 };
      }
      const register = registersOf([...types, hostInteger32]).at(-1)!;
      const found = this.#selectors(ahead, register).find(([, { mask }]) =>
        mask ? this.#isMasked(mask, ahead + 1, register) : !this.#data("bitwise", ahead + 1)
      );
      if (!found) return undefined;
      names.push(found[0]);
      selectors.push(found[1]);
      ahead += found[1].mask ? 2 : 1;
    }
  }

  /** The set of a lookup: its name, or its elements. */
  #looked({ set, flags, dreg }: Known<"lookup">, types: readonly DataType[]): unknown {
    const elements = set.startsWith("__")
      ? this.#elements(set, types, dreg === 0 ? "verdict" : undefined)
      : `@${set}`;
    return elements && flags === 1 ? { not: elements } : elements;
  }

  #isMasked(mask: Uint8Array, ahead: number, register: number): boolean {
    const bits = this.#data("bitwise", ahead);
    return bits !== undefined && bits.sreg === register && bits.dreg === register &&
      isMask(bits) && sameBytes(bits.mask!, mask);
  }

  /** The properties that the step at hand, or one ahead, may load into a register. */
  #selectors(ahead = 0, register = 1): [SelectorName, Selector][] {
    const given = this.#steps[this.#at + ahead];
    if (!given || !LOADS.has(given.name)) return [];
    if ((given.data as { dreg?: number }).dreg !== register) return [];
    const step = { ...given, data: { ...given.data, dreg: 1 } } as Expression;
    const entries = Object.entries(SELECTORS) as [SelectorName, Selector][];
    const found = entries.filter(([, { load, type }]) =>
      step.name === "payload"
        ? load.name === "payload" && samePlace(load.data, step.data, type)
        : load.name === step.name && sameStep(load, step)
    );
    return found.filter(([, { layer }]) => layer === undefined || this.#fits(layer));
  }

  /** Whether the header is the one at hand: the rule compares it here or before. */
  #fits(layer: NonNullable<Selector["layer"]>): boolean {
    const copy = new Layers(this.#family);
    for (const it of [...this.#found, ...this.#pending]) this.#noteIn(copy, it);
    if (layer === "ether") return copy.has("ether") || this.#pending.length === 0;
    return copy.has(layer);
  }

  /** Some bits of the loaded bytes. */
  #field(type: DataType, mask: Uint8Array): Omit<Found, "word"> | undefined {
    return this.#isMasked(mask, 1, 1) ? this.#comparison(type, 2) : undefined;
  }

  /** The first bytes of an address. */
  #prefix(type: DataType, len: number): Omit<Found, "word"> | undefined {
    const cmp = this.#data("cmp", 1);
    if (
      !cmp || !type.prefixes || cmp.data.length !== len || (cmp.op !== "eq" && cmp.op !== "neq")
    ) {
      return undefined;
    }
    const bytes = new Uint8Array(type.size);
    bytes.set(cmp.data);
    const value = `${type.format(bytes)}/${len * 8}`;
    return { value: cmp.op === "eq" ? value : { not: value }, steps: 2 };
  }

  /** The comparison of the load at hand, `ahead` steps from here on. */
  #comparison(type: DataType, ahead: number): Omit<Found, "word"> | undefined {
    const lookup = this.#data("lookup", ahead);
    if (lookup) {
      if (lookup.dreg !== undefined || lookup.sreg !== 1) return undefined;
      const value = this.#member(lookup.set, (lookup.flags ?? 0) === 1, type);
      return value === undefined ? undefined : { value, steps: ahead + 1 };
    }
    const swap = this.#data("byteorder", ahead);
    if (swap) return this.#ordered(type, ahead + 1, true);
    const bits = this.#data("bitwise", ahead);
    if (bits) return this.#masked(type, ahead);
    return this.#ordered(type, ahead, false);
  }

  #member(set: string, not: boolean, type: DataType): Match<Value> | undefined {
    if (!set.startsWith("__")) return not ? { not: `@${set}` } : `@${set}`;
    const values = this.#elements(set, [type]) as readonly Value[] | undefined;
    if (!values) return undefined;
    if (type.flags) return not ? { notIn: values } : { in: values };
    return not ? { not: values } : values;
  }

  #ordered(type: DataType, ahead: number, swapped: boolean): Omit<Found, "word"> | undefined {
    const order = (bytes: Uint8Array) => swapped ? bytes.toReversed() : bytes;
    const outside = this.#data("range", ahead);
    if (outside) {
      const span = { from: order(outside.from), to: order(outside.to) };
      const range = formatSpan(span, { ...type, prefixes: undefined } as unknown as DataType);
      return { value: outside.op === "neq" ? { not: range } : range, steps: ahead + 1 };
    }
    const cmp = this.#data("cmp", ahead);
    if (!cmp || cmp.sreg !== 1) return undefined;
    const next = this.#data("cmp", ahead + 1);
    if (cmp.op === "gte" && next?.op === "lte" && next.data.length === type.size) {
      const value = `${type.format(order(cmp.data))}-${type.format(order(next.data))}`;
      return { value, steps: ahead + 2 };
    }
    const value = compared(order(cmp.data), type);
    if (value === undefined) return undefined;
    if (cmp.op === "eq") {
      return { value: type.flags ? { is: flagWords(cmp.data, type) } : value, steps: ahead + 1 };
    }
    const given = type.flags ? flagWords(cmp.data, type) : value;
    return { value: { [cmp.op === "neq" ? "not" : cmp.op]: given }, steps: ahead + 1 };
  }

  #masked(type: DataType, ahead: number): Omit<Found, "word"> | undefined {
    const bits = this.#data("bitwise", ahead)!;
    const cmp = this.#data("cmp", ahead + 1);
    const { mask } = bits;
    if (!mask || !isMask(bits) || !cmp || (cmp.op !== "eq" && cmp.op !== "neq")) return undefined;
    const steps = ahead + 2;
    const not = cmp.op === "neq";
    if (type.prefixes) {
      const length = maskLength(mask);
      if (length === undefined) return undefined;
      const value = `${type.format(cmp.data)}/${length}`;
      return { value: not ? { not: value } : value, steps };
    }
    if (type.flags && not && cmp.data.every((byte) => byte === 0)) {
      return { value: flagWords(mask, type), steps };
    }
    const words = (bytes: Uint8Array) =>
      type.flags ? flagWords(bytes, type) : bytesNumber(bytes, type.order);
    return { value: { mask: words(mask), [not ? "not" : "is"]: words(cmp.data) }, steps };
  }

  /** A statement that is no match. */
  #statement(): Found | undefined {
    const step = this.#steps[this.#at]!;
    const copy = this.#markCopy() ??
      readField(this.#steps.slice(this.#at, this.#at + 3), (layer) => this.#fits(layer));
    if (copy) return copy;
    if (step.name === "immediate") return this.#immediate(step.data.dreg, step.data.data);
    if (step.name === "reject") return { word: "reject", value: this.#reject(step.data), steps: 1 };
    const read =
      (READERS as Readonly<Record<string, (data: never) => object | undefined>>)[step.name];
    const entry = read && Object.entries(read(step.data as never) ?? {})[0];
    return entry && { word: entry[0], value: entry[1], steps: 1 };
  }

  /** A verdict, or constants that the next step takes. */
  #immediate(dreg: number, data: Data): Found | undefined {
    if (dreg === 0) {
      if (data instanceof Uint8Array || typeof data.verdict === "number") return undefined;
      return { word: "verdict", value: verdictText(data), steps: 1 };
    }
    const constants = new Map<number, Uint8Array>();
    let ahead = 0;
    for (let it = this.#data("immediate"); it?.data instanceof Uint8Array;) {
      constants.set(it.dreg, it.data);
      it = this.#data("immediate", ++ahead);
    }
    const found = this.#translation(constants, ahead) ?? this.#setting(constants, ahead);
    return found && { ...found, steps: ahead + 1 };
  }

  /** A mark that is set to another one. */
  #markCopy(): Found | undefined {
    for (const from of ["meta", "ct"] as const) {
      const load = this.#data(from);
      if (load?.key !== "mark" || load.dreg !== 1) continue;
      for (const to of ["meta", "ct"] as const) {
        const set = this.#data(to, 1);
        if (set?.key !== "mark" || set.sreg !== 1) continue;
        return { word: `${to} mark set`, value: `${from} mark`, steps: 2 };
      }
    }
    return undefined;
  }

  /** The answer depends on the family. */
  #reject({ type, icmpCode = 0 }: Known<"reject">): Statements["reject"] {
    if (type === "tcp reset") return "tcp reset";
    const family = this.#family;
    const own = family === "ip" || family === "ip6";
    const code = Uint8Array.of(icmpCode);
    if (type === "icmpx") {
      if (icmpCode === 1 && !own) return true;
      return `icmpx ${REJECT_CODES.icmpx!.format(code)}` as Statements["reject"];
    }
    const six = family === "ip6" || this.#fits("ip6");
    if (own && icmpCode === (six ? 4 : 3)) return true;
    const word = six ? "icmpv6" : "icmp";
    return `${word} ${REJECT_CODES[word]!.format(code)}` as Statements["reject"];
  }

  #setting(constants: Map<number, Uint8Array>, ahead: number): Omit<Found, "steps"> | undefined {
    const first = constants.size === 1 ? constants.get(1) : undefined;
    if (!first) return undefined;
    const number = () => bytesNumber(first, "host");
    const meta = this.#data("meta", ahead);
    if (meta?.sreg === 1) {
      if (meta.key === "mark" || meta.key === "priority") {
        return { word: `meta ${meta.key} set`, value: number() };
      }
      if (meta.key === "pkttype") {
        return { word: "meta pkttype set", value: packetType.format(first) };
      }
    }
    const ct = this.#data("ct", ahead);
    if (ct?.sreg === 1 && ct.key === "mark") {
      return { word: "ct mark set", value: mark.format(first) };
    }
    const [fwd, dup] = [this.#data("fwd", ahead), this.#data("dup", ahead)];
    if (fwd && fwd.addr === undefined) return { word: "fwd to", value: number() };
    if (dup && dup.addr === undefined) return { word: "dup to", value: number() };
    return undefined;
  }

  #translation(
    constants: Map<number, Uint8Array>,
    ahead: number,
  ): Omit<Found, "steps"> | undefined {
    // Of a single address or port the kernel has the same register twice.
    const at = (register: number | undefined, first?: number) =>
      register === undefined || register === first ? undefined : constants.get(register);
    const nat = this.#data("nat", ahead);
    const other = this.#data("masq", ahead) ?? this.#data("redir", ahead);
    const data = nat ?? other;
    if (!data) return undefined;
    const flags = natFlags(data.flags);
    const parts = {
      addrMin: at(nat?.addrMin),
      addrMax: at(nat?.addrMax, nat?.addrMin),
      protoMin: at(data.protoMin),
      protoMax: at(data.protoMax, data.protoMin),
    };
    const used = Object.values(parts).filter((part) => part).length;
    if (!flags || used !== constants.size) return undefined;
    const to = formatNatTarget(parts as Parameters<typeof formatNatTarget>[0]);
    const plain = Object.keys(flags).length === 0;
    if (nat) return { word: String(nat.type), value: plain ? to : { to, ...flags } };
    const word = this.#data("masq", ahead) ? "masquerade" : "redirect";
    const port = /^:(\d+)$/.exec(to)?.[1];
    if (word === "redirect" && plain && port !== undefined) return { word, value: Number(port) };
    return { word, value: { to, ...flags } };
  }
}

/** Expressions that load a property. */
const LOADS: ReadonlySet<string> = new Set(["payload", "meta", "ct", "fib"]);

/** Whether bits are only masked. */
function isMask({ mask, xor, op = "bool" }: Known<"bitwise">): boolean {
  return mask !== undefined && op === "bool" && xor !== undefined &&
    xor.every((byte) => byte === 0);
}

/** A value that is compared as a whole; a name may be shorter, and stands for any rest then. */
function compared(bytes: Uint8Array, type: DataType): Value | undefined {
  if (bytes.length === type.size) return type.format(bytes);
  if (type.name !== "ifname" || bytes.length > type.size) return undefined;
  return `${new TextDecoder().decode(bytes)}*`;
}

function samePlace(a: PayloadData, b: PayloadData, { size, prefixes }: DataType): boolean {
  return a.base === b.base && a.offset === b.offset && b.dreg === 1 &&
    (b.len === size || prefixes === true && b.len < size && b.len > 0);
}

function sameStep(a: Expression, b: Expression): boolean {
  const plain = (it: Expression) =>
    JSON.stringify(it, (_, value) => value instanceof Uint8Array ? [...value] : value);
  return plain(sorted(a)) === plain(sorted(b));
}

const sorted = ({ name, data }: Expression): Expression => ({
  name,
  data: Object.fromEntries(Object.entries(data).sort(([a], [b]) => a < b ? -1 : 1)),
} as unknown as Expression);

/**
 * Reads a program as a rule.
 *
 * @param steps The program.
 * @param options The family of the table, and the elements of sets without names.
 * @returns The statements in order; a word that comes again begins another object.
 */
export function decompile(
  steps: readonly Expression[],
  options: { readonly family: Family; readonly elements: AnonymousElements },
): Statements[] {
  return new Decompiler(steps, options).read();
}
