/**
 * Checks of arguments: option names, words, numbers; errors name the path, the value and the allowed ones.
 *
 * @module
 */

/**
 * The option names of `T`: a table that the compiler holds to the type, so that none is missing or foreign.
 *
 * An option that is itself an object of options has the table of its own names in place of `true`.
 */
export type OptionNames<T extends object> = {
  readonly [K in keyof T]-?: true | Readonly<Record<string, unknown>>;
};

/** A value as an error message shows it. */
export function show(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return value.name ? `function ${value.name}` : "a function";
  if (typeof value !== "string" && typeof value !== "object") return String(value);
  try {
    return JSON.stringify(value);
  } catch {
    return String(value); // circular, or with a bigint inside
  }
}

/**
 * Refuses a value that is no object, or is an array.
 *
 * @throws {TypeError} Names the place, and shows the value.
 */
export function checkObject(value: unknown, path: string): void {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return;
  throw new TypeError(`${path} must be an object: got ${show(value)}`);
}

/** Whether a value has a key, as entries that were read have. A value that is no object has none. */
export function hasKey<T, K extends string>(
  value: T,
  key: K,
): value is Extract<T, Readonly<Record<K, unknown>>> {
  return typeof value === "object" && value !== null && key in value;
}

/**
 * Refuses a value that is no function.
 *
 * @throws {TypeError} Names the argument or option, and shows the value.
 */
export function checkFunction(value: unknown, path: string): void {
  if (typeof value === "function") return;
  throw new TypeError(`${path} must be a function: got ${show(value)}`);
}

/**
 * Refuses arguments of a method that takes none: a filter that nobody reads would silently match all.
 *
 * @throws {TypeError} Names the method, and shows the first argument.
 */
export function checkNoArguments(given: IArguments, method: string): void {
  if (given.length === 0 || given[0] === undefined) return;
  throw new TypeError(`${method}() takes no argument: got ${show(given[0])}`);
}

/** Puts the place of a wrong part into the error of its check: `addresses[1]: ...`. */
export function located(error: unknown, place: string): unknown {
  if (error instanceof TypeError || error instanceof RangeError) {
    error.message = `${place}: ${error.message}`;
    Error.captureStackTrace(error, located); // the stack has the message, too
  }
  return error;
}

/**
 * Runs a call of the library. V8 keeps ten frames of a stack, and the library may have more: errors begin at
 * the line that made the call.
 *
 * @param entry The function that was called; it must be running.
 * @param call Its work.
 */
export function atCaller<T>(entry: (...args: never[]) => unknown, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (isOwn(error)) Error.captureStackTrace(error, entry);
    throw error;
  }
}

/** The library's own folders, as stacks have them. */
const FOLDERS: readonly string[] = ["./", "../ffi/"].map((it) => new URL(it, import.meta.url).href);

/** Whether the library threw an error, and no function of the user that it has called. */
function isOwn(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  // Without a regular expression, which has no room where the stack is full.
  const top = error.stack?.split("\n").find((line) => line.startsWith("    at ")) ?? "";
  return FOLDERS.some((folder) => top.includes(folder));
}

/** Runs the check of a part of an argument; its errors name the part. Without a `place` it is the whole. */
export function inPlace<T>(place: string | undefined, check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw place === undefined ? error : located(error, place);
  }
}

/**
 * Refuses options that no code reads: a misspelled option would silently do nothing.
 *
 * @param options The options to check; `undefined` values count as absent.
 * @param known The allowed names: the keys of a table, see {@link OptionNames}.
 * @param path The place of the options in the argument: `peer` makes the error name `peer.mastr`.
 * @throws {TypeError} When an option is unknown, with the nearest name and the allowed ones.
 */
export function checkOptions(
  options: object,
  known: Readonly<Record<string, unknown>>,
  path = "",
): void {
  checkObject(options, path || "options");
  for (const key in options) {
    const value = (options as Record<string, unknown>)[key];
    if (value === undefined) continue;
    if (Object.hasOwn(known, key) && known[key] === true) continue;
    const at = path ? `${path}.${key}` : key;
    if (!Object.hasOwn(known, key)) {
      throw unknownOption(at, key, Object.keys(known), inside(key, known));
    }
    const inner = known[key];
    if (typeof inner === "object" && inner !== null && typeof value === "object" && value) {
      checkOptions(value, inner as Readonly<Record<string, unknown>>, at);
    }
  }
}

