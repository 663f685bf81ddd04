/**
 * Rules for plain data: the table of the format is made of them. From a rule follow the check of a value
 * and its JSON Schema; the compiler holds it to the public type.
 *
 * The rules are netloom's own: TypeBox 1.4 takes longer to load than Deno to start, and says of a union
 * only that no part matches.
 *
 * @module
 */
import { nearest, show, unknownOption } from "../options.ts";

/** The place of a value in a document: keys and indexes from the top. */
export type Path = readonly (string | number)[];

/** A rule for values of the type `T`, no narrower and no wider one. */
export type Rule<T> = RuleData & { readonly type?: (value: T) => T };

/** A rule as data. */
export type RuleData =
  | TextRule
  | NumberRule
  | { readonly is: "boolean" | "null" | "any" }
  | WordsRule
  | { readonly is: "list"; readonly of: RuleData; readonly min: number; readonly max: number }
  | { readonly is: "record"; readonly of: RuleData; readonly key?: TextRule }
  | ObjectRule
  | { readonly is: "either"; readonly of: readonly RuleData[] }
  | { readonly is: "later"; readonly rule: () => RuleData };

/** Text of a form. */
export interface TextRule {
  readonly is: "text";
  readonly what: string;
  readonly pattern?: RegExp;
  /** Checks more than the pattern does; throws. */
  readonly parse?: (value: string, path: string) => unknown;
}

/** One of some words. */
interface WordsRule {
  readonly is: "words";
  readonly words: readonly string[];
  /** Words of others, and what to write in their place. */
  readonly foreign?: Readonly<Record<string, string>>;
}

interface NumberRule {
  readonly is: "number";
  readonly what: string;
  readonly integer: boolean;
  readonly min: number;
  readonly max: number;
}

/** An object with known keys. */
export interface ObjectRule {
  readonly is: "object";
  /** The name of its type. */
  readonly name: string;
  readonly fields: Readonly<Record<string, RuleData>>;
  readonly required: readonly string[];
  /** Exactly one of these keys has to be there. */
  readonly one: readonly string[];
}

/** The rule of each key of `T`. */
export type Fields<T> = { readonly [K in keyof T]-?: Rule<Exclude<T[K], undefined>> };

/** The keys of `T` that cannot be left out. */
type RequiredKey<T> = {
  [K in keyof T]-?: Record<never, never> extends Pick<T, K> ? never : K;
}[keyof T];

/** Text, of any form or of a pattern; `what` continues "must be". */
export function text(
  what = "text",
  options: Omit<TextRule, "is" | "what"> = {},
): Rule<string> {
  return { is: "text", what, ...options };
}

/** Text of a type that a pattern has too: a template literal. */
export function template<T extends string>(what: string, pattern: RegExp): Rule<T> {
  return { is: "text", what, pattern };
}

/** A whole number in a range. */
export function integer(min: number, max: number): Rule<number> {
  return { is: "number", what: "an integer", integer: true, min, max };
}

/** A number in a range. */
export function number(what: string, min: number, max: number): Rule<number> {
  return { is: "number", what, integer: false, min, max };
}

/** Yes or no. */
export const flag: Rule<boolean> = { is: "boolean" };

/** `null`: in YAML also a key without a value. */
export const nothing: Rule<null> = { is: "null" };

/** Any value: later checks judge it. */
export const any: Rule<unknown> = { is: "any" };

/** One of some words. */
export function words<const W extends readonly string[]>(...list: W): Rule<W[number]> {
  return { is: "words", words: list };
}

/** Words that also say what to write in place of words of others. */
export function withForeignWords<T>(
  rule: Rule<T>,
  foreign: Readonly<Record<string, string>>,
): Rule<T> {
  return { ...rule, foreign } as RuleData;
}

/** A list. */
export function list<T>(of: Rule<T>, min = 0): Rule<readonly T[]> {
  return { is: "list", of, min, max: Infinity } as RuleData;
}

/** A list of two. */
export function pair<T>(of: Rule<T>): Rule<readonly [T, T]> {
  return { is: "list", of, min: 2, max: 2 } as RuleData;
}

/** A table with names of the writer's choice. */
export function record<T>(of: Rule<T>, key?: RuleData): Rule<Readonly<Record<string, T>>> {
  return { is: "record", of, ...(key?.is === "text" ? { key } : {}) } as RuleData;
}

/** An object with the keys of `T`. */
export function object<T extends object>(
  name: string,
  fields: Fields<T>,
  ...required: RequiredKey<T>[]
): Rule<T> {
  return { is: "object", name, fields, required, one: [] } as unknown as RuleData;
}

