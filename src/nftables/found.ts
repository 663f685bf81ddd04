/**
 * Words of a rule that was read, with the layers that they compare.
 *
 * @module
 */
import type { Expression } from "./expressions/mod.ts";
import { propertiesOf } from "./lookup.ts";
import { fieldOf } from "./payload_set.ts";
import { isTag, type Layer, type Selector, type SelectorName, SELECTORS } from "./selectors.ts";
import type { Statements } from "./statements.ts";

/** A word of a rule, its value, and the number of expressions that it stands for. */
export interface Found {
  readonly word: string;
  readonly value: unknown;
  readonly steps: number;
}

/** Comparisons that tell a layer, which other matches may bring along. */
export function isLayer({ word, value }: Found): boolean {
  if (word === "ether type") return isTag(value);
  return (word === "meta nfproto" || word === "vlan type" || word === "meta protocol" ||
    word === "meta l4proto" ||
    word === "meta iiftype") &&
    typeof value !== "object";
}

/** The layers whose comparisons a word adds. */
export function layersOf(found: Found): readonly Layer[] {
  const own = SELECTORS[found.word as SelectorName] as Selector | undefined;
  const field = fieldOf(found.word);
  const selectors = own ? [own] : propertiesOf(found.word)?.selectors ?? [];
  const layer = field?.layer ?? rejectLayer(found);
  return [...selectors.map(({ layer }) => layer), layer].filter((it) => it !== undefined);
}

/** The layer whose comparison a `reject` adds; that of a TCP reset is written, as `nft` does. */
function rejectLayer({ word, value }: Found): Selector["layer"] {
  if (word !== "reject" || typeof value !== "string") return undefined;
  if (value.startsWith("icmp ")) return "ip";
  return value.startsWith("icmpv6 ") ? "ip6" : undefined;
}

/** Joins words to objects; a word that comes again begins another one. */
export function joined(found: readonly Found[]): Statements[] {
  const parts: Record<string, unknown>[] = [];
  for (const { word, value } of found) {
    const last = parts.at(-1);
    if (word === "expressions" && last && Object.keys(last).at(-1) === word) {
      (last[word] as Expression[]).push(...value as Expression[]);
    } else if (last && !Object.hasOwn(last, word)) last[word] = value;
    else parts.push({ [word]: value });
  }
  return (parts.length > 0 ? parts : [{}]) as Statements[];
}