/** The path of a name that is not here but in an object of options: `metrics.mtu` for `mtu`. */
function inside(key: string, known: Readonly<Record<string, unknown>>): string | undefined {
  const outer = Object.keys(known).find((name) => {
    const names = known[name];
    return typeof names === "object" && names !== null && Object.hasOwn(names, key);
  });
  return outer === undefined ? undefined : `${outer}.${key}`;
}

/**
 * The error for an option that nobody knows.
 *
 * @param at The option with its path: `peer.mastr`.
 * @param key The option alone: `mastr`.
 * @param known The allowed names.
 * @param near The name that may be meant; default: the nearest one.
 */
export function unknownOption(
  at: string,
  key: string,
  known: readonly string[],
  near: string | undefined = nearest(key, known),
): TypeError {
  const path = at.slice(0, at.length - key.length);
  const list = known.length > 0 ? `allowed are ${shortList(key, known)}` : "there are none";
  const advice = near === undefined
    ? list
    : `did you mean ${show(path + near)}? ${list[0]!.toUpperCase()}${list.slice(1)}`;
  return new TypeError(`Unknown option ${show(at)}: ${advice}`);
}

/**
 * Looks a word up in a table, or throws.
 *
 * @param value The word.
 * @param known The allowed words and their meanings.
 * @param path The option that has the word.
 * @throws {TypeError} When the word is unknown, with the nearest one and the allowed ones.
 */
export function wordValue<T>(
  value: unknown,
  known: Readonly<Record<string, T>>,
  path: string,
): T {
  if (typeof value === "string" && Object.hasOwn(known, value)) return known[value]!;
  throw unknownWord(value, Object.keys(known), path);
}

/** The error for a word that is none of the allowed ones, with the nearest one. */
export function unknownWord(value: unknown, known: readonly string[], path: string): TypeError {
  return new TypeError(
    `${path} must be one of ${known.map(show).join(", ")}: got ${show(value)}` +
      (typeof value === "string" ? didYouMean(value, known) : ""),
  );
}

/** The integer itself, when it is in a range; otherwise a `TypeError` or `RangeError`. */
export function integer(
  value: unknown,
  path: string,
  min: number,
  max: number,
  unit?: string,
): number {
  if (typeof value !== "number" || !Number.isInteger(value)) {
    throw new TypeError(`${path} must be an integer: got ${show(value)}`);
  }
  if (value < min || value > max) {
    throw new RangeError(
      `${path} must be in ${min}..${max}${unit ? ` ${unit}` : ""}: got ${value}`,
    );
  }
  return value;
}

/** The boolean itself, or a `TypeError`. */
export function boolean(value: unknown, path: string): boolean {
  if (typeof value === "boolean") return value;
  throw new TypeError(`${path} must be a boolean: got ${show(value)}`);
}

/** As many names a reader takes in; of more, a message has the nearest ones. */
const MOST_NAMES = 20;
const NEAREST_NAMES = 6;

/** All names in order; of many, those nearest to `word`. */
function shortList(word: string, known: readonly string[]): string {
  const names = [...known].sort();
  if (names.length <= MOST_NAMES) return names.join(", ");
  const edits = new Map(
    names.map((name) => [name, distance(word.toLowerCase(), name.toLowerCase())]),
  );
  names.sort((one, other) => edits.get(one)! - edits.get(other)!);
  const others = names.length - NEAREST_NAMES;
  return `${names.slice(0, NEAREST_NAMES).join(", ")} and ${others} others: see the documentation`;
}

/** The end of a message about an unknown word: the nearest one, where there is one. */
export function didYouMean(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === undefined ? "" : `; did you mean ${show(near)}?`;
}

/** The name nearest to `word`, if one is near enough to be meant. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let [best, least]: [string | undefined, number] = [undefined, Infinity];
  for (const name of known) {
    const edits = distance(word.toLowerCase(), name.toLowerCase());
    if (edits < least) [best, least] = [name, edits];
  }
  return best !== undefined &&
      least <= Math.max(1, Math.floor(Math.max(word.length, best.length) / 3))
    ? best
    : undefined;
}

/** Edits between two words: insertions, deletions, substitutions, swaps of neighbours (Damerau 1964). */
function distance(a: string, b: string): number {
  let [before, row] = [[] as number[], Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let edits = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        edits = Math.min(edits, before[j - 2]! + 1);
      }
      next.push(edits);
    }
    [before, row] = [row, next];
  }
  return row[b.length]!;
}