/** A rule that also asks for exactly one of some keys. */
export function withOne<T>(rule: Rule<T>, ...one: (keyof T)[]): Rule<T> {
  return { ...rule, one } as RuleData;
}

/** Each key of a union of objects with one key. */
type KeyOf<T> = T extends T ? keyof T : never;

/** An object with exactly one of some keys: a union of objects that have one key each. */
export function choice<T extends object>(
  name: string,
  fields: { readonly [K in KeyOf<T>]: Rule<T extends { readonly [P in K]: infer V } ? V : never> },
): Rule<T> {
  return { is: "object", name, fields, required: [], one: Object.keys(fields) } as RuleData;
}

/** One of several rules, which a value's type or its keys tell apart. */
export function either<T extends readonly unknown[]>(
  ...of: { readonly [K in keyof T]: Rule<T[K]> }
): Rule<T[number]> {
  return { is: "either", of } as RuleData;
}

/** A rule that stands further below, or contains itself. */
export function later<T>(rule: () => Rule<T>): Rule<T> {
  return { is: "later", rule };
}

/** Takes the problems of a check. */
export type Report = (path: Path, message: string, at?: "key") => void;

/** A place as errors name it: `nodes.h1.sysctls["net.ipv4.ip_forward"]`, `links[3].mtu`. */
export function placeOf(path: Path): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else if (!/^[\w-]+$/.test(part)) text += `[${JSON.stringify(part)}]`;
    else text += text === "" ? part : `.${part}`;
  }
  return text === "" ? "the topology" : text;
}

/**
 * Checks a value against a rule, and reports all problems.
 *
 * @param rule The rule.
 * @param value The value; members that are `undefined` count as absent.
 * @param path Its place; the walk extends and restores it.
 * @param report Takes each problem.
 */
export function walk(
  rule: RuleData,
  value: unknown,
  path: (string | number)[],
  report: Report,
): void {
  switch (rule.is) {
    case "any":
      return;
    case "later":
      return walk(rule.rule(), value, path, report);
    case "object":
      return isRecord(value) ? walkObject(rule, value, path, report) : refuse(rule, value);
    case "record":
      return isRecord(value) ? walkRecord(rule, value, path, report) : refuse(rule, value);
    case "list":
      if (!Array.isArray(value)) return refuse(rule, value);
      if (value.length < rule.min || value.length > rule.max) {
        const count = rule.min === rule.max ? `${rule.min}` : `at least ${rule.min}`;
        report(path.slice(), `${placeOf(path)} must have ${count} entries: got ${value.length}`);
      }
      return value.forEach((entry, i) => inside(rule.of, entry, i));
    case "either": {
      const part = rule.of.length === 1 ? rule.of[0]! : partFor(rule.of, value);
      const whole = part === undefined || isPlain(part) && !holds(part, value);
      return whole ? refuse(rule, value) : walk(part, value, path, report);
    }
    default:
      if (!holds(rule, value)) return refuse(rule, value);
      if (rule.is === "text" && rule.parse) {
        try {
          rule.parse(value as string, placeOf(path));
        } catch (error) {
          report(path.slice(), (error as Error).message);
        }
      }
  }

  function inside(of: RuleData, entry: unknown, key: string | number): void {
    path.push(key);
    walk(of, entry, path, report);
    path.pop();
  }

  function refuse(rule: RuleData, value: unknown): void {
    report(path.slice(), refusal(rule, value, placeOf(path)));
  }
}

function walkObject(
  { fields, required, one }: ObjectRule,
  value: Readonly<Record<string, unknown>>,
  path: (string | number)[],
  report: Report,
): void {
  for (const key in value) {
    if (value[key] === undefined) continue;
    path.push(key);
    if (Object.hasOwn(fields, key)) walk(fields[key]!, value[key], path, report);
    else {
      const known = Object.keys(fields).filter((name) => fields[name]!.is !== "any");
      const outer = path.length === 1 ? "" : `${placeOf(path.slice(0, -1))}.`;
      report(path.slice(), unknownOption(outer + key, key, known).message, "key");
    }
    path.pop();
  }
  for (const key of required) {
    if (value[key] !== undefined) continue;
    report(path.slice(), `${placeOf(path)} needs ${show(key)}: got ${brief(value)}`);
  }
  if (one.length === 0) return;
  const given = one.filter((key) => value[key] !== undefined);
  if (given.length === 1) return;
  const got = given.length === 0 ? brief(value) : given.join(" and ");
  report(path.slice(), `${placeOf(path)} needs exactly one of ${one.join(", ")}: got ${got}`);
}

