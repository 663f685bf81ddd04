/**
 * Concatenations and verdict maps: `ip saddr . tcp dport`, `tcp dport vmap`; as expressions, and as words of `nft`.
 *
 * @module
 */
import { checkObject, show } from "../options.ts";
import type { Verdict } from "./data.ts";
import type { DataType, Value } from "./datatypes.ts";
import type { Expression } from "./expressions/mod.ts";
import {
  type AddSet,
  ANONYMOUS,
  isSet,
  lookup,
  masked,
  type SetReference,
  valueWords,
} from "./match.ts";
import { type Layers, type Selector, type SelectorName, SELECTORS } from "./selectors.ts";
import { type Element, type ElementEntry, isEntry } from "./set_entry.ts";

/** A key of a verdict map, and the verdict. */
export interface VerdictEntry {
  /** A value, a prefix or a range; of a concatenation one for each part. */
  readonly key: Value | readonly Value[];
  /** The verdict. */
  readonly value: Verdict;
}

/** The verdict for each key: those of a named map, or here. */
export type VerdictMap = SetReference | readonly VerdictEntry[];

/** Keys of a concatenation: those of a named set, or here, one value for each part; or any others. */
export type ConcatenationMatch =
  | SetReference
  | readonly (readonly Value[])[]
  | { readonly not: SetReference | readonly (readonly Value[])[] };

/** The properties that a word of a rule looks up. */
export interface Properties {
  /** Their words. */
  readonly names: readonly SelectorName[];
  /** The properties. */
  readonly selectors: readonly Selector[];
  /** It leads to a verdict. */
  readonly vmap: boolean;
}

const VMAP = " vmap";

/** The properties of a word: several, or those of a verdict map; `undefined` for any other word. */
export function propertiesOf(word: string): Properties | undefined {
  const vmap = word.endsWith(VMAP);
  const names = namesOf(vmap ? word.slice(0, -VMAP.length) : word);
  if (!names || names.length < 2 && !vmap) return undefined;
  return { names, selectors: names.map((name) => SELECTORS[name]), vmap };
}

/** Words with points between them; those of a route have some of their own. */
function namesOf(word: string): SelectorName[] | undefined {
  const parts = word.split(" . ");
  const names: SelectorName[] = [];
  while (parts.length > 0) {
    const length = [2, 1].find((it) => Object.hasOwn(SELECTORS, parts.slice(0, it).join(" . ")));
    if (length === undefined) return undefined;
    names.push(parts.splice(0, length).join(" . ") as SelectorName);
  }
  return names;
}

/** The word for properties. */
export function wordOf({ names, vmap }: Pick<Properties, "names" | "vmap">): string {
  return names.join(" . ") + (vmap ? VMAP : "");
}

/** The registers of the parts of a key: each has whole registers of four bytes, as the kernel numbers them. */
export function registersOf(types: readonly DataType[]): number[] {
  let at = 0;
  return types.map(({ size }) => {
    const register = at % 4 === 0 ? 1 + at / 4 : 8 + at;
    at += Math.ceil(size / 4);
    return register;
  });
}

/** Loads a property into a register. */
function load({ load, mask }: Selector, register: number): Expression[] {
  const step = { ...load, data: { ...load.data, dreg: register } } as Expression;
  return mask ? [step, masked(mask, register)] : [step];
}

/**
 * Compiles a concatenation or a verdict map.
 *
 * @throws {TypeError} For malformed values.
 * @throws {RangeError} For values out of range.
 */
export function compileLookup(
  { selectors, vmap }: Properties,
  value: unknown,
  { path, addSet, layers }: {
    readonly path: string;
    readonly addSet: AddSet;
    readonly layers: Layers;
  },
): Expression[] {
  const types = selectors.map(({ type }) => type);
  const registers = registersOf(types);
  const not = !vmap && isOther(value);
  const given = not ? (value as { not: unknown }).not : value;
  const at = not ? `${path}.not` : path;
  const steps = [
    ...selectors.flatMap(({ layer }) => layers.require(layer, path)),
    ...selectors.flatMap((selector, i) => load(selector, registers[i]!)),
  ];
  if (isSet(given)) return [...steps, to(vmap, lookup(given.slice(1), not))];
  if (!Array.isArray(given) || given.length === 0) {
    throw new TypeError(`${at} must be a named set, or have one or more keys: got ${show(given)}`);
  }
  if (vmap) given.forEach((entry, i) => checkObject(entry, `${at}[${i}]`));
  const id = addSet({
    types,
    elements: given as readonly Element[],
    ...(vmap && { map: "verdict" }),
    path: at,
  });
  return [...steps, to(vmap, lookup(vmap ? "__map%d" : ANONYMOUS, not, id))];
}

function isOther(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).join() === "not";
}

/** A verdict goes to the register of verdicts. */
function to(vmap: boolean, step: Expression): Expression {
  return vmap ? { ...step, data: { ...step.data, dreg: 0 } } as Expression : step;
}

/** A concatenation or a verdict map in a line of `nft`. */
export function lookupWords(properties: Properties, value: unknown): string {
  const types = properties.selectors.map(({ type }) => type);
  const not = !properties.vmap && isOther(value);
  const given = not ? (value as { not: unknown }).not : value;
  const key = (it: ElementEntry["key"]) =>
    (Array.isArray(it) ? it as readonly Value[] : [it as Value])
      .map((part, i) => valueWords(part, types[i]!)).join(" . ");
  const element = (it: Element) => isEntry(it) ? `${key(it.key)} : ${it.value}` : key(it);
  const words = isSet(given)
    ? given
    : `{ ${(given as readonly Element[]).map(element).join(", ")} }`;
  return `${wordOf(properties)} ${not ? "!= " : ""}${words}`;
}
