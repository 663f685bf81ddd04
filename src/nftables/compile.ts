/**
 * Rules as programs of expressions, and as lines of `nft`.
 *
 * @module
 */
import { checkObject, hasKey, show, unknownOption } from "../options.ts";
import type { LinkTarget } from "../rtnetlink/link_target.ts";
import type { Value } from "./datatypes.ts";
import type { Expression } from "./expressions/mod.ts";
import { type AddSet, compileMatch, type Match, matchWords } from "./match.ts";
import { compileLookup, lookupWords, propertiesOf } from "./lookup.ts";
import type { Family } from "./message.ts";
import { Layers, type SelectorName, SELECTORS } from "./selectors.ts";
import { type Context, STATEMENTS } from "./statement_table.ts";
import { compileField, fieldOf, fieldWords } from "./payload_set.ts";
import type { Rule, Statements } from "./statements.ts";

/** The words whose values are links. */
const LINKS: ReadonlySet<string> = new Set(["iif", "oif", "fwd to", "dup to"]);

/** The words that a rule may have. */
const WORDS = [...Object.keys(SELECTORS), ...Object.keys(STATEMENTS), "comment"];

/** The parts of a rule. */
export function partsOf(rule: Rule): readonly Statements[] {
  return Array.isArray(rule) ? rule as readonly Statements[] : [rule as Statements];
}

/** The words of a rule with their values, in order. */
function* entriesOf(rule: Rule): Generator<[word: string, value: unknown]> {
  for (const part of partsOf(rule)) {
    for (const [word, value] of Object.entries(part)) if (value !== undefined) yield [word, value];
  }
}

/** The comment of a rule. */
export function commentOf(rule: Rule): string | undefined {
  return partsOf(rule).findLast(({ comment }) => comment !== undefined)?.comment;
}

/** The statements after which a packet meets no other one of the rule. */
const TERMINAL: ReadonlySet<string> = new Set([
  "verdict",
  "snat",
  "dnat",
  "masquerade",
  "redirect",
  "reject",
  "queue",
  "fwd to",
]);

/**
 * Refuses, as `nft` does, rules without effect, and words after the statement that ends a rule.
 *
 * @throws {TypeError} Names the word and the statement that it must come before.
 */
function checkOrder(rule: Rule, path: string): void {
  const words = [...entriesOf(rule)].filter(([word]) => word !== "comment");
  if (words.length === 0) {
    throw new TypeError(`${path || "rule"} must have a match or a statement: got ${show(rule)}`);
  }
  const ends = words.findIndex(([word, value]) => TERMINAL.has(word) && value !== "continue");
  const after = ends < 0 ? undefined : words[ends + 1];
  if (!after) return;
  const [word, value] = words[ends]!;
  const at = path ? `${path}.${after[0]}` : after[0];
  throw new TypeError(`${at} must come before ${word}: ${word} ${show(value)} ends the rule`);
}

const selectorOf = (word: string) =>
  Object.hasOwn(SELECTORS, word) ? SELECTORS[word as SelectorName] : undefined;

/**
 * A rule with the indexes of its links in place of names and handles.
 *
 * @param indexOf The index of a link.
 */
export function withIndexes(
  rule: Rule,
  indexOf: (target: LinkTarget, path: string) => number,
): Rule {
  const has = partsOf(rule).some((part) => Object.keys(part ?? {}).some((word) => LINKS.has(word)));
  if (!has) return rule;
  const resolved = (value: unknown, path: string): unknown => {
    if (Array.isArray(value)) return value.map((it, i) => resolved(it, `${path}[${i}]`));
    if (typeof value === "string") {
      return /^(@.*|\d+(-\d+)?)$/.test(value) ? value : indexOf(value, path);
    }
    if (!hasKey(value, "ref" as never)) {
      return hasKey(value, "not" as never)
        ? { not: resolved((value as { not: unknown }).not, `${path}.not`) }
        : value;
    }
    return indexOf(value as LinkTarget, path);
  };
  return partsOf(rule).map((part) =>
    Object.fromEntries(
      Object.entries(part).map(([word, value]) => [
        word,
        LINKS.has(word) ? resolved(value, word) : value,
      ]),
    )
  );
}

/** The table that a rule is compiled for. */
export interface CompileOptions {
  /** The family of its table. */
  readonly family: Family;
  /** Takes in sets without names. */
  readonly addSet: AddSet;
  /** The place of the rule, for errors. */
  readonly path?: string;
}

/**
 * Compiles a rule.
 *
 * @throws {TypeError} For an unknown word, a malformed value, and protocols that exclude each other; for an empty rule, and for
 *   a word after the statement that ends the rule.
 * @throws {RangeError} For a number out of range.
 */
export function compileRule(
  rule: Rule,
  { family, addSet, path = "" }: CompileOptions,
): Expression[] {
  for (const part of partsOf(rule)) checkObject(part, path || "rule");
  const layers = new Layers(family);
  const context: Context = { family, layers, addSet };
  const steps: Expression[] = [];
  for (const [word, value] of entriesOf(rule)) {
    const at = path ? `${path}.${word}` : word;
    const selector = selectorOf(word);
    if (selector) {
      steps.push(...layers.require(selector.layer, at));
      steps.push(...compileMatch(selector, value, { path: at, addSet }));
      layers.note(word, value);
    } else if (propertiesOf(word)) {
      steps.push(...compileLookup(propertiesOf(word)!, value, { path: at, addSet, layers }));
    } else if (fieldOf(word)) {
      const field = fieldOf(word)!;
      steps.push(...layers.require(field.layer, at), ...compileField(field, value as Value, at));
    } else if (Object.hasOwn(STATEMENTS, word)) {
      steps.push(...STATEMENTS[word]!.compile(value as never, at, context));
    } else if (word !== "comment") throw unknownOption(at, word, WORDS);
  }
  checkOrder(rule, path);
  return steps;
}

/** A rule as a line of `nft`. */
export function ruleWords(rule: Rule): string {
  const words: string[] = [];
  for (const [word, value] of entriesOf(rule)) {
    const selector = selectorOf(word);
    const properties = propertiesOf(word);
    if (selector) words.push(`${word} ${matchWords(value as Match<string>, selector.type)}`);
    else if (properties) words.push(lookupWords(properties, value));
    else if (fieldOf(word)) words.push(fieldWords(fieldOf(word)!, value as Value));
    else if (word !== "comment") words.push(STATEMENTS[word]!.words(value as never));
  }
  const comment = commentOf(rule);
  if (comment !== undefined) words.push(`comment "${comment}"`);
  return words.join(" ");
}