function walkRecord(
  { of, key: rule }: Extract<RuleData, { is: "record" }>,
  value: Readonly<Record<string, unknown>>,
  path: (string | number)[],
  report: Report,
): void {
  for (const key in value) {
    if (value[key] === undefined) continue;
    path.push(key);
    if (rule !== undefined && !holds(rule, key)) {
      report(
        path.slice(),
        `${placeOf(path.slice(0, -1))}: a key must be ${rule.what}: got ${show(key)}`,
        "key",
      );
    }
    walk(of, value[key], path, report);
    path.pop();
  }
}

/** Whether a value without parts obeys its rule, but for `parse`. */
function holds(rule: RuleData, value: unknown): boolean {
  switch (rule.is) {
    case "text":
      return typeof value === "string" && (rule.pattern === undefined || rule.pattern.test(value));
    case "number":
      return typeof value === "number" && value >= rule.min && value <= rule.max &&
        (!rule.integer || Number.isInteger(value));
    case "boolean":
      return typeof value === "boolean";
    case "null":
      return value === null;
    case "words":
      return typeof value === "string" && rule.words.includes(value);
    default:
      return false;
  }
}

/** Whether a rule is for values without parts, of which it says nothing but whether they hold. */
function isPlain({ is }: RuleData): boolean {
  return is === "text" || is === "words";
}

/** The part of a union that a value is meant for: by its type, then by its keys. */
function partFor(parts: readonly RuleData[], value: unknown): RuleData | undefined {
  const fitting = parts.map((part) => part.is === "later" ? part.rule() : part)
    .flatMap((part) => part.is === "either" ? part.of : [part])
    .filter((part) => isOfType(part, value));
  if (fitting.length < 2 || !isRecord(value)) {
    return fitting.find((part) => holds(part, value)) ?? fitting[0];
  }
  const score = (part: RuleData) => {
    if (part.is !== "object") return 0;
    const count = Object.keys(value).filter((key) => Object.hasOwn(part.fields, key)).length;
    // A required key tells more than any number of those that are common to all.
    return count + 100 * part.required.filter((key) => value[key] !== undefined).length;
  };
  return fitting.toSorted((a, b) => score(b) - score(a))[0];
}

function isOfType(rule: RuleData, value: unknown): boolean {
  switch (rule.is) {
    case "any":
      return true;
    case "text":
    case "words":
      return typeof value === "string";
    case "object":
    case "record":
      return isRecord(value);
    case "list":
      return Array.isArray(value);
    case "null":
      return value === null;
    case "number":
      return typeof value === "number";
    case "boolean":
      return typeof value === "boolean";
    default:
      return false;
  }
}

/** A plain object, as JSON and YAML have them. */
function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** What a rule allows, after "must be". */
function allowed(rule: RuleData): string {
  switch (rule.is) {
    case "text":
    case "number":
      return rule.what;
    case "boolean":
      return "true or false";
    case "words":
      return rule.words.length === 1
        ? show(rule.words[0])
        : `one of ${rule.words.map(show).join(", ")}`;
    case "list":
      return rule.min === rule.max ? `a list of ${rule.min}` : "a list";
    case "either":
      return [...new Set(rule.of.map(allowed))].filter((part) => part !== "empty").join(", or ");
    case "later":
      return allowed(rule.rule());
    case "null":
      return "empty";
    default:
      return "an object";
  }
}

function refusal(rule: RuleData, value: unknown, place: string): string {
  if (rule.is === "number" && typeof value === "number" && Number.isFinite(value)) {
    if (!rule.integer || Number.isInteger(value)) {
      const range = rule.max === Infinity ? `at least ${rule.min}` : `in ${rule.min}..${rule.max}`;
      return `${place} must be ${range}: got ${value}`;
    }
  }
  const message = `${place} must be ${allowed(rule)}: got ${brief(value)}`;
  const hint = rule.is === "words" ? rule.foreign?.[value as string] : undefined;
  if (hint !== undefined) return `${message}; ${hint}`;
  const near = rule.is === "words" && typeof value === "string"
    ? nearest(value, rule.words)
    : undefined;
  return near === undefined ? message : `${message}; did you mean ${show(near)}?`;
}

/** A value for an error, shortened. */
function brief(value: unknown): string {
  const text = show(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
